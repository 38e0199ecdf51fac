import random
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import msgspec
import pytest

from tickbench.compare.plan import PlannedRun, block_estimate_s
from tickbench.compare.results import read_results
from tickbench.compare.search import Capacity
from tickbench.compare.suite import CapacitySearch, Suite
from tickbench.verdict.comparisons import Comparisons, compare_all

MakeResults = Callable[..., Path]
Factors = dict[str, float]


def noise(planned: PlannedRun, spread: float = 0.02) -> float:
    """Return about 1, for each run another, always the same."""
    return 1 + spread * random.Random(str(planned.key)).uniform(-1, 1)


def lateness(factors: Factors, again: float = 1.0, spread: float = 0.02) -> Callable[[PlannedRun], dict[str, Any]]:
    """Return lateness around 10 ms, by arm so many times that."""

    def figures(planned: PlannedRun) -> dict[str, Any]:
        factor = factors.get(planned.arm.name, 1.0) * (again if planned.again else 1.0) * noise(planned, spread)
        return {"tick_lateness_ms__p50": 10 * factor, "tick_lateness_ms__p99": 20.0 * noise(planned, spread)}

    return figures


def compared(folder: Path) -> Comparisons:
    return compare_all(read_results(folder).index)


@pytest.fixture
def blocks(whole_suite: Suite) -> Suite:
    return msgspec.structs.replace(whole_suite, sides=[], searches=[])


def test_a_difference_is_found_and_its_winner_named(make_results: MakeResults, blocks: Suite) -> None:
    found = compared(make_results(blocks, lateness({"gevent": 1.5})))
    p50, p99 = found.primary
    assert found.suppressed is None
    assert (p50.figure, p50.winner) == ("tick_lateness_ms.p50", "asyncio")
    assert p50.ratio is not None
    assert (p50.ratio.blocks, round(p50.ratio.ratio, 1)) == (4, 1.5)
    assert p99.verdict is not None
    assert (p99.verdict.kind, p99.winner) == ("equivalent", None)


@pytest.mark.parametrize(("p99_ms", "words"), [(0.3, "equivalent within 0.5 ms"), (3.0, "inconclusive")])
def test_what_nobody_notices_is_no_difference_where_the_ratio_decides_none(
    make_results: MakeResults, blocks: Suite, p99_ms: float, words: str
) -> None:
    """Of 20 Hz a hundredth: both scatter by a quarter, which is 0.1 ms of the one and 0.8 ms of the other."""

    def figures(planned: PlannedRun) -> dict[str, Any]:
        return {"tick_lateness_ms__p99": p99_ms * noise(planned, 0.25), "tick_rate_hz": 20.0}

    (p99,) = [each for each in compared(make_results(blocks, figures)).primary if each.figure == "tick_lateness_ms.p99"]
    assert p99.verdict_words == words
    assert (p99.to_decide is None) == (words != "inconclusive")


def test_each_block_has_its_ratio_by_its_number(make_results: MakeResults, blocks: Suite) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        spoiled = planned.arm.name == "gevent" and planned.block == 2
        return lateness({"gevent": 1.5})(planned) | ({"reasons": ["cold"]} if spoiled else {})

    found = compared(make_results(blocks, figures))
    for each in [*found.primary, *found.floor, *found.others]:
        assert list(each.by_block) == ([1, 3, 4] if each.other == "gevent" else [1, 2, 3, 4])
        assert each.ratio is not None
        assert each.ratio.ratio == pytest.approx(geometric_mean(each.by_block.values()))


def test_an_arm_that_differs_from_itself_suppresses_every_verdict(make_results: MakeResults, blocks: Suite) -> None:
    found = compared(make_results(blocks, lateness({"gevent": 1.5}, again=1.4)))
    assert found.suppressed is not None
    assert "asyncio differs from itself (tick lateness p50 better by 1.4" in found.suppressed
    assert [each.verdict for each in found.primary] == [None, None]
    assert [each.winner for each in found.floor] == ["asyncio", None]


def test_what_would_decide_what_is_inconclusive_is_told(make_results: MakeResults, blocks: Suite) -> None:
    p50, p99 = compared(make_results(blocks, lateness({"gevent": 3.0}, spread=0.12))).primary
    assert (p50.winner, p50.to_decide) == ("asyncio", None)
    assert p99.to_decide is not None
    assert p99.to_decide.more_blocks is not None
    assert p99.to_decide.more_s == p99.to_decide.more_blocks * block_estimate_s(blocks)
    minutes = round(p99.to_decide.more_s / 60)
    assert p99.to_decide.words.startswith(
        f"deciding it takes about {p99.to_decide.more_blocks} blocks more, {minutes} minutes"
    )


def test_the_floor_is_the_interval_of_the_arm_with_itself(make_results: MakeResults, blocks: Suite) -> None:
    floor = compared(make_results(blocks, lateness({}, again=1.04, spread=0.01))).floor
    assert [(each.figure, each.first, each.other) for each in floor] == [
        (figure, "asyncio", "asyncio") for figure in blocks.verdicts
    ]
    assert floor[0].ratio is not None
    assert floor[0].ratio.ratio == pytest.approx(1.04, rel=0.05)
    assert floor[0].ratio.confidence == 0.95
    assert [each.winner for each in floor] == [None, None], "within 10 %, or not certain: no reason to suppress"


def test_both_runs_of_the_arm_that_runs_twice_count(make_results: MakeResults, blocks: Suite) -> None:
    found = compared(make_results(blocks, lateness({"asyncio": 1.0}, again=1.02, spread=0)))
    ratio = found.primary[0].ratio
    assert ratio is not None
    assert ratio.ratio == pytest.approx(1 / 1.02**0.5)


def test_a_block_without_a_valid_run_of_both_is_left_out(make_results: MakeResults, blocks: Suite) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        bad = planned.arm.name == "gevent" and planned.block == 2
        return lateness({"gevent": 1.5})(planned) | ({"reasons": ["too short a warm-up"]} if bad else {})

    ratio = compared(make_results(blocks, figures)).primary[0].ratio
    assert ratio is not None
    assert ratio.blocks == 3


def test_a_block_counts_for_the_figures_that_what_spoiled_its_run_spared(
    make_results: MakeResults, blocks: Suite
) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        stolen = {"reasons": ["steal of 9 %"], "spared": ("server.rss_per_connection_bytes",)}
        return lateness({})(planned) | (stolen if planned.block == 2 else {})

    found = compared(make_results(blocks, figures))
    blocks_of = {each.figure: each.ratio.blocks for each in found.others if each.ratio and each.other == "gevent"}
    assert blocks_of["server.rss_per_connection_bytes"] == 4
    assert blocks_of["tick_lateness_ms.p99"] == blocks_of["server.cpu_us_per_frame"] == 3


def test_without_enough_blocks_there_is_no_verdict(make_results: MakeResults, blocks: Suite) -> None:
    found = compared(make_results(msgspec.structs.replace(blocks, repeats=2), lateness({"gevent": 3.0})))
    assert found.suppressed == "In fewer than 3 blocks the figures of both asyncio and gevent can be trusted."


@pytest.mark.parametrize("missing", [1, 3, 7])
def test_before_the_last_block_is_made_nothing_is_decided(
    make_results: MakeResults, blocks: Suite, missing: int
) -> None:
    folder = make_results(blocks, lateness({"gevent": 1.5}), most=4 * 4 - missing)
    found = compared(folder)
    assert found.suppressed is not None
    assert found.suppressed.startswith("Runs that verdicts rest on are not made yet.")
    assert [each.winner for each in found.primary] == [None, None]
    assert found.primary[0].ratio is not None, "its interval is shown all the same"
    assert (found.primary[0].ratio.low or 0) > 1.3


def test_parts_that_no_verdict_rests_on_may_be_missing(make_results: MakeResults, whole_suite: Suite) -> None:
    found = compared(make_results(whole_suite, lateness({"gevent": 1.5}), most=4 * 4))
    assert (found.suppressed, found.primary[0].winner) == (None, "asyncio")


def test_a_suite_that_names_none_draws_none(make_results: MakeResults, suite: Suite) -> None:
    found = compared(make_results(suite, lateness({"gevent": 3.0})))
    assert (found.primary, found.floor) == ([], [])
    assert found.suppressed is not None
    assert "names no comparison" in found.suppressed


def test_all_others_have_intervals_and_no_verdict(make_results: MakeResults, blocks: Suite) -> None:
    found = compared(make_results(blocks, lateness({"asyncio:fanout=naive": 2.0})))
    naive = next(each for each in found.others if each.other == "asyncio:fanout=naive")
    assert (naive.figure, naive.first, naive.verdict) == ("tick_lateness_ms.p50", "asyncio", None)
    assert naive.ratio is not None
    assert naive.ratio.ratio == pytest.approx(2.0, rel=0.05)
    assert {each.other for each in found.others} == {"asyncio:fanout=naive", "gevent"}


def test_searches_are_told_and_can_be_compared(make_results: MakeResults, blocks: Suite) -> None:
    search = CapacitySearch("arena", "steady", 2, 1, "tick_lateness_ms.p99<=25", budget_s=900, start=500, repeats=3)
    suite = msgspec.structs.replace(blocks, searches=[search], verdicts=["arena"])
    holds = {"gevent": 1_000, "asyncio": 2_000, "asyncio:fanout=naive": 300}

    def figures(planned: PlannedRun) -> dict[str, Any]:
        late = planned.part == "arena" and planned.connections > holds[planned.arm.name]
        return {"tick_lateness_ms__p99": 99.0 if late else 10.0}

    found = compared(make_results(suite, figures))
    assert {each.arm for each in found.searches} == set(holds)
    gevent = next(each for each in found.searches if each.arm == "gevent" and each.block == 1)
    assert gevent.capacity == Capacity(1_000, 1_200, "arm", 2)
    (capacity,) = found.primary
    assert (capacity.title, capacity.winner) == ("capacity (arena)", "asyncio")


def test_capacities_that_the_search_cannot_tell_apart_are_not_told_apart(
    make_results: MakeResults, blocks: Suite
) -> None:
    search = CapacitySearch("arena", "steady", 2, 1, "tick_lateness_ms.p99<=25", budget_s=900, start=500, repeats=3)
    suite = msgspec.structs.replace(blocks, searches=[search], verdicts=["arena"])
    holds = {"gevent": 1_199, "asyncio": 1_200}

    def figures(planned: PlannedRun) -> dict[str, Any]:
        late = planned.part == "arena" and planned.connections > holds.get(planned.arm.name, 300)
        return {"tick_lateness_ms__p99": 99.0 if late else 10.0}

    (capacity,) = compared(make_results(suite, figures)).primary
    assert capacity.ratio is not None
    assert capacity.winner is None, "one load apart in every block, and the truths differ by one connection"


@pytest.mark.parametrize("made", [16, 30])
def test_a_search_that_is_not_over_decides_nothing(make_results: MakeResults, blocks: Suite, made: int) -> None:
    search = CapacitySearch("arena", "steady", 2, 1, "tick_lateness_ms.p99<=25", budget_s=900, start=500, repeats=3)
    suite = msgspec.structs.replace(blocks, searches=[search], verdicts=["tick_lateness_ms.p50", "arena"])
    found = compared(make_results(suite, lateness({"gevent": 1.5}), most=made))
    assert found.suppressed is not None
    assert found.suppressed.startswith("Runs that verdicts rest on are not made yet.")


def test_capacities_of_which_one_is_a_lower_bound_are_not_compared(make_results: MakeResults, blocks: Suite) -> None:
    search = CapacitySearch(
        "arena", "steady", 2, 1, "tick_lateness_ms.p99<=25", budget_s=900, start=500, limit=2_000, repeats=3
    )
    suite = msgspec.structs.replace(blocks, searches=[search], verdicts=["arena"], repeats=4)

    def figures(planned: PlannedRun) -> dict[str, Any]:
        holds = 2_000 if planned.arm.name == "asyncio" and planned.block == 2 else 1_000
        late = planned.part == "arena" and planned.connections > holds
        return {"tick_lateness_ms__p99": 99.0 if late else 10.0}

    found = compared(make_results(suite, figures))
    bounds = [each for each in found.searches if each.capacity is not None and each.capacity.limited_by == "limit"]
    assert [(each.arm, each.block) for each in bounds] == [("asyncio", 2)]
    assert (found.primary[0].ratio, found.primary[0].winner) == (None, None)


def test_an_arm_of_which_it_is_not_known_what_it_did_gets_no_verdict(make_results: MakeResults, blocks: Suite) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        untold = {"steps": None} if planned.arm.name == "gevent" else {}
        return lateness({"gevent": 1.5})(planned) | untold

    found = compared(make_results(blocks, figures))
    assert found.suppressed == "Whether gevent did the same work is not known: no verdict is drawn."


def test_without_a_floor_there_is_no_verdict(make_results: MakeResults, blocks: Suite) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        return lateness({"gevent": 1.5})(planned) | ({"reasons": ["cold"]} if planned.again else {})

    found = compared(make_results(blocks, figures))
    assert found.suppressed is not None
    assert found.suppressed.startswith("How far asyncio differs from itself is not known in tick lateness p50")
