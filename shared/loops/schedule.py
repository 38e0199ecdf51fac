"""Computes when a room's ticks are due, from a start and a rate. Reads no clock and never sleeps."""

from dataclasses import dataclass
from fractions import Fraction

GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class DueTick:
    """Tick ``n`` was due at ``due_us`` and began ``lateness_us`` later; ``skipped`` due times after it were missed."""

    n: int
    due_us: int
    lateness_us: int
    skipped: int


class TickSchedule:
    """
    Absolute due times, so that lateness never accumulates: tick n is due at ``t0_us + n * 1_000_000 // tick_rate_hz``.

    Call :meth:`resume` when the loop starts; then wait until :attr:`next_due_us`, call :meth:`begin` with the time at
    which the tick began, tick, and so on. n and t0 go on when the loop stops and is resumed.
    """

    def __init__(self, t0_us: int, tick_rate_hz: Fraction) -> None:
        self.t0_us = t0_us
        self.tick_rate_hz = tick_rate_hz
        self.n = 0  # the tick that is waited for
        self.skipped_ticks = 0  # due times that had passed before their tick could begin

    @property
    def period_us(self) -> float:
        """The time from one tick to the next, in us."""
        return 1_000_000 / float(self.tick_rate_hz)

    @property
    def next_due_us(self) -> int:
        """When the tick that is waited for is due."""
        return self.due_us(self.n)

    def due_us(self, n: int) -> int:
        """When tick ``n`` is due."""
        return self.t0_us + n * 1_000_000 * self.tick_rate_hz.denominator // self.tick_rate_hz.numerator

    def resume(self, now_us: int) -> None:
        """Go on with the first tick that is due from now on: due times while the loop stood still are no ticks."""
        self.n = max(self.n, self._first_from(now_us))

    def follow(self, due: DueTick) -> None:
        """Take it that another process has begun a tick: due times are those of its schedule, of the same rate."""
        self.t0_us += due.due_us - self.due_us(due.n)
        self.n = due.n + 1

    def begin(self, now_us: int) -> DueTick:
        """
        Begin the tick that was waited for and move on to the first due time after ``now_us``.

        Due times that have passed are skipped, never replayed: a burst of ticks to catch up would hide the stall.
        """
        n, due_us = self.n, self.next_due_us
        self.n = max(n + 1, self._first_from(now_us + 1))
        skipped = self.n - n - 1
        self.skipped_ticks += skipped
        return DueTick(n, due_us, now_us - due_us, skipped)

    def _first_from(self, now_us: int) -> int:
        """Return the least n whose due time is not before ``now_us``."""
        # due_us(n) >= now  <=>  floor(n * a / b) >= e  <=>  n * a / b >= e  <=>  n >= ceil(e * b / a)
        elapsed_us = max(0, now_us - self.t0_us)
        rate = self.tick_rate_hz
        return -(-elapsed_us * rate.numerator // (1_000_000 * rate.denominator))


def shifted_start_us(room_index: int, now_us: int, epoch_us: int, tick_rate_hz: Fraction) -> int:
    """
    Return t0 of the ``room_index``-th room: the first time from ``now_us`` on with the room's own phase.

    The phase, counted from ``epoch_us``, is ``room_index * 0.618... mod 1`` periods: multiples of the golden ratio
    spread evenly however many there are (Weyl's theorem), so rooms do not tick at once.
    """
    period_us = 1_000_000 / tick_rate_hz
    phase_us = room_index * GOLDEN_RATIO % 1 * float(period_us)
    start_us = epoch_us + round(phase_us)
    if start_us >= now_us:
        return start_us
    periods = -((start_us - now_us) // period_us)
    return start_us + int(periods * period_us)
