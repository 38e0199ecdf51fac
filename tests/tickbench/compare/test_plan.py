from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import pytest

from shared.measure.load_time import WEIGHING_S
from tickbench.compare.plan import PlannedRun, estimate_s, fixed_runs, next_run, searches_of, still_searched
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.search import Capacity
from tickbench.compare.suite import BLOCKS, CapacitySearch, Side, Suite, load_suite

MakeRun = Callable[..., Run]
SIDE = Side("stall", "stall", [100, 200], 5, 2, repeats=2, load={"share": 5}, server={"pad": 9})
SEARCH = CapacitySearch("arena", "steady", 2, 1, "tick_lateness_ms.p99<=25", budget_s=100, start=100, limit=400)


def names(suite: Suite) -> list[str]:
    return [planned.arm.name for planned in fixed_runs(suite)]


def made(planned: PlannedRun, make_run: MakeRun, **fields: object) -> Run:
    known = {"part": planned.part, "block": planned.block, "again": planned.again, "attempt": planned.attempt}
    return make_run(planned.number, planned.arm.name, **(known | {"connections": planned.connections} | fields))


def all_runs(suite: Suite, make_run: MakeRun, before: Sequence[Run] = ()) -> list[Run]:
    """Make every run of a suite, as if each had ended at once."""
    runs = list(before)
    while planned := next_run(RunIndex(suite, runs)):
        runs.append(made(planned, make_run))
        assert len(runs) < 500
    return runs


def test_every_arm_runs_once_a_block_and_one_of_them_twice() -> None:
    suite = msgspec.structs.replace(load_suite("quick"), again="gevent")
    plan = list(fixed_runs(suite))
    for block in (1, 2):
        own = [planned for planned in plan if planned.block == block]
        assert Counter(planned.arm.name for planned in own) == Counter([*suite.arms, "gevent"])
        assert [planned.arm.name for planned in own if planned.again] == ["gevent"]


def test_memory_is_weighed_in_the_first_blocks_only() -> None:
    plan = list(fixed_runs(msgspec.structs.replace(load_suite("quick"), repeats=3, load={"memory": 500, "x": 1})))
    assert all(planned.load == {"memory": 500, "x": 1} for planned in plan if planned.part == BLOCKS)
    suite = msgspec.structs.replace(load_suite("quick"), repeats=3, load={"memory": 500, "x": 1}, memory_blocks=2)
    weighed = {(each.block, each.load.get("memory"), each.load["x"]) for each in fixed_runs(suite)}
    assert weighed == {(1, 500, 1), (2, 500, 1), (3, None, 1)}


def test_a_block_is_the_mirror_of_the_one_before_it() -> None:
    order = names(msgspec.structs.replace(load_suite("quick"), repeats=4))
    assert order[:4] == order[4:8][::-1]
    assert order[8:12] == order[12:][::-1]


def test_the_order_comes_from_the_seed() -> None:
    suite = load_suite("quick")
    assert names(suite) == names(suite)
    orders = {tuple(names(msgspec.structs.replace(suite, seed=seed))) for seed in range(20)}
    assert len(orders) > 5


def test_sides_run_at_each_of_their_loads_with_their_own_flags(suite: Suite) -> None:
    plan = [planned for planned in fixed_runs(msgspec.structs.replace(suite, sides=[SIDE])) if planned.part == "stall"]
    assert Counter((each.block, each.connections, each.arm.name) for each in plan) == Counter(
        (block, connections, arm) for block in (1, 2) for connections in (100, 200) for arm in suite.arms
    )
    assert (plan[0].scenario, plan[0].duration_s, plan[0].warm_up_s) == ("stall", 5, 2)
    assert plan[0].load == {"share": 5}
    assert plan[0].server == {"bots": 10, "pad": 9}


def test_runs_are_numbered_as_they_are_made_and_none_is_made_twice(suite: Suite, make_run: MakeRun) -> None:
    runs = all_runs(msgspec.structs.replace(suite, sides=[SIDE]), make_run)
    assert [run.number for run in runs] == list(range(1, 13))
    assert len({run.key for run in runs}) == 12
    assert [run.part for run in runs] == [BLOCKS] * 4 + ["stall"] * 8


@pytest.mark.parametrize("cut", [0, 1, 7, 12, 15, 17])
@pytest.mark.parametrize("slot_s", [0, 2])
def test_what_was_broken_off_goes_on_with_the_same_runs(
    suite: Suite, make_run: MakeRun, cut: int, slot_s: float
) -> None:
    whole = msgspec.structs.replace(suite, sides=[SIDE], searches=[msgspec.structs.replace(SEARCH, slot_s=slot_s)])
    runs = all_runs(whole, make_run)
    assert len(runs) > 15
    assert all_runs(whole, make_run, runs[:cut]) == runs


def test_a_run_that_the_machine_spoiled_is_made_again_up_to_a_bound(suite: Suite, make_run: MakeRun) -> None:
    runs: list[Run] = []
    first = next_run(RunIndex(suite, runs))
    assert first is not None
    suite = msgspec.structs.replace(suite, max_attempts=2)
    for attempt in range(1, suite.max_attempts + 1):
        planned = next_run(RunIndex(suite, runs))
        assert planned is not None
        assert (planned.number, planned.attempt) == (attempt, attempt)
        runs.append(made(planned, make_run, load=spoiled(make_run)))
    following = next_run(RunIndex(suite, runs))
    assert following is not None
    assert following.attempt == 1
    assert following.key != first.key
    assert {run.key for run in runs} == {first.key}


def test_a_run_that_its_arm_spoiled_or_that_failed_is_not(suite: Suite, make_run: MakeRun) -> None:
    first = next_run(RunIndex(suite, []))
    assert first is not None
    for run in (made(first, make_run, outcome="failed", load=None), made_invalid(first, make_run)):
        following = next_run(RunIndex(suite, [run]))
        assert following is not None
        assert (following.attempt, following.key == first.key) == (1, False)


def spoiled(make_run: MakeRun) -> object:
    load = make_run(1, "gevent", "steal of 7.1 % on core 0").load
    assert load is not None
    verdict = msgspec.structs.replace(load.validity, machine=load.validity.reasons)
    return msgspec.structs.replace(load, validity=verdict)


def made_invalid(planned: PlannedRun, make_run: MakeRun) -> Run:
    return made(planned, make_run, load=make_run(1, "gevent", "the warm-up was too short").load)


def test_each_arm_is_searched_until_it_is_known(suite: Suite, make_run: MakeRun) -> None:
    whole = msgspec.structs.replace(suite, searches=[SEARCH])
    runs = all_runs(whole, make_run)
    for state in searches_of(RunIndex(whole, runs)):
        assert [run.connections for run in state.runs] == [100, 200, 400, 400, 400]
        assert state.step == Capacity(400, None, "limit", 2)


def test_the_estimate_shrinks_with_what_is_made(suite: Suite, make_run: MakeRun) -> None:
    whole = msgspec.structs.replace(suite, sides=[SIDE], searches=[SEARCH])
    runs = all_runs(whole, make_run)
    estimates = [estimate_s(RunIndex(whole, runs[:count])) for count in range(len(runs) + 1)]
    assert estimates == sorted(estimates, reverse=True)
    assert estimates[0] > 4 * 7 + 8 * 7 + 2 * 100
    assert estimates[-1] == 0


def test_what_a_connection_weighs_takes_its_time(suite: Suite) -> None:
    weighed = msgspec.structs.replace(suite, load={"memory": 1000, "spawn-rate": 500})
    runs = len(list(fixed_runs(suite)))
    assert estimate_s(RunIndex(weighed)) == pytest.approx(estimate_s(RunIndex(suite)) + runs * (WEIGHING_S + 2))


def test_quick_is_estimated_under_its_ninety_seconds() -> None:
    assert estimate_s(RunIndex(load_suite("quick"))) < 90


def test_in_slots_the_arms_take_turns_and_each_round_has_an_order_of_its_own(suite: Suite, make_run: MakeRun) -> None:
    arms = ["asyncio:fanout=naive", "gevent", "asyncio"]
    search = msgspec.structs.replace(SEARCH, slot_s=1, precision=1.1)
    whole = msgspec.structs.replace(suite, arms=arms, repeats=1, searches=[search])
    runs = [run for run in all_runs(whole, make_run) if run.part == "arena"]
    rounds = [[run.arm for run in runs[at : at + 3]] for at in range(0, len(runs), 3)]
    assert all(sorted(each) == sorted(arms) for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1, "nobody is always behind the same other"
    assert {run.connections for run in runs[:3]} == {SEARCH.start}


def test_an_arm_is_searched_no_longer_than_its_own_search_takes(suite: Suite, make_run: MakeRun) -> None:
    search = msgspec.structs.replace(SEARCH, slot_s=1, budget_s=20)
    whole = msgspec.structs.replace(suite, arms=["asyncio", "gevent"], repeats=1, searches=[search])
    runs = [made(planned, make_run) for planned in fixed_runs(whole)]
    runs = [msgspec.structs.replace(run, number=n + 1) for n, run in enumerate(runs)]
    step = next_run(RunIndex(whole, runs))
    assert step is not None
    assert still_searched(RunIndex(whole, runs), next(fixed_runs(whole))) == []
    assert sorted(still_searched(RunIndex(whole, runs), step)) == ["asyncio", "gevent"]
    known = {"part": "arena", "connections": SEARCH.start, "load": None, "fault": "generator", "took_s": 25.0}
    runs += [make_run(len(runs) + 1 + number, "gevent", **known) for number in range(2)]
    assert still_searched(RunIndex(whole, runs), step) == ["asyncio"]


def test_steps_are_slots_but_of_an_arm_that_tickbench_has_not_started(suite: Suite, make_run: MakeRun) -> None:
    arms = ["gevent", "url=ws://127.0.0.1:9"]
    search = msgspec.structs.replace(SEARCH, slot_s=2, duration_s=5)
    whole = msgspec.structs.replace(suite, arms=arms, repeats=1, searches=[search])
    runs = [made(planned, make_run) for planned in fixed_runs(whole)]
    steps = {}
    for _ in arms:
        planned = next_run(RunIndex(whole, [msgspec.structs.replace(run, number=n + 1) for n, run in enumerate(runs)]))
        assert planned is not None
        steps[planned.arm.name] = (planned.slot_s, planned.duration_s, planned.slots)
        runs.append(made(planned, make_run))
    assert steps == {arms[0]: (2, 2, 1), arms[1]: (0, 5, 0)}
