"""What is kept of recorded comparisons, and what is worked out of their tails: by folders that were made up."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.measure.histogram import Histogram
from tests.bench.recorded import planted, triples
from tests.bench.tails import same_arms, table
from tickbench.compare.plan import PlannedRun
from tickbench.compare.results import read_results
from tickbench.compare.suite import load_suite
from tickbench.report.build import build_report

RECORDED = Path(__file__).parents[1] / "recorded"
MakeResults = Callable[..., Path]


def later_tail(planned: PlannedRun) -> dict[str, Any]:
    """Return lateness that scatters by run, its tail later by a tenth for the arm that is planted so."""
    chance, histogram = random.Random(str(planned.key)), Histogram()
    scale = chance.gauss(1, 0.03)
    for percent in range(1, 101):
        late = planned.arm.name == "late-tail" and percent > 90
        histogram.record(round((1000 + 20 * percent) * scale * (1.1 if late else 1.0)), 10)
    spoiled = {"reasons": ["cold"]} if (planned.arm.name, planned.block) == ("more-cpu", 2) else {}
    return {"tick_lateness_ms": histogram.summary()} | spoiled


def test_the_planted_arms_are_kept_beside_both_plain_runs_of_their_block(make_results: MakeResults) -> None:
    suite = load_suite(str(RECORDED / "planted.toml"))
    folder = make_results(suite, later_tail)
    kept = planted(build_report(folder).document)
    assert len(kept) == 2 * suite.repeats - 1, "one is not valid"
    late = next(each for each in kept if (each["arm"], each["block"]) == ("late-tail", 3))
    assert late["worse_in"] == "tick_lateness_ms.p99"
    first, again, other = (run[1] for run in late["runs"])
    assert first != again
    assert 1.0 < other / ((first + again) / 2) < 1.25

    head, *rows = table(*same_arms(read_results(folder).index, names=False))
    assert head[-2:] == ["late-tail (sd)", "more-cpu (sd)"]
    found = {row[0]: row[1:] for row in rows}
    assert float(found["p99"][0]) == pytest.approx(2**0.5 * 0.03, rel=0.4)
    assert float(found["p99"][-2].split()[0]) == pytest.approx(0.095, abs=0.03)
    assert float(found["p50"][-2].split()[0]) == pytest.approx(0.0, abs=0.03)


def test_three_names_of_a_backend_are_kept_together(make_results: MakeResults) -> None:
    suite = load_suite(str(RECORDED / "aa.toml"))
    folder = make_results(suite, later_tail)
    kept = triples(build_report(folder).document)
    assert [len(each["runs"]) for each in kept] == [3] * 2 * suite.repeats
    assert {each["backend"] for each in kept} == {"asyncio", "gevent"}
    blocks, beside = same_arms(read_results(folder).index, names=True)
    assert (len(blocks), beside) == (2 * suite.repeats, {})
