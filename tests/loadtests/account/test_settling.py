"""All due times of a room, seen or not, are reckoned from what was seen of it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.account.room_ticks import MAX_LEAP, RoomTicks
from loadtests.account.settling import due_times
from tests.loadtests.account.test_room_ticks import ODD_US, PERIOD_US, due, room

WINDOW = range(due(2), due(8))


def rows(ticks: RoomTicks, window: range = WINDOW, period_us: float = PERIOD_US) -> list[tuple[int, int, bool]]:
    of = due_times(ticks, period_us, window)
    return list(zip(of.n.tolist(), of.placed_us.tolist(), of.seen.tolist(), strict=True))


@settings(deadline=None, derandomize=True, database=None)
@given(st.sets(st.integers(0, 20), min_size=1), st.integers(0, 20), st.integers(0, 20), st.sampled_from((-1, 1, 7)))
def test_each_due_time_of_the_window_is_there_once_and_in_order(
    numbers: set[int], start: int, length: int, odd: int
) -> None:
    window = range(due(start), due(start + length))
    found = rows(room(*numbers, odd=odd), window)
    assert found == [(n, due(n), n in numbers) for n in range(start, start + length)]


def test_a_window_opens_and_closes_to_the_microsecond() -> None:
    assert [n for n, *_ in rows(room(0, 1), range(due(3) + 1, due(5)))] == [4]
    assert [n for n, *_ in rows(room(0, 1), range(due(3), due(5) + 1))] == [3, 4, 5]


def test_without_a_period_only_what_was_seen_is_known() -> None:
    assert rows(room(3, 5), period_us=0.0) == [(3, due(3), True), (5, due(5), True)]


def test_a_room_that_nobody_saw_has_due_times_all_the_same() -> None:
    assert rows(RoomTicks()) == [(n, due(2 + n), False) for n in range(6)]
    assert rows(RoomTicks(), range(5, 5)) == []


def test_our_own_messages_are_those_that_were_sent_and_those_that_would_have_been() -> None:
    assert [n for n, *_ in rows(room(3, 5, announced=True))] == [3, 5, 6, 7]


def test_a_leap_of_n_is_no_due_time() -> None:
    ticks = room(0, 2)
    ticks.see(MAX_LEAP + 4, due(3), due(3))
    assert len(rows(ticks)) == 6  # 2, the one behind the leap, and four that follow it
    assert [seen for *_, seen in rows(ticks)] == [True, True, *[False] * 4]


def test_what_states_no_due_time_is_reckoned_around() -> None:
    ticks = room(0, 1)
    ticks.see(4, due(4) - ODD_US, due(4) + 700)
    of = due_times(ticks, PERIOD_US, WINDOW)
    assert of.placed_us.tolist() == [due(2), due(3), due(4) + 700, due(5), due(6), due(7)]
    assert of.due_us[of.n == 4].tolist() == [due(4) - ODD_US], "but that is what it states"


def test_a_rate_that_is_no_whole_number_of_microseconds_does_not_drift() -> None:
    ticks = RoomTicks()
    ticks.see(0, 0, 0)
    of = due_times(ticks, 1e6 / 60, range(3_600_000_000))
    assert of.placed_us[-1] == round((60 * 3600 - 1) * 1e6 / 60)
    assert np.array_equal(of.n, np.arange(60 * 3600))
