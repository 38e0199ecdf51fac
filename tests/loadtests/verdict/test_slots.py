"""Which slots are left out, and what a run is that has none left."""

from dataclasses import replace

import pytest

from loadtests.verdict.checks import REASONS
from loadtests.verdict.findings import Findings
from loadtests.verdict.slots import Slots, spoiled_by
from loadtests.verdict.summary import summarise
from loadtests.verdict.validity import judge
from shared.measure.summary import FOR_ANOTHER, SlotFigures
from tests.loadtests.verdict.test_joined import Doings, Timeline
from tests.loadtests.verdict.test_validity import QUIET

CALM, STOLEN, HELD_BACK = Doings(8, (100, 200)), Doings(8, (900,), steal_eighths=1), Doings(8, (800,), throttled_us=7)


@pytest.mark.parametrize(
    ("found", "why", "words"),
    [
        (replace(QUIET, steal_percent=2.1), "the hypervisor stole", "stole 2.1 % of a measured core (limit 2 %)"),
        (replace(QUIET, core_gap_ms=25.1), "the server's core was away", "away for 25.1 ms at once"),
        (replace(QUIET, foreign_server_percent=3.1), "other processes took CPU", "took 3.1 % of the server's core"),
        (replace(QUIET, throttled="the server for 9 ms"), "a CPU quota held back", "held back the server for 9 ms"),
        (replace(QUIET, clock_step_us=1001), "the clock was stepped", "stepped by 1.0 ms"),
    ],
)
def test_what_the_machine_does_spoils_a_slot(found: Findings, why: str, words: str) -> None:
    ((short, said),) = spoiled_by(found).items()
    assert short == why
    assert words in said


@pytest.mark.parametrize(
    "found",
    [
        QUIET,
        replace(QUIET, steal_percent=2.0, core_gap_ms=25.0, foreign_server_percent=3.0, clock_step_us=1000),
        replace(QUIET, coalesced=50_000, generator_cpu_percent=99, slow_skips=3, own_limits="too many open files"),
        replace(QUIET, core_gap_ms=99, core_gap_outranks=False),
        replace(QUIET, stretch_p50_us=[9000, 1000, 1000, 1000], missing=500),
    ],
)
def test_nothing_else_does(found: Findings) -> None:
    assert spoiled_by(found) == {}


def test_a_whole_run_bears_more_steal_than_a_slot() -> None:
    assert judge(replace(QUIET, steal_percent=4.9)).ok


def test_all_that_the_machine_does_can_be_counted() -> None:
    of_machine = {check.name for check in REASONS if check.effect.at_fault == "machine"}
    assert {check.name for check in REASONS if check.in_short} == of_machine - {"slots_spoiled"}


def test_the_kept_slots_are_the_run() -> None:
    timeline, slots = Timeline(), Slots()
    of = [slots.take(timeline.measured(doing), 0.4) for doing in (CALM, STOLEN, HELD_BACK, CALM)]
    assert [bool(slot.spoiled) for slot in of] == [False, True, True, False]
    assert of[1].steal_percent == pytest.approx(12.5)
    assert of[1].core_gap_ms == 2.0
    summary = summarise(slots.joined())
    left_out = {"the hypervisor stole": 1, "a CPU quota held back": 1}
    assert summary.slots == SlotFigures(
        slot_s=1.0, made=4, kept=2, thrown_s=0.4, left_out=left_out, steal_percent=12.5 / 4
    )
    assert (summary.duration_s, summary.frames.received) == (2.0, 4)
    assert summary.tick_lateness_ms.max == 0.2
    assert summary.machine.steal_percent == 0
    assert summary.validity.machine == []


def test_if_none_is_kept_the_machine_is_the_reason_and_the_last_has_the_figures() -> None:
    timeline, slots = Timeline(), Slots()
    slots.warm_up(timeline.measured(CALM))
    for doing in (STOLEN, replace(STOLEN, late_us=(700, 700))):
        slots.take(timeline.measured(doing), 0.4)
    summary = summarise(slots.joined())
    assert summary.slots is not None
    assert (summary.slots.made, summary.slots.kept, summary.frames.received) == (2, 0, 2)
    assert summary.validity.reasons == summary.validity.machine, "it is not cold, either"
    (why,) = [reason for reason in summary.validity.machine if "slots" in reason]
    assert why == "the machine spoiled all of the 2 slots: the figures are those of the last"
    assert summary.validity.spoiled_by("tick_lateness_ms.p99")


def test_one_that_was_spoiled_for_another_arm_is_left_out_too_and_counted_once() -> None:
    timeline, slots, alone, others = Timeline(), Slots(), Timeline(), Slots()
    for number, doing in enumerate((CALM, replace(CALM, late_us=(300, 700)), STOLEN, CALM)):
        slots.take(timeline.measured(doing), 0.4)
        if number in (1, 2):
            slots.drop()
    for doing in (CALM, CALM):
        others.take(alone.measured(doing), 0.4)
    summary, expected = summarise(slots.joined()), summarise(others.joined())
    assert summary.slots is not None
    assert (summary.slots.made, summary.slots.kept) == (4, 2)
    assert summary.slots.left_out == {FOR_ANOTHER: 1, "the hypervisor stole": 1}
    assert FOR_ANOTHER == "the machine spoiled it for another arm"
    assert summary.tick_lateness_ms == expected.tick_lateness_ms
    assert (summary.frames, summary.validity) == (expected.frames, expected.validity)


def test_if_the_last_one_kept_is_dropped_none_is() -> None:
    slots = Slots()
    slots.take(Timeline().measured(CALM), 0.4)
    slots.drop()
    summary = summarise(slots.joined())
    assert summary.slots is not None
    assert (summary.slots.kept, summary.slots.left_out) == (0, {FOR_ANOTHER: 1})
    assert summary.validity.machine == ["the machine spoiled all of the 1 slots: the figures are those of the last"]


def test_whether_others_ran_at_the_same_time_is_said() -> None:
    for beside in ({}, {7: {0}}):
        slots, timeline = Slots(), Timeline()
        for each in ({}, beside):
            slots.take(replace(timeline.measured(CALM), beside=each), 0.4)
        figures = summarise(slots.joined()).slots
        assert figures is not None
        assert figures.beside is bool(beside)


@pytest.mark.parametrize(
    ("warm", "is_cold"),
    [(CALM, False), (replace(CALM, late_us=(1500, 1500)), True), (replace(STOLEN, late_us=(1500, 1500)), False)],
)
def test_a_warm_up_that_the_machine_spoiled_says_nothing_of_the_server(warm: Doings, *, is_cold: bool) -> None:
    timeline, slots = Timeline(), Slots()
    slots.warm_up(timeline.measured(warm))
    for late_us in (800, 800, *CALM.late_us[:1] * 4):
        slots.take(timeline.measured(replace(CALM, late_us=(late_us,) * len(CALM.late_us))), 0.4)
    reasons = summarise(slots.joined()).validity.reasons
    assert any("warm-up was too short" in reason for reason in reasons) is is_cold


def test_a_run_in_one_piece_has_no_slots() -> None:
    assert summarise(Timeline().measured(CALM)).slots is None
