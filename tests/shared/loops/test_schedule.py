from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.loops.schedule import DueTick, TickSchedule, shifted_start_us

SECOND = 1_000_000
RATES = st.fractions(Fraction(1, 100), 1000, max_denominator=1000) | st.sampled_from([Fraction(20), Fraction(60)])
START = st.integers(0, 10**16)


@pytest.mark.parametrize(
    ("rate", "due_us"),
    [
        (Fraction(20), [0, 50_000, 100_000, 150_000]),
        (Fraction(60), [0, 16_666, 33_333, 50_000]),
        (Fraction(1, 2), [0, 2_000_000, 4_000_000, 6_000_000]),
        (Fraction("29.97"), [0, 33_366, 66_733, 100_100]),
        (Fraction(3), [0, 333_333, 666_666, 1_000_000]),
        (Fraction(1000), [0, 1000, 2000, 3000]),
    ],
)
def test_due_times_are_exact(rate: Fraction, due_us: list[int]) -> None:
    schedule = TickSchedule(7_000, rate)
    assert [schedule.due_us(n) - 7_000 for n in range(4)] == due_us


@given(START, RATES, st.integers(0, 10**9))
def test_a_due_time_is_the_formula_of_the_protocol(t0_us: int, rate: Fraction, n: int) -> None:
    due_us = TickSchedule(t0_us, rate).due_us(n)
    assert 0 <= t0_us + n * Fraction(SECOND) / rate - due_us < 1


def test_the_period_is_in_microseconds() -> None:
    assert TickSchedule(0, Fraction(20)).period_us == 50_000
    assert TickSchedule(0, Fraction(1, 2)).period_us == 2_000_000


def test_a_tick_on_time_leads_to_the_next() -> None:
    schedule = TickSchedule(1000, Fraction(20))
    assert (schedule.n, schedule.next_due_us) == (0, 1000)
    assert schedule.begin(1030) == DueTick(n=0, due_us=1000, lateness_us=30, skipped=0)
    assert (schedule.n, schedule.next_due_us, schedule.skipped_ticks) == (1, 51_000, 0)


@pytest.mark.parametrize(
    ("late_us", "skipped"),
    [(0, 0), (49_999, 0), (50_000, 1), (50_001, 1), (99_999, 1), (100_000, 2), (10 * SECOND, 200)],
)
def test_due_times_that_have_passed_are_skipped(late_us: int, skipped: int) -> None:
    schedule = TickSchedule(1000, Fraction(20))
    tick = schedule.begin(1000 + late_us)
    assert tick == DueTick(0, 1000, late_us, skipped)
    assert schedule.n == 1 + skipped
    assert schedule.skipped_ticks == skipped
    assert schedule.next_due_us > 1000 + late_us


def test_lateness_does_not_add_up() -> None:
    schedule = TickSchedule(0, Fraction(20))
    for n in range(1000):
        assert schedule.begin(n * 50_000 + 49_000).lateness_us == 49_000


def test_an_early_tick_is_negative_late_and_skips_nothing() -> None:
    schedule = TickSchedule(1000, Fraction(20))
    assert schedule.begin(990) == DueTick(0, 1000, -10, 0)
    assert schedule.next_due_us == 51_000


@pytest.mark.parametrize(
    ("now_us", "n"), [(0, 3), (100_000, 3), (149_999, 3), (150_000, 3), (150_001, 4), (10 * SECOND, 200)]
)
def test_a_loop_that_starts_again_waits_for_the_first_due_time_from_now_on(now_us: int, n: int) -> None:
    schedule = TickSchedule(0, Fraction(20))
    for past in range(3):
        schedule.begin(past * 50_000)
    schedule.resume(now_us)
    assert (schedule.n, schedule.skipped_ticks) == (n, 0)
    assert schedule.t0_us == 0


class NaiveSchedule:
    """The same by counting on one due time after the other."""

    def __init__(self, t0_us: int, rate: Fraction) -> None:
        self.t0_us, self.period = t0_us, Fraction(SECOND) / rate
        self.n = self.skipped_ticks = 0

    def due_us(self) -> int:
        return self.t0_us + int(self.n * self.period)

    def begin(self, now_us: int) -> tuple[int, int, int, int]:
        n, due_us = self.n, self.due_us()
        self.n += 1
        while self.due_us() <= now_us:
            self.n += 1
        skipped = self.n - n - 1
        self.skipped_ticks += skipped
        return n, due_us, now_us - due_us, skipped

    def resume(self, now_us: int) -> None:
        while self.due_us() < now_us:
            self.n += 1


WAITS = st.lists(st.tuples(st.booleans(), st.integers(-2, 2), st.fractions(-1, 6, max_denominator=12)), max_size=30)


@given(START, st.fractions(Fraction(1, 2), 1000, max_denominator=30), WAITS)
def test_it_goes_on_as_by_counting(t0_us: int, rate: Fraction, waits: list[tuple[bool, int, Fraction]]) -> None:
    """Times are periods from the next due time, and some microseconds before or after."""
    schedule, naive = TickSchedule(t0_us, rate), NaiveSchedule(t0_us, rate)
    for begins, nudge_us, periods in waits:
        now_us = max(0, naive.due_us() + nudge_us + int(periods * naive.period))
        if begins:
            tick = schedule.begin(now_us)
            assert (tick.n, tick.due_us, tick.lateness_us, tick.skipped) == naive.begin(now_us)
        else:
            schedule.resume(now_us)
            naive.resume(now_us)
        assert (schedule.n, schedule.next_due_us) == (naive.n, naive.due_us())
        assert schedule.skipped_ticks == naive.skipped_ticks


# Phases


@given(st.integers(0, 5000), st.integers(0, 10**13), st.integers(0, 10**13), RATES)
def test_a_room_starts_from_now_on_within_a_period_and_in_its_phase(
    index: int, epoch_us: int, later_us: int, rate: Fraction
) -> None:
    period, now_us = Fraction(SECOND) / rate, epoch_us + later_us
    start_us = shifted_start_us(index, now_us, epoch_us, rate)
    assert now_us <= start_us < now_us + period + 1
    phase_us = (start_us - epoch_us) % period
    wanted_us = Fraction(index * 0.6180339887498949 % 1) * period
    distance_us = abs(phase_us - wanted_us)
    assert min(distance_us, period - distance_us) <= 2


def test_the_first_room_ticks_in_step_with_the_server_s_start() -> None:
    assert shifted_start_us(0, 5_000, 5_000, Fraction(20)) == 5_000
    assert shifted_start_us(0, 5_001, 5_000, Fraction(20)) == 55_000
    assert shifted_start_us(1, 5_000, 5_000, Fraction(20)) == 5_000 + 30_902


@pytest.mark.parametrize("rooms", [2, 3, 10, 100, 987])
def test_rooms_spread_evenly_however_many_there_are(rooms: int) -> None:
    """By the three-gap theorem no gap is wider than about 1.62 times the other, the third being their sum."""
    starts = sorted((shifted_start_us(index, 0, 0, Fraction(1, 10)) % 10_000_000) for index in range(rooms))
    gaps = [later - earlier for earlier, later in zip(starts, [*starts[1:], starts[0] + 10_000_000], strict=True)]
    assert max(gaps) <= 2.7 * min(gaps) + 2
    assert max(gaps) < 1.7 * 10_000_000 / rooms
