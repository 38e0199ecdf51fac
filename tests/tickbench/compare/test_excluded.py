from collections.abc import Callable, Sequence

import msgspec
import pytest

from shared.measure.summary import SlotFigures
from tickbench.compare.excluded import excluded_shares, why_not_by_shares
from tickbench.compare.plan import fixed_runs
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import Suite

Measured = Callable[..., Run]
SPOILED = [0, 4, 0, 1, 9, 0, 2, 1]
"""Of the first arm in each block: in clusters, as they come."""


@pytest.fixture
def slot_index(whole_suite: Suite, measured: Measured) -> Callable[[Sequence[int], Sequence[int]], RunIndex]:
    """Make an index of eight blocks in which so many slots of asyncio and of gevent were spoiled, ten being kept."""
    suite = msgspec.structs.replace(whole_suite, repeats=8, sides=[], searches=[])

    def make(first: Sequence[int], other: Sequence[int]) -> RunIndex:
        spoiled = {"asyncio": first, "gevent": other}
        runs = []
        for number, planned in enumerate(fixed_runs(suite), start=1):
            of_arm = spoiled.get(planned.arm.name)
            left_out = 0 if of_arm is None else of_arm[planned.block - 1]
            slots = SlotFigures(slot_s=1, made=10 + left_out, kept=10, thrown_s=0.4)
            runs.append(measured(msgspec.structs.replace(planned, number=number), slots=slots))
        return RunIndex(suite, runs)

    return make


Make = Callable[[Sequence[int], Sequence[int]], RunIndex]


def test_the_excluded_share_of_each_arm_is_told(slot_index: Make) -> None:
    shares = excluded_shares(slot_index(SPOILED, [0] * 8))
    assert [(each.arm, each.made, each.kept) for each in shares] == [
        ("asyncio:fanout=naive", 80, 80),
        ("asyncio", 2 * 97, 160),
        ("gevent", 80, 80),
    ]
    assert shares[1].words == "17.5 % of 194 slots"


def test_slots_of_a_block_that_was_made_again_are_told_too(slot_index: Make) -> None:
    """Else the arm that was spoiled more often would seem to have been as calm as the other, by being chosen."""
    calm, spoiled = slot_index([0] * 8, [0] * 8), slot_index([0] * 8, [10, 11, 9, 0, 0, 0, 0, 0])
    behind = [msgspec.structs.replace(run, number=run.number + 100, attempt=2) for run in calm.runs if run.block < 4]
    index = RunIndex(calm.suite, [*spoiled.runs, *behind])
    assert [(each.made, each.kept) for each in excluded_shares(index)] == [(110, 110), (220, 220), (140, 110)]
    assert why_not_by_shares(index) is None  # three blocks of eight may be chance
    worse = slot_index([0] * 8, [10, 11, 9, 12, 10, 0, 0, 0])
    assert why_not_by_shares(RunIndex(calm.suite, [*worse.runs, *behind])) is not None


def test_unequal_shares_forbid_a_verdict(slot_index: Make) -> None:
    why = why_not_by_shares(slot_index(SPOILED, [spoiled + 3 for spoiled in SPOILED]))
    assert why is not None
    assert why.startswith("The machine spoiled 17.5 % of 194 slots of asyncio and 33.9 % of")
    assert why_not_by_shares(slot_index([spoiled + 3 for spoiled in SPOILED], SPOILED)) is not None


def test_one_cluster_is_no_evidence_however_many_slots_it_has(slot_index: Make) -> None:
    assert why_not_by_shares(slot_index([0] * 8, [0, 0, 10, 0, 0, 0, 0, 0])) is None


def test_where_nothing_is_spoiled_nothing_differs(slot_index: Make) -> None:
    assert why_not_by_shares(slot_index([0] * 8, [0] * 8)) is None
    assert why_not_by_shares(slot_index(SPOILED, SPOILED)) is None


def test_whole_runs_have_no_shares(slot_index: Make) -> None:
    index = slot_index(SPOILED, [9] * 8)
    runs = [
        msgspec.structs.replace(run, load=msgspec.structs.replace(run.load, slots=None))
        for run in index.runs
        if run.load
    ]
    whole = RunIndex(index.suite, runs)
    assert (excluded_shares(whole), why_not_by_shares(whole)) == ([], None)
    assert why_not_by_shares(RunIndex(index.suite, index.runs[:8])) is None, "in two blocks"
