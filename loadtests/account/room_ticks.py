"""The ticks that the connections of a room got, and the due times among them for which nobody got one."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.measure.histogram import HIGHEST_US

Window = range
"""From when to when is measured, in microseconds of the server's clock."""

MAX_LEAP = 100_000
"""A longer gap in n is a jump of the counter, not skipped ticks."""

RATE_PERCENT = 1.0
"""How far the rate that a server states may be off its due times': these are whole microseconds."""

SAME_PERIODS = 0.25
"""How far a tick may be off the schedule of its room, in periods; another life began seconds apart from it."""


def is_another_rate(stated: float, seen: float) -> bool:
    """Return whether a stated rate, or period, differs by more than :data:`RATE_PERCENT` from the seen one."""
    return abs(seen / stated - 1) > RATE_PERCENT / 100


class ServerSkips(NamedTuple):
    """What the server says of a room: of the n from ``first_n`` to before ``end_n`` it skipped ``number``."""

    first_n: int
    end_n: int
    number: int


class TickColumns(NamedTuple):
    """Ticks as they travel from worker to worker: three columns of 64-bit integers."""

    n: bytes
    due_us: bytes
    sent_us: bytes


def placed_us(due_us: int, sent_us: int) -> int:
    """
    Return the time that decides whether a tick is in the window: when it was due.

    A due time more than 60 s off the sent time is taken for wrong; then it is the sent time.

    """
    return due_us if abs(sent_us - due_us) <= HIGHEST_US else sent_us


class RoomTicks:
    """
    The ticks of a room that any of its connections received, in order of n.

    ``announced``: its ticks are our own messages, announced by :meth:`see` when they are sent (``echo``); then nothing
    is ever inferred from due times.

    """

    def __init__(self, number: int = 0, *, announced: bool = False) -> None:
        self.number = number
        self.announced = announced
        self.inside = 0
        """Connections that are in the room."""
        self.interrupted = False
        """Nobody was in the room for a while, so that due times without a tick mean nothing."""
        self._columns = self._n, self._due_us, self._sent_us = array("q"), array("q"), array("q")
        self._period_us: float | None = None  # None: to be found anew

    def __len__(self) -> int:
        return len(self._n)

    @property
    def last_n(self) -> int:
        """The greatest n, -1 without any."""
        return self._n[-1] if self._n else -1

    @property
    def last_due_us(self) -> int:
        """When the tick with the greatest n was due, -1 without any."""
        return self._placed(len(self) - 1) if self._n else -1

    @property
    def period_us(self) -> float:
        """The period, from due times; 0 until there are two."""
        if self._period_us is None:
            self._period_us = self._middle_period_us()
        return self._period_us

    def _middle_period_us(self) -> float:
        if len(self._n) < 2:
            return 0.0
        # The middle one of up to a hundred: some due times may be wrong.
        step = max(1, (len(self._n) - 1) // 100)
        sampled = [i for i in range(0, len(self._n), step) if not self._is_odd(i)]
        periods = sorted((self._due_us[b] - self._due_us[a]) / (self._n[b] - self._n[a]) for a, b in pairwise(sampled))
        return max(0.0, periods[len(periods) // 2]) if periods else 0.0

    def see(self, n: int, due_us: int, sent_us: int) -> None:
        """Take note of a tick."""
        self._period_us = None
        index = bisect_left(self._n, n)
        if index == len(self._n) or self._n[index] != n:
            for column, value in zip(self._columns, (n, due_us, sent_us), strict=True):
                column.insert(index, value)

    def has(self, n: int, due_us: int, sent_us: int, period_us: float) -> bool:
        """
        Return whether a tick may be one of these: whether it was due when their schedule has it.

        ``period_us`` is for a room whose own ticks do not show it yet; 0 if it is not known.

        """
        if not self._n:
            return True
        at_us, index = placed_us(due_us, sent_us), max(0, bisect_right(self._n, n) - 1)
        period_us = self.period_us or period_us
        if not period_us:
            return (n > self._n[index]) == (at_us > self._placed(index))
        return abs(at_us - self._due_by_period(index, n, period_us)) <= SAME_PERIODS * period_us

    def between(self, first_n: int, end_n: int, window: Window) -> Iterable[tuple[int, int, int]]:
        """Yield n, due and sent time of the ticks from ``first_n`` to before ``end_n`` that are in the window."""
        for index in range(bisect_left(self._n, first_n), bisect_left(self._n, end_n)):
            n, due_us, sent_us = self._n[index], self._due_us[index], self._sent_us[index]
            if placed_us(due_us, sent_us) in window:
                yield n, due_us, sent_us

    def before(self, end_n: int, sent_after_us: int, window: Window) -> Iterable[tuple[int, int, int]]:
        """Yield, backwards, the ticks of the window before ``end_n``, as long as they were sent after a time."""
        for index in range(bisect_left(self._n, end_n) - 1, -1, -1):
            n, due_us, sent_us = self._n[index], self._due_us[index], self._sent_us[index]
            if sent_us <= sent_after_us:
                return
            if placed_us(due_us, sent_us) in window:
                yield n, due_us, sent_us

    def unseen(self, window: Window) -> list[int]:
        """Return the n of due times in the window, up to the last tick seen, for which nobody got a tick."""
        placed = [self._placed(index) for index in range(len(self))]
        before = max((i for i, at_us in enumerate(placed) if at_us < window.start), default=0)
        behind = next((i for i in range(before, len(self)) if placed[i] >= window.stop), len(self) - 1)
        if behind < 0:
            return []
        inside = [self._n[i] for i, at_us in enumerate(placed) if at_us in window]
        period_us = self.period_us
        return [
            n
            for n in self.unseen_between(self._n[before], self._n[behind])
            if (inside and inside[0] < n < inside[-1])
            or self._due_by_period(bisect_left(self._n, n) - 1, n, period_us) in window
        ]

    def unseen_between(self, first_n: int, end_n: int) -> list[int]:
        """Return which n from ``first_n`` to before ``end_n`` nobody saw, of those between two that somebody saw."""
        if self.announced or self.interrupted:
            return []
        seen = self._n[max(0, bisect_left(self._n, first_n) - 1) : bisect_left(self._n, end_n) + 1]
        leaps = [(a + 1, b) for a, b in pairwise(seen) if b - a <= MAX_LEAP + 1]
        return [n for first, end in leaps for n in range(max(first, first_n), min(end, end_n))]

    def see_unseen(self, numbers: Iterable[int]) -> None:
        """Count due times for which nobody got a tick as ticks that were sent."""
        period_us = self.period_us
        for n in numbers:
            due_us = self._due_by_period(bisect_left(self._n, n) - 1, n, period_us)
            self.see(n, due_us, due_us)

    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return n, due and sent time of all ticks."""
        n, due_us, sent_us = (np.array(column, dtype=np.int64) for column in self._columns)
        return n, due_us, sent_us

    def forget(self, end_n: int, but: Iterable[int] = ()) -> None:
        """Forget the ticks before ``end_n`` but those in ``but``."""
        first = bisect_left(self._n, end_n)
        kept = sorted(index for n in but if (index := bisect_left(self._n, n)) < first and self._n[index] == n)
        for column in self._columns:
            column[:first] = array("q", [column[index] for index in kept])

    # Between workers

    def since(self, start_us: int) -> TickColumns:
        """Return the ticks from a time on, and two before it."""
        first = next((i for i in range(len(self)) if self._placed(i) >= start_us), len(self))
        first = max(0, first - 2)  # for the period and the last due time of a room that fell silent before
        return TickColumns(*(column[first:].tobytes() for column in self._columns))

    def take_columns(self, columns: TickColumns) -> None:
        """Take note of the ticks that another worker saw."""
        n, due_us, sent_us = (array("q", column) for column in columns)
        for tick in zip(n, due_us, sent_us, strict=True):
            self.see(*tick)

    def _placed(self, index: int) -> int:
        return placed_us(self._due_us[index], self._sent_us[index])

    def _is_odd(self, index: int) -> bool:
        """Return whether a tick's due time is taken for wrong: see :func:`placed_us`."""
        return self._placed(index) != self._due_us[index]

    def _due_by_period(self, index: int, n: int, period_us: float) -> int:
        """
        Return when tick ``n`` was due, by the last tick up to ``index`` whose due time is right.

        However far apart the two are, the server counted in equal periods.

        """
        while index and self._is_odd(index):
            index -= 1
        return self._placed(index) + round((n - self._n[index]) * period_us)
