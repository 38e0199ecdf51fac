import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.account.room_ticks import MAX_LEAP, RoomTicks, placed_us
from shared.measure.histogram import HIGHEST_US
from tests.loadtests.account.test_counts import travelled

PERIOD_US = 50_000
START_US = 200_000_000
ODD_US = HIGHEST_US + 1_000_000
ALWAYS = range(2**62)


def due(n: int) -> int:
    return START_US + n * PERIOD_US


def room(*numbers: int, odd: int = -1, announced: bool = False) -> RoomTicks:
    """Return a room with these ticks, each sent when it was due, though one may say otherwise."""
    ticks = RoomTicks(announced=announced)
    for n in numbers:
        ticks.see(n, due(n) - ODD_US if n == odd else due(n), due(n))
    return ticks


def ticks_of(of: RoomTicks) -> list[int]:
    return [n for n, _, _ in of.between(0, 2**62, ALWAYS)]


def test_a_tick_is_where_it_was_due_unless_that_cannot_be() -> None:
    assert placed_us(START_US, START_US + HIGHEST_US) == START_US
    assert placed_us(START_US, START_US + HIGHEST_US + 1) == START_US + HIGHEST_US + 1
    assert placed_us(START_US + HIGHEST_US, START_US) == START_US + HIGHEST_US
    assert placed_us(START_US + HIGHEST_US + 1, START_US) == START_US


def test_an_empty_room() -> None:
    empty = RoomTicks()
    assert (len(empty), empty.last_n, empty.period_us, empty.unseen(ALWAYS)) == (0, -1, 0.0, [])
    assert [len(column) for column in empty.since(0)] == [0, 0, 0]


def test_a_tick_that_another_schedule_has_is_none_of_these() -> None:
    ticks = room(40, 41)
    assert all(ticks.has(n, due(n) + 1, due(n) + 10, 0.0) for n in (0, 39, 40, 41, 50, 4000))
    assert not ticks.has(0, due(60), due(60), 0.0)
    assert not ticks.has(50, due(50) + PERIOD_US // 2, due(51), 0.0)
    assert ticks.has(50, due(50) - ODD_US, due(50) + 10, 0.0), "what states no due time is judged by when it was sent"


def test_where_the_period_is_not_known_a_tick_that_goes_on_is_one_of_these() -> None:
    for period_us in (0.0, PERIOD_US):
        assert room(40).has(41, due(41), due(41), period_us)
        assert room(40).has(40, due(40), due(40), period_us)
        assert not room(40).has(40, due(60), due(60), period_us)
        assert not room(40).has(0, due(60), due(60), period_us)
        assert RoomTicks().has(7, due(60), due(60), period_us)
    assert not room(40).has(41, due(60), due(60), PERIOD_US)


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, 40)))
def test_ticks_are_kept_once_and_in_order(numbers: list[int]) -> None:
    ticks = room(*numbers)
    assert ticks_of(ticks) == sorted(set(numbers))
    assert ticks.last_n == max(numbers, default=-1)
    assert list(ticks.between(10, 20, range(due(12), due(30)))) == [
        (n, due(n), due(n)) for n in sorted(set(numbers)) if 12 <= n < 20
    ]


def test_the_first_word_on_a_tick_counts() -> None:
    ticks = room(3)
    ticks.see(3, 1, 2)
    assert list(ticks.between(0, 9, ALWAYS)) == [(3, due(3), due(3))]


def test_before_a_tick_goes_back_to_a_time() -> None:
    ticks = room(1, 2, 3, 5, 6)
    assert [n for n, _, _ in ticks.before(6, due(2), ALWAYS)] == [5, 3]
    assert [n for n, _, _ in ticks.before(6, due(2) - 1, ALWAYS)] == [5, 3, 2]
    assert [n for n, _, _ in ticks.before(6, 0, range(due(2), due(5)))] == [3, 2]
    assert list(ticks.before(1, 0, ALWAYS)) == []


# The period


def test_the_period_needs_two_due_times() -> None:
    assert room(5).period_us == 0
    assert room(5, 6).period_us == PERIOD_US
    assert room(5, 9).period_us == PERIOD_US


@pytest.mark.parametrize("odd", [0, 1, 2, 499, 999])
def test_an_odd_due_time_does_not_change_the_period(odd: int) -> None:
    for count in (3, 5, 1000):
        assert room(*range(count), odd=odd).period_us == PERIOD_US


def test_the_period_is_the_middle_one() -> None:
    ticks = room(*range(9))
    ticks.see(9, due(9) + 700, due(9))
    assert ticks.period_us == PERIOD_US


def test_due_times_that_go_backwards_make_no_period() -> None:
    ticks = RoomTicks()
    for n in range(4):
        ticks.see(n, START_US - n, START_US)
    assert ticks.period_us == 0


# What nobody saw


def test_unseen_is_what_nobody_got_in_the_window_up_to_the_last_tick() -> None:
    ticks = room(0, 3, 4, 7, 9)
    assert ticks.unseen(ALWAYS) == [1, 2, 5, 6, 8]
    assert ticks.unseen(range(due(3), due(9))) == [5, 6, 8]
    assert ticks.unseen(range(due(4), due(7))) == [5, 6]
    assert ticks.unseen(range(due(2), due(5))) == [2]
    assert ticks.unseen(range(due(5), due(7))) == [5, 6], "nobody saw any of this window"
    assert ticks.unseen(range(due(3), due(20))) == [5, 6, 8], "behind 9 nobody knows"
    assert ticks.unseen(range(due(10), due(20))) == []
    assert ticks.unseen(range(0)) == []
    assert ticks.unseen_between(0, 99) == [1, 2, 5, 6, 8]
    assert ticks.unseen_between(2, 6) == [2, 5]
    assert ticks.unseen_between(6, 6) == []
    ticks.interrupted = True
    assert ticks.unseen(ALWAYS) == ticks.unseen_between(0, 9) == []
    assert room(0, 3, announced=True).unseen(ALWAYS) == []


def test_a_leap_is_no_unseen_ticks() -> None:
    assert len(room(0, MAX_LEAP + 1).unseen(ALWAYS)) == MAX_LEAP
    assert room(0, MAX_LEAP + 2).unseen(ALWAYS) == []
    assert room(0, 2, MAX_LEAP + 4).unseen(ALWAYS) == [1]


def test_unseen_ticks_that_were_sent_after_all() -> None:
    ticks = room(0, 1, 5)
    ticks.see(2, due(2) - ODD_US, due(2) + 700)
    ticks.see_unseen(ticks.unseen(range(due(1), due(6))))
    assert list(ticks.between(3, 5, ALWAYS)) == [(3, due(3), due(3)), (4, due(4), due(4))]
    assert ticks.unseen(ALWAYS) == []


# What is asked for


def test_what_is_forgotten_is_gone() -> None:
    ticks = room(1, 2, 5, 6)
    ticks.forget(5)
    assert ticks_of(ticks) == [5, 6]
    ticks.forget(9)
    assert (len(ticks), ticks.last_n) == (0, -1)
    ticks.see(9, due(9), due(9))
    assert ticks_of(ticks) == [9]


def test_some_of_what_is_forgotten_may_be_kept() -> None:
    ticks = room(1, 2, 5, 6)
    ticks.forget(6, but=[5, 1, 3, 6])
    assert ticks_of(ticks) == [1, 5, 6]
    assert list(ticks.between(0, 9, ALWAYS)) == [(n, due(n), due(n)) for n in (1, 5, 6)]


# Between workers


def sent_over(ticks: RoomTicks, window: range, to: RoomTicks) -> None:
    to.take_columns(travelled(ticks.since(window.start)))


@settings(deadline=None, derandomize=True, database=None)
@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.integers(0, 40), st.integers(0, 40))
def test_two_rooms_that_told_each_other_are_the_same_in_the_window(
    one: set[int], other: set[int], start: int, length: int
) -> None:
    window = range(due(start), due(start + length))
    rooms = room(*one), room(*other)
    columns = [ticks.since(window.start) for ticks in rooms]
    rooms[0].take_columns(columns[1])
    rooms[1].take_columns(columns[0])
    both = room(*(one | other))
    for ticks in rooms:
        assert list(ticks.between(0, 99, window)) == list(both.between(0, 99, window))
        assert ticks.unseen(window) == both.unseen(window)
        # Behind it, too: up to when ticks were seen says when the room fell silent.
        assert list(ticks.between(start, 99, ALWAYS)) == list(both.between(start, 99, ALWAYS))


def test_of_the_time_before_the_window_only_two_ticks_travel() -> None:
    there = RoomTicks()
    sent_over(room(*range(10)), range(due(6), due(8)), there)
    assert ticks_of(there) == [4, 5, 6, 7, 8, 9]
    silent = RoomTicks()
    sent_over(room(*range(10)), range(due(20), due(30)), silent)
    assert (ticks_of(silent), silent.period_us) == ([8, 9], PERIOD_US), "which says when the next are due"


def test_what_several_workers_saw_is_put_together() -> None:
    there = RoomTicks()
    for columns in (room(5, 7).since(0), room(1, 6).since(0)):
        there.take_columns(columns)
    assert list(there.between(0, 99, ALWAYS)) == [(n, due(n), due(n)) for n in (1, 5, 6, 7)]


def test_columns_of_different_lengths_are_refused() -> None:
    seen = room(1, 2).since(0)
    with pytest.raises(ValueError, match="shorter"):
        RoomTicks().take_columns(seen._replace(sent_us=seen.sent_us[:8]))
