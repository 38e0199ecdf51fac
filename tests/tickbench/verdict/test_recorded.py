"""What is kept of recorded comparisons, and what is worked out of their tails: by folders that were made up."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.measure.histogram import Histogram
from tests.bench.recorded import FIGURES, triples
from tests.bench.tails import same_arms, table
from tickbench.compare.plan import PlannedRun, estimate_s
from tickbench.compare.results import read_results
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import load_suite
from tickbench.report.build import build_report

RECORDED = Path(__file__).parents[1] / "recorded"
SUITES = {file.stem: load_suite(str(file)) for file in sorted(RECORDED.glob("*.toml"))}
MakeResults = Callable[..., Path]


def later_tail(planned: PlannedRun) -> dict[str, Any]:
    """Return lateness that scatters by run, its tail later by a tenth for the arm that is planted so."""
    chance, histogram = random.Random(str(planned.key)), Histogram()
    scale = chance.gauss(1, 0.03)
    for percent in range(1, 101):
        late = planned.arm.name == "late-tail" and percent > 90
        histogram.record(round((1000 + 20 * percent) * scale * (1.1 if late else 1.0)), 10)
    is_spoiled = (planned.part, planned.arm.name, planned.block) == ("together", "late-tail", 2)
    return {
        "tick_lateness_ms": histogram.summary(),
        "server__rss_per_connection_bytes": 1000.0 * planned.block if "memory" in planned.load else None,
        "reasons": ["cold"] if is_spoiled else [],
    }


@pytest.mark.parametrize("name", SUITES)
def test_three_run_at_once_for_as_long_as_in_the_default_suite_and_in_many_blocks(name: str) -> None:
    suite, default = SUITES[name], load_suite("default")
    assert len(suite.run_together) == 2
    assert suite.again == suite.compare[0]
    assert (suite.together_s, suite.slot_s, suite.connections) == (default.together_s, default.slot_s, 300)
    assert suite.repeats >= 20
    assert estimate_s(RunIndex(suite)) <= 15 * 60


def test_what_ran_at_once_is_kept_with_what_the_same_servers_weighed(make_results: MakeResults) -> None:
    suite = SUITES["late-tail"]
    folder = make_results(suite, later_tail)
    kept = triples(build_report(folder).document)
    assert [each["block"] for each in kept] == [1, *range(3, suite.repeats + 1)], "one is not valid"
    assert {(each["arm"], each["worse_in"]) for each in kept} == {("late-tail", "tick_lateness_ms.p99")}
    by_figure = [dict(zip(FIGURES, run, strict=True)) for run in kept[1]["runs"]]
    first, again, other = (run["tick_lateness_ms.p99"] for run in by_figure)
    assert first != again
    assert 1.0 < other / ((first + again) / 2) < 1.25
    memory = [[run[-1] for run in each["runs"]] for each in kept]
    assert memory[1] == [3000.0] * 3
    assert [each["block"] for each, own in zip(kept, memory, strict=True) if own == [None] * 3] == list(range(7, 21))

    head, *rows = table(*same_arms(read_results(folder).index, names=False))
    assert head[-1] == "late-tail (sd)"
    found = {row[0]: row[1:] for row in rows}
    assert float(found["p99"][0]) == pytest.approx(2**0.5 * 0.03, rel=0.4)
    assert float(found["p99"][-1].split()[0]) == pytest.approx(0.095, abs=0.03)
    assert float(found["p50"][-1].split()[0]) == pytest.approx(0.0, abs=0.03)


def test_two_names_of_a_backend_are_kept_together(make_results: MakeResults) -> None:
    suite = SUITES["aa-gevent"]
    folder = make_results(suite, later_tail)
    kept = triples(build_report(folder).document)
    assert [(each["backend"], len(each["runs"])) for each in kept] == [("gevent", 3)] * suite.repeats
    blocks, beside = same_arms(read_results(folder).index, names=True)
    assert (len(blocks), beside) == (suite.repeats, {})
    assert {run.part for runs in blocks.values() for run in runs} == {"together"}
