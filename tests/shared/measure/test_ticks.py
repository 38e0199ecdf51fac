import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.measure.ticks import TickStatistics

PERIOD_US = 50_000


def record(
    ticks: TickStatistics, due_us: int, busy_us: int, *, lateness_us: int = 0, period_us: float = PERIOD_US
) -> int:
    """Record a tick that was busy for some time, half of it computing; return when it ended."""
    began_us = due_us + lateness_us
    ended_us = began_us + busy_us
    ticks.record(due_us, lateness_us, 0, began_us + busy_us // 2, ended_us, period_us)
    return ended_us


def test_the_parts_of_a_tick_are_told_apart() -> None:
    ticks = TickStatistics()
    ticks.record(due_us=1000, lateness_us=30, skipped_ticks=2, sent_us=1230, ended_us=1700, period_us=PERIOD_US)
    ticks.record(due_us=2000, lateness_us=50, skipped_ticks=1, sent_us=2450, ended_us=2550, period_us=PERIOD_US)
    report = ticks.report()
    assert {name: report[name] for name in ("count", "skipped_ticks", "overruns")} == {
        "count": 2,
        "skipped_ticks": 3,
        "overruns": 0,
    }
    assert (ticks.start_lateness.max_us, ticks.start_lateness.mean_us) == (50, 40)
    assert (ticks.compute.max_us, ticks.compute.mean_us) == (400, 300)
    assert (ticks.fanout.max_us, ticks.fanout.mean_us) == (470, 285)
    assert report["start_lateness_ms"] == ticks.start_lateness.summary()
    assert report["compute_ms"] == ticks.compute.summary()
    assert report["fanout_ms"] == ticks.fanout.summary()


@pytest.mark.parametrize(("busy_us", "overruns"), [(PERIOD_US, 0), (PERIOD_US + 1, 1)])
def test_a_tick_longer_than_its_period_is_an_overrun(busy_us: int, overruns: int) -> None:
    ticks = TickStatistics()
    record(ticks, 0, busy_us)
    assert ticks.report()["overruns"] == overruns


def test_lateness_alone_is_no_overrun() -> None:
    ticks = TickStatistics()
    record(ticks, 0, 100, lateness_us=2 * PERIOD_US)
    assert ticks.overruns == 0


def test_load_is_the_share_of_the_last_second() -> None:
    ticks = TickStatistics()
    assert ticks.load(0, PERIOD_US) == 0
    for n in range(40):
        ended_us = record(ticks, n * PERIOD_US, 10_000)
    assert ticks.load(ended_us, PERIOD_US) == pytest.approx(0.2, abs=0.011)
    assert ticks.load(ended_us + 500_000, PERIOD_US) == pytest.approx(0.1, abs=0.011)
    assert ticks.load(ended_us + 1_000_001, PERIOD_US) == 0


def test_the_load_of_several_rooms_adds_up() -> None:
    ticks = TickStatistics()
    for n in range(20):
        for room in range(3):
            ended_us = record(ticks, n * PERIOD_US + room * 16_000, 10_000)
    assert ticks.load(ended_us, PERIOD_US) == pytest.approx(0.6, abs=0.011)


def test_where_a_period_is_longer_than_a_second_it_is_the_window() -> None:
    ticks, period_us = TickStatistics(), 10_000_000.0
    ended_us = record(ticks, 0, 4_000_000, period_us=period_us)
    assert ticks.load(ended_us + 5_000_000, period_us) == pytest.approx(0.4)
    record(ticks, 10_000_000, 1_000_000, period_us=period_us)
    assert ticks.load(14_000_001, period_us) == pytest.approx(0.1)


def test_nothing_older_than_the_window_is_kept() -> None:
    ticks = TickStatistics()
    for n in range(10_000):
        record(ticks, n * PERIOD_US, 100)
    assert len(ticks._busy) <= 21


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 60_000)), max_size=40), st.integers(0, 2_000_000))
def test_the_load_is_off_by_no_more_than_the_tick_that_the_window_cuts(
    ticked: list[tuple[int, int]], later_us: int
) -> None:
    ticks, now_us, recorded = TickStatistics(), 0, list[tuple[int, int]]()
    for gap_us, busy_us in ticked:
        began_us = now_us + gap_us
        now_us = record(ticks, began_us, busy_us)
        recorded.append((began_us, now_us))
    now_us += later_us
    start_us = now_us - 1_000_000
    true_us = sum(max(0, ended_us - max(began_us, start_us)) for began_us, ended_us in recorded)
    cut_us = sum(start_us - began_us for began_us, ended_us in recorded if began_us < start_us <= ended_us)
    load_us = ticks.load(now_us, PERIOD_US) * 1_000_000
    assert true_us - 0.01 <= load_us <= true_us + cut_us + 0.01


FRAME_US = 13
"""What handing a frame to one connection costs here; making it costs 1 ms."""


def record_for(ticks: TickStatistics, due_us: int, members: int) -> int:
    """Record a tick of a room with so many in it; return when it ended."""
    ended_us = due_us + 1000 + members * FRAME_US
    ticks.record(due_us, 0, 0, due_us + 1000, ended_us, PERIOD_US, members)
    return ended_us


def test_what_more_members_will_cost_is_known_from_one_tick_with_many() -> None:
    ticks = TickStatistics()
    now_us = record_for(ticks, 0, 300)
    assert ticks.load(now_us, PERIOD_US) < 0.01
    assert ticks.load_of(300, now_us, PERIOD_US) == pytest.approx(0.098, abs=0.002)
    assert ticks.load_of(3000, now_us, PERIOD_US) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("members", [300, 2000])
def test_of_as_many_as_there_are_it_is_the_load(members: int) -> None:
    ticks = TickStatistics()
    for n in range(200):
        now_us = record_for(ticks, n * PERIOD_US, members)
        load = ticks.load_of(members, now_us, PERIOD_US)
        assert load == pytest.approx((1000 + members * FRAME_US) / PERIOD_US, rel=0.1)


def test_from_few_frames_nothing_is_foretold() -> None:
    ticks = TickStatistics()
    for n in range(20):
        now_us = record(ticks, n * PERIOD_US, 30_000)
    assert ticks.load_of(1000, now_us, PERIOD_US) == 0
    now_us = record_for(ticks, 20 * PERIOD_US, 199)
    assert ticks.load_of(1000, now_us, PERIOD_US) == 0


def test_after_a_pause_what_was_before_counts_no_more() -> None:
    ticks = TickStatistics()
    for n in range(20):
        ticks.record(n * PERIOD_US, 0, 0, n * PERIOD_US, n * PERIOD_US + 49_000, PERIOD_US, 100)
    now_us = record_for(ticks, 100 * PERIOD_US, 300)
    assert ticks.load_of(300, now_us, PERIOD_US) == pytest.approx(0.098, abs=0.002)


def test_of_several_rooms_it_is_what_all_frames_will_cost() -> None:
    ticks = TickStatistics()
    for n in range(40):
        for room in range(3):
            now_us = record_for(ticks, n * PERIOD_US + room * 16_000, 300)
    assert ticks.load_of(900, now_us, PERIOD_US) == pytest.approx(3 * 0.098, rel=0.1)


def test_what_ticks_of_two_rooms_have_in_common_counts_once() -> None:
    """A large fan-out gives others a turn, and their ticks lie within it, or reach out of it."""
    ticks = TickStatistics()
    record(ticks, 10_000, 20_000)  # within the next one, and ends before it
    record(ticks, 0, 400_000)
    record(ticks, 390_000, 110_000)
    assert ticks.load(500_000, PERIOD_US) == pytest.approx(0.5)
    assert ticks.fanout.max_us >= 200_000, "each is reported as long as it took"
