"""What is kept of recorded comparisons, and what is worked out of their tails: by folders that were made up."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.measure.histogram import Histogram
from tests.bench.recorded import planted, triples
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
def test_all_run_at_once_for_as_long_as_in_the_default_suite(name: str) -> None:
    suite, default = SUITES[name], load_suite("default")
    assert suite.run_together == suite.arms
    assert (suite.together_s, suite.slot_s, suite.connections) == (default.together_s, default.slot_s, 300)
    assert suite.memory_blocks > default.memory_blocks
    assert estimate_s(RunIndex(suite)) <= 16 * 60


def test_the_planted_arms_are_kept_beside_both_plain_runs_of_their_block(make_results: MakeResults) -> None:
    suite = SUITES["planted"]
    folder = make_results(suite, later_tail)
    kept = planted(build_report(folder).document)
    assert len(kept) == 2 * suite.repeats - 1, "one is not valid"
    late = {each["block"]: each for each in kept if each["arm"] == "late-tail"}
    assert sorted(late) == [1, *range(3, suite.repeats + 1)]
    assert late[3]["worse_in"] == "tick_lateness_ms.p99"
    first, again, other = (run[1] for run in late[3]["runs"])
    assert first != again
    assert 1.0 < other / ((first + again) / 2) < 1.25
    assert [run[-1] for run in late[3]["runs"]] == [3000.0] * 3, "as the same servers weighed it"
    assert [run[-1] for run in late[suite.memory_blocks + 1]["runs"]] == [None] * 3

    head, *rows = table(*same_arms(read_results(folder).index, names=False))
    assert head[-2:] == ["late-tail (sd)", "more-cpu (sd)"]
    found = {row[0]: row[1:] for row in rows}
    assert float(found["p99"][0]) == pytest.approx(2**0.5 * 0.03, rel=0.4)
    assert float(found["p99"][-2].split()[0]) == pytest.approx(0.095, abs=0.03)
    assert float(found["p50"][-2].split()[0]) == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_three_names_of_a_backend_are_kept_together(make_results: MakeResults, backend: str) -> None:
    suite = SUITES[f"aa-{backend}"]
    folder = make_results(suite, later_tail)
    kept = triples(build_report(folder).document)
    assert [len(each["runs"]) for each in kept] == [3] * suite.repeats
    assert {each["backend"] for each in kept} == {backend}
    blocks, beside = same_arms(read_results(folder).index, names=True)
    assert (len(blocks), beside) == (suite.repeats, {})
    assert {run.part for runs in blocks.values() for run in runs} == {"together"}
