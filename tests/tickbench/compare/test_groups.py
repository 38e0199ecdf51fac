"""More arms than can run at once: they do it in groups, and the first is in each."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from tests.tickbench.fakes.tickbench_with_fakes import fake_load, fake_server
from tickbench.children.commands import Commands
from tickbench.compare.at_once import MOST_AT_ONCE, grouped, phases
from tickbench.compare.block import block_order, run_block
from tickbench.compare.plan import fixed_runs, next_runs
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import Suite
from tickbench.compare.trial import Trial
from tickbench.machine.pinning import Pinning

P50 = "tick_lateness_ms.p50"
FIRST, *OTHERS = [f"asyncio:pad={number}" for number in range(7)]


@pytest.fixture
def suite(suite: Suite) -> Suite:
    """Return a suite of eight arms, seven of which run at once, the first of them twice."""
    return msgspec.structs.replace(
        suite,
        arms=[FIRST, *OTHERS, "gevent"],
        compare=[FIRST, *OTHERS, "gevent"],
        at_once=[FIRST, *OTHERS],
        again=FIRST,
        slot_s=0.02,
        duration_s=0.02,
        together_s=0.04,
        warm_up_s=0.01,
        repeats=3,
        server={},
    )


def test_each_of_many_is_in_one_group_with_the_first_and_no_group_is_too_large() -> None:
    for number in range(1, 20):
        others = [f"arm{each}" for each in range(number)]
        groups = grouped(["first", *others], "first", "first")
        assert [name for group in groups for name in group if name != "first"] == others
        assert all(group[0] == "first" for group in groups)
        servers = [len(group) + (place == 0) for place, group in enumerate(groups)]
        assert max(servers) <= MOST_AT_ONCE


def test_what_cannot_be_set_beside_one_arm_is_not_grouped() -> None:
    arms = ["a", "b", "c", "d", "e"]
    assert grouped(arms, None, None) == []
    assert grouped(arms, "a", "b") == [], "whose second run would be beside an arm that is not the first"
    assert grouped(arms[:4], None, None) == [arms[:4]]
    assert grouped(arms[:1], "a", None) == []


def test_ticks_of_a_group_are_spread_over_a_period_and_the_first_keeps_its_place() -> None:
    groups = grouped([FIRST, *OTHERS], FIRST, FIRST)
    assert [len(group) for group in groups] == [3, 4, 2]
    followed = Counter[tuple[str, str]]()
    for block in range(1, 5):
        placed = phases(groups, FIRST, block, seed=7)
        assert len({each[FIRST, False] for each in placed}) == 1
        assert sorted(placed[0].values()) == sorted(placed[1].values()) == [0, 0.25, 0.5, 0.75]
        assert set(placed[2].values()) < {0, 0.25, 0.5, 0.75}
        order = [name for (name, _), _ in sorted(placed[1].items(), key=lambda pair: pair[1])]
        followed.update(pairwise(order))
    assert len(set(followed.values())) == 1, "over four blocks each comes behind each equally often"


def test_a_server_keeps_its_phase_and_no_two_runs_have_one_key(suite: Suite) -> None:
    planned = list(fixed_runs(suite))
    assert len({each.key for each in planned}) == len(planned)
    for block in range(1, suite.repeats + 1):
        own = [each for each in planned if each.block == block]
        alone = {(each.arm.name, each.again): each.server for each in own if each.part == "blocks"}
        together = [each for each in own if each.part == "together"]
        assert Counter(each.group for each in together) == {0: 4, 1: 4, 2: 2}
        assert all(each.server == alone[each.arm.name, each.again] for each in together)
        assert [each.arm.name for each in together if each.again] == [FIRST]
        assert "phase" not in alone["gevent", False]


def test_a_block_in_groups_is_made_and_each_ratio_is_of_one_group(suite: Suite) -> None:
    planned = next_runs(RunIndex(suite))
    order = block_order([each for each in planned if each.part == "blocks"], suite.seed)
    commands = Commands(server=fake_server, load=fake_load, check=None)
    runs = run_block(planned, order, Trial(Pinning(None, None), commands, lambda _: None), 0)
    assert [run.key for run in runs] == [each.key for each in planned]
    assert {run.outcome for run in runs} == {"finished"}
    made = [msgspec.structs.replace(run, number=number) for number, run in enumerate(runs, start=1)]
    index = RunIndex(suite, made)
    assert index.made_together == [made]
    assert {each.block for each in next_runs(index)} == {2}
    for place, other in enumerate(OTHERS):
        group = 0 if place < 2 else 1 if place < 5 else 2
        assert {run.group for run in index.runs_for_ratio(P50, FIRST, other)} == {group}
        assert {run.group for run in index.runs_for_ratio(P50, other, FIRST)} == {group}
    assert index.is_together(P50, FIRST, FIRST)
    assert not index.is_together(P50, FIRST, "gevent")
    assert not index.is_together(P50, OTHERS[0], OTHERS[-1])


def test_where_ticks_met_in_one_group_only_its_ratios_are_of_arms_alone(
    suite: Suite, measured: Callable[..., Run]
) -> None:
    def index(late: set[int]) -> RunIndex:
        def figures(group: int) -> dict[str, Any]:
            return {"tick_lateness_ms__p99": 13.0 if group in late else 12.0, "tick_rate_hz": 20.0}

        runs = [measured(each, **figures(each.group if each.part == "together" else -1)) for each in fixed_runs(suite)]
        return RunIndex(suite, [msgspec.structs.replace(run, number=place) for place, run in enumerate(runs, start=1)])

    some = index({1})
    assert some.ticks_met is None
    assert some.met.keys() == {1}
    assert [some.is_together(P50, FIRST, other) for other in OTHERS] == [True, True, False, False, False, True]
    assert index({0, 1, 2}).ticks_met is not None
