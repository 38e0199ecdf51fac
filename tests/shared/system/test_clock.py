"""The clock that all of a server's waiting is told by; the waiting itself is a backend's."""

import select
from collections.abc import Iterator

import pytest

from shared.loops.wakeups import MIN_SLEEP_US
from shared.system.clock import DueClock


@pytest.fixture
def clock() -> Iterator[DueClock[str]]:
    clock: DueClock[str] = DueClock("timerfd")
    assert clock.open_timer()
    yield clock
    clock.close_timer()
    assert clock.timer == -1


def test_the_timer_tells_of_the_first_who_is_due_and_then_of_the_next(clock: DueClock[str]) -> None:
    now_us = clock.now_us()
    clock.add(now_us + 2 * MIN_SLEEP_US, "second")
    clock.add(now_us + MIN_SLEEP_US, "first")
    for who in ("first", "second"):
        assert not clock.is_due()
        assert select.select([clock.timer], [], [], 5)[0]
        assert clock.pop_due() == [who]
    assert not select.select([clock.timer], [], [], 0)[0]


def test_who_is_due_can_be_found_before_the_timer_is_read(clock: DueClock[str]) -> None:
    clock.add(clock.now_us() - 1, "late")
    assert clock.is_due()
    assert clock.pop_due() == ["late"]


def test_a_clock_without_a_timer_tells_the_time() -> None:
    clock: DueClock[str] = DueClock("loop")
    assert not clock.open_timer()
    before_us = clock.now_us()
    assert clock.cpu_us() > 0
    assert before_us <= clock.now_us()
    assert abs(clock.offset_us) > 0


def test_nobody_is_due_by_a_clock_whose_timer_is_closed() -> None:
    clock: DueClock[str] = DueClock("timerfd")
    assert clock.open_timer()
    clock.add(clock.now_us() - 1, "left over")
    clock.close_timer()
    assert not clock.is_due()
