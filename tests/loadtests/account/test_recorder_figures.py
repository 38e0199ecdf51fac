"""What a tick frame, or its want, does to the figures: by hand."""

from __future__ import annotations

import pytest

from loadtests.account.counts import MAIN, Accounts
from loadtests.account.presence import NEVER
from loadtests.account.recorder import Recorder
from loadtests.account.room_ticks import ServerSkips
from loadtests.receive.arrivals import ArrivalLog, ArrivedTick
from loadtests.run.messages import encode
from shared.measure.histogram import HIGHEST_US
from tests.loadtests.receive.test_arrivals import stamp
from tests.support.stories import (
    END_US,
    ONE,
    PERIOD_US,
    SEND_US,
    START_US,
    TWO,
    Arrival,
    Member,
    Story,
    counts,
    due,
    explained,
    sent,
    shared_out,
    steady,
    ticks,
    unseen,
)


def test_lateness_delivery_and_intervals_by_hand() -> None:
    main = Story(ONE, steady(1000, 3000, 2500), range(START_US, due(3))).main()
    assert main.tick_lateness.max_us == 3000
    assert main.tick_lateness.mean_us == pytest.approx(6500 / 3)
    assert main.delivery.max_us == 3000 - SEND_US
    assert main.interval_error.count == 2
    assert main.interval_error.max_us == 2000
    assert main.interval_error.mean_us == (2000 + 500) / 2
    # PDV is what delivery is above the least one: 0 (recorded as 1), 2000, 1500.
    assert main.pdv.max_us == 2000
    assert main.pdv.early == 1
    # RFC 3550: J = 2000 / 16 = 125, then + (500 - 125) / 16.
    assert main.jitter.max_us == round(125 + 375 / 16)
    assert main.bytes == 300


def test_delay_variation_is_that_of_each_connection() -> None:
    arrivals = steady(1000, 1300) + steady(9000, 9200, member=1)
    main = Story(TWO, arrivals, range(START_US, due(2))).main()
    assert main.pdv.count == 4
    assert main.pdv.max_us == 300


def test_intervals_go_on_from_one_take_to_the_next() -> None:
    arrivals = steady(1000, 3000, 2500, 2500, 9000)
    at_once = Story(ONE, arrivals).main()
    one_by_one = Story(ONE, arrivals, cuts=[1, 2, 3, 4]).main()
    assert at_once.interval_error.count == 4
    assert encode(one_by_one) == encode(at_once)


def test_the_interval_to_a_due_time_that_lies_is_that_to_one_period() -> None:
    main = Story(ONE, steady(1000, 1400, 1400), odd=frozenset({1})).main()
    assert main.interval_error.count == 2
    assert main.interval_error.max_us == 400


def test_an_interval_over_a_gap_is_none_of_one_period() -> None:
    recorder = Story(
        ONE, [Arrival(0, 0, 1000), Arrival(0, 2, 5000), Arrival(0, 3, 5000)], range(START_US, due(4))
    ).played()
    main = recorder.groups[MAIN]
    assert main.interval_error.count == 1
    assert unseen(recorder) == 1
    assert main.missing == 0


def test_without_a_period_an_interval_is_compared_with_the_due_times() -> None:
    recorder = Recorder(period_us=0.0)
    recorder.add_connection("echo0", announced=True)
    recorder.measure(range(START_US, END_US))
    log = ArrivalLog()
    for n, due_us in enumerate((START_US, START_US + 700, START_US + 1000)):
        recorder.expect(0, n, due_us, due_us)
        log.append(0, log.add(ArrivedTick(n, due_us, due_us, 50)), stamp(due_us + 100 * n))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert recorder.groups[MAIN].interval_error.count == 2
    assert recorder.groups[MAIN].interval_error.max_us == 100


def test_a_period_that_nobody_told_is_learnt_from_the_due_times() -> None:
    recorder = Recorder()
    assert recorder.period_us == 0
    recorder.add_connection("main")
    log = ArrivalLog()
    for n in range(3):
        log.append(0, log.add(ArrivedTick(n, due(n), sent(n), 50)), stamp(due(n)))
    recorder.take(log.drain(), 0)
    assert recorder.period_us == PERIOD_US
    recorder.close()


def test_early_and_clipped() -> None:
    main = Story(ONE, steady(0, 1, -5, HIGHEST_US, HIGHEST_US + 1)).main()
    lateness = main.tick_lateness
    assert lateness.early == 2, "0 us and before it was due"
    assert lateness.clipped == 1
    assert lateness.max_us == HIGHEST_US
    assert main.negative_deliveries == 3
    assert lateness.count == main.due


def test_a_tick_that_says_it_was_due_a_minute_ago_is_where_it_was_sent() -> None:
    window = range(due(1), due(3))
    main = Story(ONE, ticks(0, 1, 2, 3), window, odd=frozenset({1, 2, 3})).main()
    assert counts(main) == (2, 0, 0, 0)
    assert (main.tick_lateness.clipped, main.delivery.clipped) == (2, 0)


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_a_missing_tick_that_says_it_was_due_a_minute_ago_is_missing(behind: int) -> None:
    arrivals = ticks(0, 3) + ticks(0, 1, 2, 3, member=1)
    main = Story(TWO, arrivals, range(START_US, due(4)), odd=frozenset({1 + behind})).main()
    assert counts(main) == (6, 2, 0, 0)


def test_a_last_tick_that_says_it_was_due_a_minute_ago_makes_none_before_it() -> None:
    main = Story(ONE, ticks(0, 1, 2, 3, 4), range(START_US, due(4)), odd=frozenset({4})).main()
    assert counts(main) == (4, 0, 0, 0)


def test_repeated_and_disordered_frames() -> None:
    arrivals = ticks(0, 1, 1, 4, 2, 2, 4, 3, 0)
    for cuts in ([], [3], [4], [5], [6, 7], list(range(9))):
        assert counts(Story(ONE, arrivals, range(START_US, due(5)), cuts=cuts).main()) == (5, 0, 4, 2)


def test_a_late_frame_fills_its_gap_with_its_own_lateness() -> None:
    arrivals = [*ticks(0, 2), Arrival(0, 1, 90_000), *ticks(3)]
    main = Story(ONE, arrivals, range(START_US, due(4))).main()
    assert counts(main) == (4, 0, 0, 1)
    assert main.tick_lateness.max_us == 90_000
    assert main.interval_error.count == 1, "a late frame is in no interval"


def test_a_missing_tick_is_late_by_the_time_to_the_next_frame() -> None:
    arrivals = [*ticks(0, 1, 2, member=1), Arrival(0, 0, 0), Arrival(0, 2, 4000)]
    main = Story(TWO, arrivals, range(START_US, due(3))).main()
    assert main.missing == 1
    assert main.tick_lateness.max_us == PERIOD_US + 4000


def test_a_tick_missing_at_the_end_is_late_by_the_time_to_the_end() -> None:
    main = Story(TWO, ticks(0) + ticks(0, 1, member=1), range(START_US, due(2))).main()
    assert main.missing == 1
    assert main.tick_lateness.max_us == END_US - due(1)


def test_a_connection_misses_nothing_that_was_sent_after_its_end() -> None:
    for ended_us, missing in ((sent(1), 0), (sent(1) + 1, 1), (sent(2) + 1, 2), (NEVER, 2)):
        members = [Member(ended_us=ended_us), Member()]
        main = Story(members, ticks(0) + ticks(0, 1, 2, member=1), range(START_US, due(3))).main()
        assert main.missing == missing


def test_the_first_end_counts() -> None:
    recorder = Recorder()
    index = recorder.add_connection("main")
    recorder.presences.end(index, sent(2))
    recorder.presences.end(index, sent(5))
    other = recorder.add_connection("main")
    recorder.measure(range(START_US, due(6)))
    log = ArrivalLog()
    for n in range(6):
        for who in (index, other) if n < 1 else (other,):
            log.append(who, log.add(ArrivedTick(n, due(n), sent(n), 50)), stamp(sent(n)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert recorder.groups[MAIN].missing == 1


def test_behind_the_goodbye_nothing_is_missing() -> None:
    members = [Member(ended_with_last=True, ended_us=due(5)), Member()]
    main = Story(members, ticks(0, 2) + ticks(0, 1, 2, 3, member=1), range(START_US, due(4))).main()
    assert counts(main) == (6, 1, 0, 0)


def test_ticks_between_the_welcome_and_the_first_frame_are_expected() -> None:
    everybody = ticks(0, 1, 2, 3, 4, member=1)
    window = range(START_US, due(5))
    for entered_us, missing in (
        (None, 0),
        (sent(3), 0),
        (sent(2), 0),
        (sent(2) - 1, 1),
        (sent(0), 2),
        (sent(0) - 1, 3),
    ):
        main = Story([Member(entered_us=entered_us), Member()], everybody + ticks(3, 4), window).main()
        assert counts(main) == (7, missing, 0, 0)
        assert main.tick_lateness.max_us == (100 + PERIOD_US * missing)


def test_a_frame_from_before_the_first_one_is_late_behind_the_welcome_and_before_it() -> None:
    members = [Member(entered_us=sent(0)), Member()]
    arrivals = ticks(0, 1, 2, 3, member=1) + ticks(3, 1, 0, 1)
    for cuts in ([], [5], [5, 6, 7]):
        main = Story(members, arrivals, range(START_US, due(4)), cuts=cuts).main()
        assert counts(main) == (7, 1, 1, 2), "what was not to be expected came all the same; it is no duplicate"


def test_only_the_first_welcome_counts() -> None:
    recorder = Recorder()
    recorder.add_connection("main")
    recorder.presences.enter(0, sent(0))
    recorder.presences.enter(0, sent(8))
    recorder.add_connection("main")
    recorder.measure(range(START_US, due(4)))
    log = ArrivalLog()
    for index, n in ((1, 0), (1, 1), (1, 2), (1, 3), (0, 2), (0, 3)):
        log.append(index, log.add(ArrivedTick(n, due(n), sent(n), 50)), stamp(sent(n)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (6, 1, 0, 0)


def test_a_connection_without_a_tick_misses_none() -> None:
    main = Story([Member(entered_us=START_US - 1), Member()], ticks(0, 1, member=1), range(START_US, due(2))).main()
    assert counts(main) == (2, 0, 0, 0)
    assert main.requested == 2


def test_a_server_that_falls_silent_is_taken_to_have_sent_nothing() -> None:
    main = Story(ONE, steady(0, 0), range(START_US, due(10))).main()
    assert (main.received, main.missing, main.skipped, main.due) == (2, 0, 8, 10)


@pytest.mark.parametrize(
    ("end_n", "skipped", "missing"),
    [
        (10, 8, 0),  # it stood still, and says that it skipped all
        (10, 0, 8),  # it sent them all, to nobody that we know of
        (10, 5, 3),
        (5, 0, 3),  # of those behind it knows nothing
        (12, 10, 0),  # it skipped two more behind the window
        (10**15, 10**15, 0),
    ],
)
def test_what_a_server_says_of_the_time_after_its_last_tick_is_heard(end_n: int, skipped: int, missing: int) -> None:
    recorder = Story(ONE, steady(0, 0), range(START_US, due(10))).recorded()
    explained(recorder, {"main": ServerSkips(0, end_n, skipped)})
    recorder.settle(END_US)
    main = recorder.groups[MAIN]
    assert (main.received, main.missing, main.skipped, main.due) == (2, missing, 8 - missing, 10)


def test_workers_miss_a_server_that_fell_silent_before_the_window() -> None:
    story = Story(TWO, ticks(0) + ticks(0, 1, member=1), range(due(2), due(10)))
    alone, recorders = story.played(), [story.recorded(0), story.recorded(1)]
    shared_out(*recorders)
    for recorder in recorders:
        recorder.settle(END_US)
    assert alone.groups[MAIN].skipped == 16
    assert [recorder.groups[MAIN].skipped for recorder in recorders] == [8, 8]


def test_only_the_window_is_measured() -> None:
    main = Story(ONE, steady(*[100_000] * 10), range(due(3), due(6))).main()
    assert main.received == main.tick_lateness.count == 3
    assert main.interval_error.count == 2
    assert main.bytes == 300


def test_the_edges_of_the_window_are_due_times() -> None:
    arrivals = steady(0, 0, 0, 0)
    for first_us, stop_us, received in ((due(1), due(3), 2), (due(1) + 1, due(3), 1), (due(1), due(3) + 1, 3)):
        assert Story(ONE, arrivals, range(first_us, stop_us)).main().received == received


def test_before_anything_is_measured_nothing_counts() -> None:
    recorder = Recorder(PERIOD_US)
    recorder.add_connection("main")
    log = ArrivalLog()
    log.append(0, log.add(ArrivedTick(0, due(0), sent(0), 50)), stamp(due(0)))
    recorder.take(log.drain(), 0)
    assert counts(recorder.groups[MAIN]) == (0, 0, 0, 0)
    assert recorder.latest_lateness.count == 1, "but it shows in a table of what is going on"
    assert not recorder.caught_up()
    recorder.measure(range(due(0), due(1)))
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (0, 0, 0, 0), "it was told too late"


# What did not come


def standing_still(*stretches: range) -> Accounts:
    """Return what becomes of 200 due times on one connection while the server stands still for some of them."""
    numbers = [n for n in range(-5, 205) if not any(n in stretch for stretch in stretches)]
    return Story(ONE, [Arrival(0, n + 5, 100) for n in numbers], range(due(5), due(205))).main()


def test_one_long_freeze_does_not_look_better_than_three_short_ones() -> None:
    short = standing_still(range(20, 30), range(60, 70), range(120, 130))
    long = standing_still(range(60, 120))
    assert (short.due, long.due) == (200, 200)
    assert (short.skipped, long.skipped) == (30, 60)
    for percentile in (80, 90, 99):
        assert long.tick_lateness.percentile_us(percentile) > short.tick_lateness.percentile_us(percentile)
    assert long.longest_silence_us == 61 * PERIOD_US
    assert short.longest_silence_us == 11 * PERIOD_US


def test_a_due_time_that_was_skipped_is_as_late_as_the_next_frame() -> None:
    accounts = Story(ONE, ticks(0, 1, 5, delay_us=100), range(START_US, due(6))).main()
    assert (accounts.received, accounts.missing, accounts.skipped, accounts.absent) == (3, 0, 3, 0)
    assert accounts.tick_lateness.max_us == 3 * PERIOD_US + 100
    assert accounts.tick_lateness.count == accounts.due == 6


def test_who_was_refused_was_due_all_that_the_others_got() -> None:
    story = Story([Member(), Member(ended_us=due(0))], ticks(*range(12)), range(START_US, due(10)))
    accounts = story.main()
    assert (accounts.received, accounts.absent, accounts.due) == (10, 10, 20)
    assert accounts.longest_silence_us == 10 * PERIOD_US


def test_who_was_closed_early_is_due_the_rest_but_not_what_comes_after_he_would_have_left() -> None:
    closed = Member(ended_us=due(3) - 1, until_us=due(7))
    story = Story([Member(), closed], [*ticks(*range(10)), *ticks(0, 1, 2, member=1)], range(START_US, due(10)))
    accounts = story.main()
    assert (accounts.received, accounts.absent) == (13, 4)


def test_who_leaves_by_plan_is_due_nothing_more() -> None:
    leaver = Member(ended_us=due(3) - 1, left=True)
    story = Story([Member(), leaver], [*ticks(*range(10)), *ticks(0, 1, 2, member=1)], range(START_US, due(10)))
    accounts = story.main()
    assert (accounts.received, accounts.due) == (13, 13)


@pytest.mark.parametrize("stated_us", [4 * PERIOD_US, PERIOD_US // 50, PERIOD_US * 1.005])
def test_a_rate_that_the_due_times_do_not_have_is_not_gone_by(stated_us: float) -> None:
    recorder = Recorder(stated_us)
    recorder.add_connection("main")
    log = ArrivalLog()
    for n in range(20):
        log.append(0, log.add(ArrivedTick(n, due(n), sent(n), 50)), stamp(sent(n)))
        if n == 9:
            recorder.take(log.drain(), 0)
            recorder.measure(range(due(10), due(20)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    off_us = round(abs(stated_us - PERIOD_US)) if stated_us == PERIOD_US * 1.005 else 0
    assert recorder.groups[MAIN].interval_error.max_us == max(1, off_us)
    assert recorder.groups[MAIN].due == 10
