"""
Ten of two hundred stop reading for a minute: what the others, and the server, notice of it.

At full size only: it measures, pinned, on a machine that does nothing else (``make figures-servers``).
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.measure.summary import LoadSummary, read_summary
from tests.conftest import Serve
from tests.support.client import CLOSE, TEXT, Frame
from tests.support.player import Player
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.full_size

FLAGS = ("--pad", "20000", "--bots", "10", "--tick-budget", "0")
OTHERS, STALLED = 190, 10
MEASURED_S = 60
PAIRS, MOST_PAIRS = 10, 15
"""A percentile of one run moves by a fifth with what else the host does: so many valid pairs, and at most so many."""
SLOW_LIMIT_S = 5.0
MEGABYTE = 2**20


def pin(server: RunningServer, cores: set[int]) -> None:
    """Put the server on the first of ``cores`` and all else on the others."""
    first, *others = sorted(cores)
    os.sched_setaffinity(server.process.pid, {first})
    os.sched_setaffinity(0, others or {first})


def load(server: RunningServer, out: Path, *flags: str) -> LoadSummary:
    """Run the load generator; return what it measured of those who read."""
    flags = (*flags, "--duration", str(MEASURED_S), "--out", str(out))
    done = subprocess.run(
        [sys.executable, "-m", "tickbench", "load", server.url, *flags], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 3), done.stderr
    summary = read_summary(out.read_bytes())
    # whoever shares a core with those whom it measures measures itself
    machine = summary.machine
    assert not set(machine.cpus_server or ()) & set(machine.cpus_generator or ()), "pinning failed"
    return summary


def rest_of(player: Player) -> list[Frame]:
    """Return the whole frames that a stalled one finds; what is left of one is none."""
    frames = []
    try:
        while True:
            frames.append(player.receive_frame())
    except EOFError:
        assert not player.is_within_a_frame, "a torn frame at the end of the stream"
    except ConnectionError:
        pass  # a reset may eat anything
    return frames


@pytest.fixture
def cores() -> Iterator[set[int]]:
    """The cores that this process may use: asked for once, since pinning changes the answer; given back at the end."""
    usable = os.sched_getaffinity(0)
    yield usable
    os.sched_setaffinity(0, usable)


@pytest.mark.timeout(MOST_PAIRS * 200)
@pytest.mark.parametrize("fanout", ["frame-once", "library"])
def test_the_others_notice_nothing(serve: Serve, backend: str, fanout: str, cores: set[int], tmp_path: Path) -> None:
    def alone() -> LoadSummary:
        with serve("--fanout", fanout, *FLAGS) as server:
            pin(server, cores)
            return load(server, tmp_path / "alone.json", "--users", str(OTHERS))

    def beside() -> LoadSummary:
        with serve("--fanout", fanout, *FLAGS) as server:
            pin(server, cores)
            stall = ("--scenario", "stall", "--share", f"{100 * STALLED / (OTHERS + STALLED):g}")
            summary = load(server, tmp_path / "beside.json", *stall, "--users", str(OTHERS + STALLED))
            assert server.stats()["slow_closed"] == STALLED
            return summary

    ratios: list[float] = []
    for pair in range(MOST_PAIRS):
        if len(ratios) == PAIRS:
            break
        # which one goes first takes turns, too: a machine that warms up or is taken away would favour one
        runs = {run: run() for run in ((alone, beside) if pair % 2 == 0 else (beside, alone))}
        quiet, stalled = runs[alone], runs[beside]
        p99 = [summary.tick_lateness_ms.p99 or 0 for summary in (quiet, stalled)]
        grown = (stalled.server.rss_bytes or 0) - (quiet.server.rss_bytes or 0)
        print(  # noqa: T201 # the figures are asked for
            f"\n{backend} {fanout}, pair {pair}: lateness p99 {p99[0]:.2f} ms alone, {p99[1]:.2f} ms beside "
            f"(ratio {p99[1] / p99[0]:.3f}); missing {stalled.frames.missing} of {stalled.frames.expected}; due times "
            f"skipped {quiet.server.skipped_ticks} alone, {stalled.server.skipped_ticks} beside; memory "
            f"{grown / MEGABYTE:.1f} MiB more; not valid: {quiet.validity.reasons} {stalled.validity.reasons}",
            flush=True,
        )
        assert stalled.frames.missing == 0
        assert stalled.server.skipped_ticks is not None
        assert stalled.server.skipped_ticks <= 2
        assert grown < 5 * MEGABYTE
        if quiet.validity.ok and stalled.validity.ok:
            ratios.append(p99[1] / p99[0])
    print(f"{backend} {fanout}: ratios {sorted(round(ratio, 3) for ratio in ratios)}")  # noqa: T201 # as above
    assert len(ratios) == PAIRS, "too few pairs were valid"
    assert statistics.median(ratios) <= 1.2


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fanout", ["frame-once", "library"])
def test_the_stalled_are_gone_in_time_and_find_whole_frames(serve: Serve, fanout: str) -> None:
    with serve("--fanout", fanout, *FLAGS) as server:
        fds = server.stats()["process"]["fds"]
        stalled = [server.connect("main") for _ in range(STALLED)]
        for player in stalled:
            player.send(["new_player", "stalled"])
        wait_until(lambda: server.stats()["slow_skips"], 30)
        skipped_s = time.monotonic()
        wait_until(lambda: server.stats()["process"]["fds"] <= fds, 30)
        gone_s = time.monotonic() - skipped_s
        stats = server.stats()
        found = [rest_of(player) for player in stalled[:5]]
    closed = sum(bool(frames) and frames[-1].opcode == CLOSE for frames in found)
    print(  # noqa: T201 # as above
        f"\n{server.backend} {fanout}: slow_closed {stats['slow_closed']}, descriptors gone {gone_s:.2f} s after the "
        f"first skipped tick; of five who read on, {closed} found whole frames ({[len(each) for each in found]} of "
        "them) and then 1013"
    )
    assert stats["slow_closed"] == STALLED
    assert stats["closed"] == {"1013": STALLED}
    assert gone_s < SLOW_LIMIT_S + 1.5
    for frames in found:
        assert [frame.opcode for frame in frames[:-1]] == [TEXT] * (len(frames) - 1)
        assert not frames or frames[-1].opcode == TEXT or (frames[-1].opcode, frames[-1].close_code) == (CLOSE, 1013)


@pytest.mark.timeout(600)
def test_as_people_write_it_everybody_does(serve: Serve, cores: set[int]) -> None:
    """What the policy is for: printed, for the report."""
    with serve("--fanout", "naive", *FLAGS) as server:
        pin(server, cores)
        stalled = [server.connect("main") for _ in range(STALLED)]
        for player in stalled:
            player.send(["new_player", "stalled"])
        time.sleep(10)
        ticks = server.stats()["ticks"]["count"]
        time.sleep(5)
        later = server.stats()["ticks"]["count"]
        print(  # noqa: T201 # as above
            f"\n{server.backend} naive: {later - ticks} ticks in 5 s beside {STALLED} who do not read"
        )
        server.hang_up()
        wait_until(lambda: server.stats()["connections"] == 0)
