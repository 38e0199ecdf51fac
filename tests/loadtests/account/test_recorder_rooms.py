"""Which ticks a room had, who must have got them, and until when they are waited for: by hand."""

from __future__ import annotations

import sys

import pytest

from loadtests.account.counts import MAIN, Accounts
from loadtests.account.recorder import Recorder
from loadtests.account.room_ticks import ServerSkips
from loadtests.receive.arrivals import ArrivalLog, ArrivedTick
from tests.loadtests.receive.test_arrivals import stamp
from tests.support.stories import (
    CORRECTION_US,
    END_US,
    ONE,
    PERIOD_US,
    START_US,
    TWO,
    Arrival,
    Member,
    Story,
    counts,
    due,
    explained,
    lost_ticks,
    sent,
    ticks,
    unseen,
)


def test_an_echo_room_has_the_ticks_that_it_is_told_of() -> None:
    recorder = Recorder(PERIOD_US)
    recorder.add_connection("echo0", announced=True)
    recorder.measure(range(due(1), due(5)))
    log = ArrivalLog()
    for n in range(8):
        recorder.expect(0, n, due(n), sent(n))
    for n in (0, 1, 4):
        log.append(0, log.add(ArrivedTick(n, due(n), sent(n), 50)), stamp(sent(n)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (2, 2, 0, 0)
    assert unseen(recorder) == 0


def test_an_echo_that_never_came_back_is_missed_to_the_end_but_none_that_was_not_sent() -> None:
    recorder = Recorder(PERIOD_US)
    recorder.add_connection("echo0", announced=True)
    recorder.measure(range(due(0), due(50)))
    log = ArrivalLog()
    for n in range(4):
        recorder.expect(0, n, due(n), sent(n))
    log.append(0, log.add(ArrivedTick(0, due(0), sent(0), 50)), stamp(sent(0)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (1, 3, 0, 0)
    assert recorder.groups[MAIN].tick_lateness.max_us == END_US - due(1)


@pytest.mark.parametrize("overtaken", [False, True])
def test_our_own_messages_are_forgotten_when_they_have_come_back(overtaken: bool) -> None:
    recorder = Recorder(PERIOD_US)
    recorder.add_connection("echo0", announced=True)
    recorder.measure(range(due(0), due(6000)))
    log = ArrivalLog()
    for n in range(6000):
        recorder.expect(0, n, due(n), sent(n))
        came = [n] if n != 4000 else []
        for number in [*came, 4000] if overtaken and n == 4001 else came:
            log.append(0, log.add(ArrivedTick(number, due(number), sent(number), 50)), stamp(sent(n)))
        if n % 100 == 99:
            recorder.take(log.drain(), 0)
    assert len(recorder.rooms["echo0"]) <= 1000
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == ((6000, 0, 0, 1) if overtaken else (5999, 1, 0, 0))


def test_ticks_that_nobody_saw_and_the_server_did_not_skip_are_missing() -> None:
    story = Story([Member(room="r1")], ticks(0, 1, 4), range(START_US, due(5)))
    recorder = story.recorded()
    assert unseen(recorder) == 2
    assert explained(recorder, {"r1": ServerSkips(0, 5, 2)}) == ({"r1": 2}, {}, {})
    assert explained(recorder, {}) == ({"r1": 2}, {}, {"r1": 2}), "it does not say"
    assert explained(recorder, {"r1": ServerSkips(0, 5, 0)}) == ({"r1": 2}, {"r1": 2}, {})
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (3, 2, 0, 0)
    assert unseen(recorder) == 0


def test_only_as_many_are_missing_as_were_lost() -> None:
    members, numbers = [Member() for _ in range(3)], (0, 3, 4, 7, 9)  # five due times are no ticks
    arrivals = [tick for member in range(3) for tick in ticks(*numbers, member=member)]
    recorder = Story(members, arrivals, range(START_US, due(10))).recorded()
    assert lost_ticks(recorder, skipped=4) == {"main": 1}
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (15, 3, 0, 0)


@pytest.mark.parametrize(
    ("first_n", "skipped", "lost", "unexplained"),
    [
        (0, 3, 0, 0),  # all three
        (0, 2, 0, 1),  # of 1, 2 and 4 one was lost: 4, which is in the window, or not
        (0, 1, 0, 1),  # two were lost
        (0, 0, 1, 0),  # all were
        (3, 0, 1, 0),  # asked later: only 4 is meant
        (3, 1, 0, 0),
        (5, 0, 0, 1),  # asked when it was over
    ],
)
def test_what_was_skipped_outside_the_window_leaves_it_open_what_was_in_it(
    first_n: int, skipped: int, lost: int, unexplained: int
) -> None:
    recorder = Story(ONE, ticks(0, 3, 5), range(due(3), due(6))).recorded()  # 1, 2 and 4 came to nobody
    of = explained(recorder, {"main": ServerSkips(first_n, 6, skipped)})
    assert [of.all, of.lost, of.unexplained] == [{"main": count} if count else {} for count in (1, lost, unexplained)]
    recorder.settle(END_US)
    assert recorder.groups[MAIN].missing == lost


def test_a_lost_tick_at_either_edge_of_the_window_is_missing() -> None:
    recorder = Story(ONE, ticks(0, 2, 3, 5), range(due(1), due(5))).recorded()
    assert lost_ticks(recorder) == {"main": 2}
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (2, 2, 0, 0)


def test_a_window_of_which_nobody_saw_a_tick_is_missing() -> None:
    recorder = Story(ONE, ticks(0, 1, 5), range(due(2), due(5))).recorded()
    assert lost_ticks(recorder) == {"main": 3}
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (0, 3, 0, 0)


def test_a_lost_tick_behind_one_with_an_odd_due_time_is_missing() -> None:
    recorder = Story(ONE, ticks(0, 1, 2, 4), range(START_US, due(5)), odd=frozenset({2})).recorded()
    assert lost_ticks(recorder) == {"main": 1}
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (4, 1, 0, 0)
    assert recorder.groups[MAIN].tick_lateness.percentile_us(70) in range(PERIOD_US, PERIOD_US + 200)


def test_a_leap_of_n_is_no_lost_tick() -> None:
    recorder = Story(ONE, ticks(0, 1), range(START_US, END_US)).recorded()
    log = ArrivalLog()
    log.append(0, log.add(ArrivedTick(10**9, due(2), sent(2), 50)), stamp(sent(2)))
    recorder.take(log.drain(), 0)
    assert unseen(recorder) == 0
    assert lost_ticks(recorder) == {}
    recorder.close()


def test_due_times_of_a_room_that_was_empty_for_a_while_are_no_skipped_ticks() -> None:
    recorder = Story(ONE, ticks(0, 1), range(START_US, due(20))).recorded()
    recorder.count_inside(0, 1)
    log = ArrivalLog()
    log.append(0, log.add(ArrivedTick(9, due(9), sent(9), 50)), stamp(sent(9)))
    recorder.take(log.drain(), 0)
    assert unseen(recorder) == 7
    recorder.count_inside(0, -1)
    assert unseen(recorder) == 0
    assert lost_ticks(recorder) == {}
    recorder.close()


@pytest.mark.parametrize("group", [MAIN, "left"])
def test_caught_up_when_everybody_has_a_tick_from_behind_the_window(group: str) -> None:
    for late, caught_up in (([], False), (ticks(2, member=1), True)):
        arrivals = ticks(2) + ticks(1, member=1) + late
        recorder = Story([Member(), Member(group=group), Member()], arrivals, range(START_US, due(2))).recorded()
        assert recorder.caught_up() is caught_up
        recorder.presences.end(1, due(1))
        assert recorder.caught_up(), "nobody waits for who has left"
        recorder.close()


def test_a_frame_that_was_overtaken_is_waited_for() -> None:
    for late, caught_up in (([], False), (ticks(1, delay_us=90_000), True)):
        arrivals = ticks(0, 2, 3) + ticks(0, 1, 2, 3, member=1) + late
        recorder = Story([Member(), Member()], arrivals, range(START_US, due(3))).recorded()
        assert recorder.caught_up() is caught_up
        recorder.presences.end(0, due(1))
        assert recorder.caught_up(), "nobody waits for who has left"
        recorder.close()


def test_what_needs_no_common_clock_is_measured_without() -> None:
    def played(*estimates_us: int) -> Accounts:
        recorder = Recorder(PERIOD_US)
        recorder.add_connection("main")
        recorder.measure(range(START_US, due(3)))
        for n, ahead_us in enumerate(estimates_us):
            log = ArrivalLog()
            log.append(0, log.add(ArrivedTick(n, due(n), sent(n), 50)), stamp(due(n) + 1000 + 300 * n - 9))
            recorder.take(log.drain(), 9, ahead_us)
        recorder.settle(END_US)
        return recorder.groups[MAIN]

    same, other = played(0, 0, 0), played(0, 5000, -700)
    for name in ("interval_error", "pdv", "jitter"):
        assert getattr(other, name).summary() == getattr(same, name).summary()
    assert (same.tick_lateness.max_us, other.tick_lateness.max_us) == (1600, 6300)
    assert (same.delivery.max_us, other.delivery.max_us) == (1590, 6290)


def test_thousands_that_ended_early_cost_no_look_at_every_tick_behind() -> None:
    recorder = Recorder(PERIOD_US)
    for _ in range(501):
        recorder.add_connection("main")
    recorder.measure(range(START_US, due(20_000)))
    log = ArrivalLog()
    for n in range(20_000):
        log.append(500, log.add(ArrivedTick(n, due(n), sent(n), 50)), stamp(sent(n)))
    frame = log.add(ArrivedTick(0, due(0), sent(0), 50))
    for index in range(500):
        log.append(index, frame, stamp(sent(0)))
        recorder.presences.end(index, due(3))
    recorder.take(log.drain(), 0)
    looked_at = 0

    def count(frame: object, event: str, _: object) -> None:  # noqa: ARG001 - as sys.setprofile has it
        nonlocal looked_at
        looked_at += event == "call"

    sys.setprofile(count)
    try:
        recorder.settle(END_US)
    finally:
        sys.setprofile(None)
    assert recorder.groups[MAIN].missing == 1000
    assert looked_at < 100_000, "of ten million pairs of connection and tick"


def test_nobody_waits_for_who_does_not_read() -> None:
    recorder = Story(TWO, ticks(0, 1, 2) + ticks(0, member=1), range(START_US, due(2))).recorded()
    assert not recorder.caught_up()
    recorder.presences.stop_reading(1)
    assert recorder.caught_up()
    recorder.close()


def test_an_odd_due_time_does_not_keep_us_waiting() -> None:
    recorder = Story(ONE, ticks(1, 2), range(START_US, due(2)), odd=frozenset({2})).recorded()
    assert recorder.caught_up()
    recorder.close()


def test_more_connections_than_there_was_room_for() -> None:
    recorder = Recorder()
    indexes = [recorder.add_connection(f"r{i // 10}") for i in range(3000)]
    assert indexes == list(range(3000))
    recorder.measure(range(START_US, END_US))
    log = ArrivalLog()
    frame = log.add(ArrivedTick(0, due(0), sent(0), 1))
    for index in indexes:
        log.append(index, frame, stamp(due(0) + 5))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert recorder.groups[MAIN].received == recorder.groups[MAIN].requested == 3000
    assert len(recorder.rooms) == 300


def test_a_room_s_frames_are_those_of_one_window() -> None:
    first = Story([Member()], [Arrival(0, n, 10) for n in range(5)], window=range(START_US, due(5)))
    recorder = first.played()
    assert (recorder.due_times["main"].frames, recorder.due_times["main"].in_time) == (5, 5)
    recorder.rest()
    recorder.measure(range(due(5), due(8)))
    log = ArrivalLog()
    for n, delay_us in ((5, 25_000), (6, 25_001), (7, 10)):
        frame = log.add(ArrivedTick(n, due(n), sent(n), 100))
        log.append(0, frame, stamp(due(n) + delay_us - CORRECTION_US))
    recorder.take(log.drain(), CORRECTION_US)
    recorder.settle(END_US)
    assert (recorder.due_times["main"].frames, recorder.due_times["main"].in_time) == (3, 2)
