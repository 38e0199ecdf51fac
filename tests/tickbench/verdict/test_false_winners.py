"""Whole suites without any difference, drawn from recorded runs of one arm under three names: noise does not win."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.power import simulate
from tickbench.statistics.verdicts import GUARD_ALPHA, Verdict, judge, log_ratios

RECORDED = Path(__file__).parents[1] / "recorded" / "aa.json"
SUITES = 1_000
BLOCKS = 8
AT_MOST = 0.05

Triple = list[list[float]]


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORDED.read_text("utf-8"))
    return record


def drawn_suite(triples: list[Triple], rng: random.Random) -> tuple[list[Verdict], list[Verdict]]:
    """
    Return the verdicts of a suite, and those of the arm that ran twice with itself.

    A block is one of those recorded; which of its three runs is the first arm's, its second or the other's is drawn.

    """
    blocks = [rng.sample(rng.choice(triples), 3) for _ in range(BLOCKS)]
    figures = range(len(blocks[0][0]))
    primary = [
        log_ratios([[first[f], again[f]] for first, again, _ in blocks], [[other[f]] for _, _, other in blocks])
        for f in figures
    ]
    itself = [
        log_ratios([[first[f]] for first, _, _ in blocks], [[again[f]] for _, again, _ in blocks]) for f in figures
    ]
    return judge(primary), judge(itself, alpha=GUARD_ALPHA)


def names_a_winner(verdicts: list[Verdict]) -> bool:
    return any(verdict.winner is not None for verdict in verdicts)


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_of_a_thousand_suites_without_a_difference_few_name_a_winner(recorded: dict[str, Any], backend: str) -> None:
    triples = [each["runs"] for each in recorded["triples"] if each["backend"] == backend]
    assert len(triples) >= 8
    rng = random.Random(backend)
    wins = wins_unless_suppressed = 0
    for _ in range(SUITES):
        primary, itself = drawn_suite(triples, rng)
        wins += names_a_winner(primary)
        wins_unless_suppressed += names_a_winner(primary) and not names_a_winner(itself)
    words = f"{backend}: {wins} of {SUITES} suites name a winner, {wins_unless_suppressed} with the A/A rule\n"
    sys.stderr.write(words)  # pytest -s shows it
    assert wins_unless_suppressed <= wins <= AT_MOST * SUITES


def test_the_same_noise_with_a_difference_is_found(recorded: dict[str, Any]) -> None:
    """The test above could pass because nothing is ever found."""
    triples = [each["runs"] for each in recorded["triples"]]
    rng, found = random.Random(1), 0
    for _ in range(200):
        blocks = [rng.sample(rng.choice(triples), 3) for _ in range(BLOCKS)]
        logs = log_ratios(
            [[first[3], again[3]] for first, again, _ in blocks], [[1.3 * other[3]] for _, _, other in blocks]
        )
        found += judge([logs])[0].winner == "first"
    assert found >= 190


@pytest.mark.parametrize(("cv", "in_all"), [(0.03, False), (0.05, False), (0.08, False), (0.08, True)])
def test_a_fifth_is_found_in_nine_of_ten_suites_as_long_as_runs_scatter_by_eight_percent(
    cv: float, in_all: bool
) -> None:
    found = simulate(0.20, cv, blocks=BLOCKS, suites=SUITES, in_all=in_all, rng=np.random.default_rng(7))
    assert found["better"] >= 0.90
    assert found["wrong"] <= 0.001
