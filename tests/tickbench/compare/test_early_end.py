import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shared.measure.summary import SlotFigures, StepDigests
from tickbench.compare.early_end import has_ended_early
from tickbench.compare.plan import PlannedRun, estimate_s, next_runs
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import CapacitySearch, Suite
from tickbench.errors import InputError
from tickbench.verdict.comparisons import compare_all

Measured = Callable[..., Run]
Figures = Callable[[PlannedRun], dict[str, Any]]


@pytest.fixture
def early_suite(whole_suite: Suite) -> Suite:
    sides = [side for side in whole_suite.sides if side.name == "storm"]
    return msgspec.structs.replace(whole_suite, repeats=8, may_end_early=True, sides=sides, searches=[])


def late_by(factor: float = 1.5, again: float = 1.0, spread: float = 0.003) -> Figures:
    """Return lateness in which gevent is so many times as late, and the second run of asyncio."""

    def figures(planned: PlannedRun) -> dict[str, Any]:
        noise = 1 + spread * random.Random(str(planned.key)).uniform(-1, 1)
        more = (factor if planned.arm.name == "gevent" else 1.0) * (again if planned.again else 1.0)
        return {"tick_lateness_ms__p50": 10 * noise * more, "tick_lateness_ms__p99": 20 * noise}

    return figures


def whole_index(suite: Suite, measured: Measured, figures: Figures) -> RunIndex:
    index = RunIndex(suite)
    while planned := next_runs(index):
        steps = StepDigests(first_n=1, crc32="0 1 2", conflicting=0)
        index = RunIndex(suite, [*index.runs, *(measured(each, steps=steps, **figures(each)) for each in planned)])
    return index


def blocks_made(index: RunIndex) -> int:
    return max(run.block for run in index.counted("blocks"))


def test_what_half_of_the_blocks_decide_is_not_measured_on(early_suite: Suite, measured: Measured) -> None:
    index = whole_index(early_suite, measured, late_by())
    found = compare_all(index)
    assert (blocks_made(index), found.suppressed) == (4, None)
    assert [each.verdict.kind for each in found.primary if each.verdict] == ["better", "equivalent"]
    assert found.ended_early == (
        "It ended after 4 of 8 blocks, as these decide every verdict at a level that allows for having looked: 0.31 % "
        "for all of them together, not 5 %; the confidence of their intervals is 99.69 to 99.92 %."
    )
    assert index.counted("storm"), "the sides are made all the same"


def test_its_intervals_are_as_sure_as_the_look_has_to_be(early_suite: Suite, measured: Measured) -> None:
    early = compare_all(whole_index(early_suite, measured, late_by()))
    at_end = compare_all(whole_index(early_suite, measured, late_by(spread=0.1)))
    at_once = msgspec.structs.replace(early_suite, may_end_early=False)
    never = compare_all(whole_index(at_once, measured, late_by(spread=0.1)))
    sure = [[each.ratio.confidence for each in found.primary if each.ratio] for found in (early, at_end, never)]
    assert sure[0] == pytest.approx([1 - 0.00082, 1 - 0.00305], abs=1e-5)
    assert sure[1] == pytest.approx([1 - 0.02472, 1 - 0.04900], abs=1e-5)
    assert sure[2] == pytest.approx([1 - 0.025, 1 - 0.05])
    assert (at_end.ended_early, never.ended_early) == ("", "")


@pytest.mark.parametrize(
    "figures",
    [late_by(spread=0.1), late_by(again=1.2)],
    ids=["a verdict is not decided", "the arm that runs twice differs from itself"],
)
def test_what_is_not_decided_goes_on_to_the_end(early_suite: Suite, measured: Measured, figures: Figures) -> None:
    index = whole_index(early_suite, measured, figures)
    assert blocks_made(index) == 8
    assert not compare_all(index).ended_early


def test_arms_that_lost_unequal_shares_of_their_slots_go_on(early_suite: Suite, measured: Measured) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        spoiled = 5 if planned.arm.name == "gevent" else planned.block % 2
        return late_by()(planned) | {"slots": SlotFigures(slot_s=1, made=10 + spoiled, kept=10, thrown_s=0.4)}

    assert blocks_made(whole_index(early_suite, measured, figures)) == 8


def test_a_suite_that_was_not_asked_to_goes_on(early_suite: Suite, measured: Measured) -> None:
    asked = msgspec.structs.replace(early_suite, may_end_early=False)
    assert blocks_made(whole_index(asked, measured, late_by())) == 8


@pytest.mark.parametrize("figures", [late_by(), late_by(spread=0.1)], ids=["ends early", "goes on"])
@pytest.mark.parametrize("slot_s", [0.0, 1.0], ids=["whole runs", "slots"])
def test_one_that_is_interrupted_anywhere_decides_the_same(
    early_suite: Suite, measured: Measured, figures: Figures, slot_s: float
) -> None:
    suite = msgspec.structs.replace(early_suite, slot_s=slot_s)
    runs = whole_index(suite, measured, figures).runs
    of_block = suite.runs_per_block if slot_s else 1  # a block in slots that was broken off is made anew as a whole
    for made in range(0, len(runs), of_block):
        planned = next_runs(RunIndex(suite, runs[:made]))
        assert [each.key for each in planned] == [run.key for run in runs[made : made + len(planned)]]


def test_one_that_went_on_is_not_looked_at_again(early_suite: Suite, measured: Measured) -> None:
    """Else a run of the first half that is made again could end it with blocks behind the look made."""
    noisy = whole_index(early_suite, measured, late_by(spread=0.1)).runs
    clear = [run for run in whole_index(early_suite, measured, late_by()).runs if run.part == "blocks"]
    begun = [*clear, *noisy[len(clear) : len(clear) + 1]]
    assert has_ended_early(RunIndex(early_suite, clear))
    assert not has_ended_early(RunIndex(early_suite, clear[:-1])), "the last run before the look is not made"
    assert not has_ended_early(RunIndex(early_suite, begun))


def test_how_long_it_takes_is_told_without_the_blocks_that_are_saved(early_suite: Suite, measured: Measured) -> None:
    index = whole_index(early_suite, measured, late_by())
    assert estimate_s(index) == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"repeats": 5}, "'may_end_early' needs 'verdicts' that decide it, and 6 repeats"),
        ({"verdicts": []}, "'may_end_early' needs 'verdicts'"),
        ({"verdicts": ["arena"]}, "a verdict on the search 'arena' do not go together"),
    ],
)
def test_what_cannot_end_early_is_refused(early_suite: Suite, fields: dict[str, Any], words: str) -> None:
    arena = CapacitySearch("arena", "steady", 2, 1, "reach>=0.9", budget_s=9, repeats=3)
    suite = msgspec.structs.replace(early_suite, searches=[arena], **fields)
    with pytest.raises(InputError, match=words):
        suite.check()
