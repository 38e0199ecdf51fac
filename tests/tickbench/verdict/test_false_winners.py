"""
Whole suites drawn from recorded runs of one arm under three names: noise does not win, and what is planted is found.

Drawn are suites of the default one's length, which look at half of their blocks, or do not.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.power import judged, judged_by_looks, known, simulate
from tests.bench.recorded import FIGURES, PLANTED
from tickbench.compare.figures import MEMORY
from tickbench.compare.suite import load_suite
from tickbench.statistics.verdicts import judge

RECORDED = Path(__file__).parents[1] / "recorded" / "aa.json"
SUITES = 1_000
DEFAULT = load_suite("default")
BLOCKS, MEMORY_BLOCKS = DEFAULT.repeats, DEFAULT.memory_blocks
AT_MOST, AT_LEAST = 0.05, 0.90

Figures = list[float | None]
Block = tuple[Figures, Figures, Figures]
"""The runs of the first arm, of the same again, and of the other."""


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORDED.read_text("utf-8"))
    assert tuple(record["figures"]) == FIGURES
    return record


def drawn_suite(blocks: list[list[Block]], rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """
    Return a suite's log ratios of other to first, and of the arm that ran twice to itself (figures x blocks).

    Args:
        blocks: of each that was recorded, in which ways its runs can be taken for those of a block.

    Memory is that of others, as it was weighed in few, and is in the first ones of the suite alone.

    """
    memory = FIGURES.index(MEMORY)
    weighed = [ways for ways in blocks if all(run[memory] is not None for run in ways[0])]
    drawn = np.array([rng.choice(rng.choice(blocks)) for _ in range(BLOCKS)], dtype=float)  # None becomes NaN
    drawn[:, :, memory] = np.nan
    for block, ways in zip(drawn, rng.sample(weighed, MEMORY_BLOCKS), strict=False):
        block[:, memory] = [run[memory] for run in rng.choice(ways)]
    first, again, other = np.log(drawn).transpose(1, 2, 0)
    return other - (first + again) / 2, again - first


def without_difference(recorded: dict[str, Any], backend: str) -> list[list[Block]]:
    """Return the recorded blocks of a backend: which of their three runs is whose is left open."""
    triples = [each["runs"] for each in recorded["triples"] if each["backend"] == backend]
    return [[(a, b, c), (b, c, a), (c, a, b), (b, a, c), (c, b, a), (a, c, b)] for a, b, c in triples]


def with_planted(recorded: dict[str, Any], arm: str) -> list[list[Block]]:
    """Return the recorded blocks of the plain arm, twice, and a planted one."""
    runs = [each["runs"] for each in recorded["planted"] if each["arm"] == arm]
    return [[(first, again, other)] for first, again, other in runs]


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_of_a_thousand_suites_without_a_difference_few_name_a_winner(recorded: dict[str, Any], backend: str) -> None:
    blocks = without_difference(recorded, backend)
    assert len(blocks) >= 8
    rng = random.Random(backend)
    counts = {"one look": 0, "with the A/A rule": 0, "that may end early": 0}
    for _ in range(SUITES):
        logs, itself = drawn_suite(blocks, rng)
        at_once, ruled, (looked, _) = judge(known(logs)), judged(logs, itself), judged_by_looks(logs, itself)
        for way, verdicts in zip(counts, (at_once, ruled, looked), strict=True):
            counts[way] += any(verdict.winner for verdict in verdicts or [])
    sys.stderr.write(f"{backend}: of {SUITES} suites name a winner: {counts}\n")  # pytest -s shows it
    assert max(counts.values()) <= AT_MOST * SUITES


def test_what_was_planted_is_found(recorded: dict[str, Any]) -> None:
    """In recordings of arms that run at once; older ones have none."""
    arms = {each["arm"] for each in recorded.get("planted", [])}
    assert arms == (set(PLANTED) if "together_s" in recorded else set())
    for arm in sorted(arms):
        blocks, figure = with_planted(recorded, arm), FIGURES.index(PLANTED[arm])
        assert len(blocks) >= 8
        rng, found = random.Random(arm), 0
        for _ in range(200):
            verdicts, _ = judged_by_looks(*drawn_suite(blocks, rng))
            found += verdicts is not None and verdicts[figure].winner == "first"
        sys.stderr.write(f"{arm}: found in {found} of 200 suites\n")
        assert found >= AT_LEAST * 200


def test_the_same_noise_with_a_difference_is_found(recorded: dict[str, Any]) -> None:
    """The first test above could pass because nothing is ever found."""
    figure = FIGURES.index("server.cpu_us_per_frame")
    blocks = [each for backend in ("asyncio", "gevent") for each in without_difference(recorded, backend)]
    rng, found = random.Random(1), 0
    for _ in range(200):
        logs, _ = drawn_suite(blocks, rng)
        found += judge([(logs[figure] + np.log(1.3)).tolist()])[0].winner == "first"
    assert found >= 190


@pytest.mark.parametrize(("cv", "in_all"), [(0.03, False), (0.05, False), (0.08, False), (0.08, True)])
def test_a_fifth_is_found_in_nine_of_ten_suites_as_long_as_runs_scatter_by_eight_percent(
    cv: float, in_all: bool
) -> None:
    found = simulate(0.20, cv, blocks=BLOCKS, suites=SUITES, in_all=in_all, rng=np.random.default_rng(7))
    assert found["better"] >= AT_LEAST
    assert found["wrong"] <= 0.001
