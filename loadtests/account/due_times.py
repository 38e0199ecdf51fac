"""All due times of a room in the measured window: of ticks that somebody got, and of those that nobody got."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtests.account.room_ticks import MAX_LEAP, RoomTicks, Window
from shared.measure.histogram import HIGHEST_US

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


class DueTimes(NamedTuple):
    """Columns with one row per due time, in order of n. Times are microseconds of the server's clock."""

    n: Integers
    due_us: Integers
    """As stated by the tick."""
    placed_us: Integers
    """When it was due or, where the stated due time is impossible, when it was sent."""
    sent_us: Integers
    seen: Booleans
    """Whether somebody got a tick for it."""


def due_times(room: RoomTicks, period_us: float, window: Window) -> DueTimes:
    """
    Return the due times of ``room`` in ``window``.

    Due times without a tick that somebody got are computed from the period. In a room where nobody ever got a tick they
    begin at the start of the window with n = 0: their number is right, their times are a guess. Where the period is not
    known (0), only those of received ticks are returned.

    """
    n, due_us, sent_us = room.columns()
    placed_us = np.where(np.abs(sent_us - due_us) <= HIGHEST_US, due_us, sent_us)
    seen = _Seen(n, due_us, placed_us, window.start)
    unseen_n = np.zeros(0, dtype=np.int64) if period_us <= 0 else seen.numbers_between(room, period_us, window)
    unseen_us = seen.by_period(unseen_n, period_us)
    columns = (
        np.concatenate((n, unseen_n)),
        np.concatenate((due_us, unseen_us)),
        np.concatenate((placed_us, unseen_us)),
        np.concatenate((sent_us, unseen_us)),
        np.arange(len(n) + len(unseen_n)) < len(n),
    )
    rows = np.flatnonzero((columns[2] >= window.start) & (columns[2] < window.stop))
    rows = rows[np.argsort(columns[0][rows], kind="stable")]
    return DueTimes(*(column[rows] for column in columns))  # type: ignore[arg-type] # each keeps its type


class _Seen:
    """The ticks of a room that somebody saw, from which the due times of all others are computed."""

    def __init__(self, n: Integers, due_us: Integers, placed_us: Integers, start_us: int) -> None:
        self.n, self.placed_us, self.start_us = n, placed_us, start_us
        # In place of a tick with an impossible due time: the last before it with a possible one, or the first behind.
        states = np.flatnonzero(placed_us == due_us)
        index = np.arange(len(n))
        self.anchor = np.maximum.accumulate(np.where(placed_us == due_us, index, -1))
        self.anchor[self.anchor < 0] = states[0] if len(states) else 0

    def by_period(self, n: Integers, period_us: float) -> Integers:
        """Return the due times of ticks ``n``, each from the last seen tick before it, or the first seen of all."""
        if not len(n):
            return n
        if not len(self.n):
            from_start_us: Integers = np.floor(self.start_us + n * period_us).astype(np.int64)
            return from_start_us
        anchor = self.anchor[np.maximum(0, np.searchsorted(self.n, n, side="right") - 1)]
        after_us: Integers = np.rint((n - self.n[anchor]) * period_us).astype(np.int64)
        after_us += self.placed_us[anchor]
        return after_us

    def numbers_between(self, room: RoomTicks, period_us: float, window: Window) -> Integers:
        """Return the n of the due times in and about the window that nobody saw."""
        if not len(self.n):
            return np.arange(0, int((len(window) - 1) // period_us) + 1 if len(window) else 0, dtype=np.int64)
        ends = np.array([0, len(self.n) - 1])
        first_us, last_us = self.by_period(self.n[ends], period_us).tolist()
        last_n = int(self.n[-1])
        ranges = [range(last_n + 1, last_n + 2 + max(0, int((window.stop - last_us) // period_us)))]
        if not room.announced:  # else every message that was sent is known: it is our own
            first_n = int(self.n[0])
            ranges.append(range(max(0, first_n - 1 - max(0, int((first_us - window.start) // period_us))), first_n))
            leaps = np.flatnonzero(np.diff(self.n) > 1)
            placed_us = self.placed_us
            ranges += [
                range(int(self.n[i]) + 1, int(self.n[i + 1]))
                for i in leaps.tolist()
                if self.n[i + 1] - self.n[i] <= MAX_LEAP + 1
                and placed_us[i + 1] >= window.start
                and placed_us[i] < window.stop
            ]
        return np.concatenate([np.arange(each.start, each.stop, dtype=np.int64) for each in ranges])
