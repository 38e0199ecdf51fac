"""Groups, stages and stretches are counted apart: by hand."""

from __future__ import annotations

import pytest

from loadtests.account.counts import MAIN
from loadtests.account.recorder import STRETCH_US, Recorder
from loadtests.receive.arrivals import ArrivalLog, ArrivedTick
from tests.loadtests.receive.test_arrivals import stamp
from tests.support.stories import (
    END_US,
    ONE,
    PERIOD_US,
    START_US,
    Member,
    Story,
    counts,
    due,
    sent,
    steady,
    ticks,
)


def test_groups_are_counted_apart() -> None:
    members = [Member(), Member(group="stalled")]
    recorder = Story(members, steady(100, 100) + steady(7000, member=1), range(START_US, due(2))).played()
    assert counts(recorder.groups[MAIN]) == (2, 0, 0, 0)
    assert counts(recorder.groups["stalled"]) == (1, 1, 0, 0)
    assert recorder.groups[MAIN].tick_lateness.max_us == 100
    assert recorder.latest_lateness.count == 2, "of the main group"
    assert [accounts.jitter.count for accounts in recorder.groups.values()] == [1, 0]
    assert recorder.group_of(1) is recorder.groups["stalled"]


def test_marks_are_counted_in_the_window() -> None:
    recorder = Recorder()
    recorder.add_connection("main", "left")
    recorder.measure(range(due(1), due(3)))
    log = ArrivalLog()
    for n in range(3):
        log.append(0, log.add(ArrivedTick(n, due(n), sent(n), 40)), b"" if n < 2 else stamp(sent(n)))
        log.mark_coalesced()
        log.mark_slow_parse()
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    left = recorder.groups["left"]
    assert (left.coalesced, left.slow_parse, left.unstamped, left.bytes) == (2, 2, 1, 80)


def test_a_staircase_has_its_stages_apart() -> None:
    members = [Member(), Member(group="left"), Member()]
    arrivals = steady(*[100] * 10) + steady(*[100] * 10, member=1) + ticks(5, 6, 9, member=2, delay_us=900)
    story = Story(members, arrivals, range(START_US, due(10)), stages=[0, 5 * PERIOD_US])
    recorder = story.recorded()
    recorder.end_stage(0)
    recorder.presences.end(2, due(10))
    recorder.end_stage(1)
    recorder.settle(END_US)
    assert [(stage.received, stage.missing) for stage in recorder.stages] == [(5, 0), (8, 2)]
    assert [stage.tick_lateness.count for stage in recorder.stages] == [5, 10]
    assert [stage.interval_error.count for stage in recorder.stages] == [4, 6]
    assert [stage.connections for stage in recorder.stages] == [2, 1]
    assert recorder.stages[1].tick_lateness.max_us == 2 * PERIOD_US + 900


def test_an_odd_due_time_is_in_the_stage_where_it_was_sent() -> None:
    story = Story(ONE, ticks(0, 1, 2, 3), range(START_US, due(4)), odd=frozenset({2}), stages=[0, 2 * PERIOD_US])
    stages = story.played().stages
    assert [(stage.received, stage.interval_error.count) for stage in stages] == [(2, 1), (2, 2)]


def test_stretches_begin_two_seconds_before_the_window() -> None:
    period_us = STRETCH_US // 2
    recorder = Recorder(period_us)
    recorder.add_connection("main")
    recorder.add_connection("main", "left")
    start_us = START_US + 4 * period_us
    recorder.measure(range(start_us, start_us + 3 * STRETCH_US))
    log = ArrivalLog()
    for n in range(12):
        due_us = START_US + n * period_us
        for index in (0, 1):
            log.append(index, log.add(ArrivedTick(n, due_us, due_us, 50)), stamp(due_us + 10 * n + 1000 * index))
    recorder.take(log.drain(), 0)
    recorder.close()
    # Two ticks each: the last two of the warm-up first; what is due earlier or later is in none.
    assert [(stretch.count, stretch.max_us) for stretch in recorder.stretches] == [(2, 30), (2, 50), (2, 70), (2, 90)]


@pytest.mark.parametrize(("seconds", "stretches"), [(1, 2), (2, 2), (5, 3), (10, 6), (3600, 17)])
def test_a_window_has_a_stretch_every_two_seconds_up_to_a_limit(seconds: int, stretches: int) -> None:
    recorder = Recorder()
    recorder.measure(range(START_US, START_US + seconds * 1_000_000))
    assert len(recorder.stretches) == stretches
