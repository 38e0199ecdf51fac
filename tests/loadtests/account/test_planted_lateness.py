"""
Planted truth: what the server's own clock says right before and right after each send is what must be reported.

The truth of a percentile is computed here with numpy, by nearest rank, from the server's record. ``make figures-load``
runs all at full size, with server and generator on cores of their own; ``make test`` runs less, and there a generator
that the machine held up may have read some frames together with later ones: it says how many, and so many values may
be too high.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.measure.histogram import Histogram
from tests.loadtests.conftest import FULL_SIZE, WAYS, PlantedRun, busy, load_planted, window_us
from tests.support.planted_coat import EXTENSIONS
from tests.support.planted_law import Law

pytestmark = pytest.mark.xdist_group("cores")

Microseconds = NDArray[np.int64]

RATE_HZ = 20
USERS = 500 if FULL_SIZE else 60
TIMES = ("--warm-up", 2, "--duration", 20) if FULL_SIZE else ("--warm-up", 0.5, "--duration", 2)
PERCENTILES = (50, 99, 99.9, 100)

HEAVY_TAIL = {"kind": "heavy_tail", "scale_ms": 1, "alpha": 1.1, "max_ms": 500, "per": "frame"}
LATENESS = {
    "constant": {"kind": "constant", "ms": 5},
    "two peaks": {"kind": "two_peaks", "ms": [2, 20], "share": 0.2, "per": "frame"},
    "heavy tail": HEAVY_TAIL,
    "heavy tail, whole ticks": HEAVY_TAIL | {"per": "tick"},
}


AS_IT_IS, *_ = WAYS
LONG_TAILS = ("heavy tail", "heavy tail, whole ticks")
"""A time of its own for each frame, or each tick: the laws of how else frames travel, where it is not the full size."""


def nearest_rank(sorted_values: Microseconds, percentile: float) -> int:
    rank = max(1, int(np.ceil(round(percentile * len(sorted_values) / 100, 6))))
    return int(sorted_values[min(rank, len(sorted_values)) - 1])


def wrong_percentiles(run: PlantedRun, *, coalesced: int) -> list[str]:
    """Return which percentiles are not between the two truths' values, widened by 1 % or 100 us."""
    window, sends = window_us(run.summary), run.columns
    inside = (sends.due_us >= window.start) & (sends.due_us < window.stop)
    lowest, highest = [(sends.before_us - sends.due_us)[inside]], [(sends.after_us - sends.due_us)[inside]]
    # What the machine kept the server from sending is as late as what it sent next.
    for n in run.meta.overrun:
        following = sends.n == sends.n[sends.n > n].min(initial=2**62)
        due_us = sends.due_us[following] - np.rint((sends.n[following] - n) * 1e6 / RATE_HZ).astype(np.int64)
        counted = (due_us >= window.start) & (due_us < window.stop)
        lowest.append((sends.before_us[following] - due_us)[counted])
        highest.append((sends.after_us[following] - due_us)[counted])
    return _outside(run, np.sort(np.concatenate(lowest)), np.sort(np.concatenate(highest)), coalesced=coalesced)


def _outside(run: PlantedRun, lowest: Microseconds, highest: Microseconds, *, coalesced: int) -> list[str]:
    measured = Histogram.from_summary(run.summary.tick_lateness_ms)
    assert measured.count == len(lowest) == run.summary.frames.due
    wrong = []
    for percentile in PERCENTILES:
        low = nearest_rank(lowest, percentile)
        above = percentile + 100 * coalesced / len(lowest)
        high = nearest_rank(highest, above) if above <= 100 else 2**62
        value = measured.percentile_us(percentile)
        if not low - max(100, low // 100) <= value <= high + max(100, high // 100):
            wrong.append(f"p{percentile}: {value} us is not in {low} to {high} us")
    return wrong


def tolerated(run: PlantedRun) -> int:
    return 0 if FULL_SIZE else run.summary.frames.coalesced


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for way in WAYS for name in LATENESS if FULL_SIZE or way == AS_IT_IS or name in LONG_TAILS],
)
def test_lateness_is_reported_back(name: str, travel: dict[str, str], tmp_path: Path) -> None:
    law = Law(tick_rate_hz=RATE_HZ, lateness=LATENESS[name], spacing_ms=10, **travel)  # type: ignore[arg-type] # by name
    run = load_planted(law, tmp_path, USERS, *TIMES)
    assert wrong_percentiles(run, coalesced=tolerated(run)) == []
    assert sum(run.summary.connections.extensions.values()) == USERS
    assert run.summary.connections.extensions == {EXTENSIONS.get(law.deflate, ""): USERS}
    tls_ms = run.summary.connections.tls_ms
    assert (tls_ms.count if tls_ms else 0) == (USERS if law.tls else 0)
    assert run.summary.frames.missing == 0
    if FULL_SIZE:
        assert run.summary.validity.ok, run.summary.validity.reasons


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the server needs a core of its own")
@pytest.mark.parametrize("name", ["two peaks", "heavy tail"])
def test_lateness_is_true_while_others_take_half_of_the_generator_s_core(name: str, tmp_path: Path) -> None:
    law = Law(tick_rate_hz=RATE_HZ, lateness=LATENESS[name], spacing_ms=20)
    with busy(max(os.sched_getaffinity(0))):
        run = load_planted(law, tmp_path, USERS, *TIMES, pinned=True)
    assert wrong_percentiles(run, coalesced=tolerated(run)) == []
    assert any("of the generator's core" in warning for warning in run.summary.validity.warnings)
    if FULL_SIZE:
        assert run.summary.validity.ok, run.summary.validity.reasons


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the server needs a core of its own")
def test_without_kernel_stamps_a_busy_core_spoils_a_run(tmp_path: Path) -> None:
    law = Law(tick_rate_hz=RATE_HZ, lateness=LATENESS["two peaks"], spacing_ms=20)
    with busy(max(os.sched_getaffinity(0))):
        run = load_planted(law, tmp_path, USERS, *TIMES, pinned=True, stamps=False)
    assert run.status == 3
    assert run.summary.generator.timestamps == "read"
    # Whether its loop lags, too, is the scheduler's choice: test_doubts has it lag for certain.
    assert any("of the generator's core" in reason for reason in run.summary.validity.reasons)
