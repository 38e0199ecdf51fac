"""
Counts the ticks that never came to a connection, and how late that makes them, at the end of a run.

Each due time of a connection in the window is one of four: its frame was *received*; it is *missing* (the server sent
it, at least to others); it was *skipped* (nobody got a tick, while the connection was in); or the connection was
*absent* (refused, closed early by the server, or the server had died). What did not come is as late as the next frame
was or, where there was none, as the end of the run. So nothing is gained by what is left out (what Gil Tene calls
coordinated omission). When a tick was due that nobody got is computed from the room's period; whether it was sent all
the same, the server may say.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from loadtests.account.counts import Accounts, StageAccounts
from loadtests.account.presence import CUT, NEVER, Presences
from loadtests.account.room_ticks import MAX_LEAP, RoomTicks, ServerSkips, Window
from loadtests.receive.arrivals import Integers
from shared.measure.histogram import HIGHEST_US

Booleans = NDArray[np.bool_]
GapKind = Literal["missing", "skipped", "absent"]


class Gap(NamedTuple):
    """Ticks from ``first`` to before ``end`` had not come when a later one came at ``arrival_us``."""

    first: int
    end: int
    arrival_us: int


class RoomDueTimes(NamedTuple):
    """The due times of a room in the window, for connections of the main group."""

    ticks: int
    """How many of them anybody got a tick for."""
    missed: list[int]
    """The n of those for which some got a tick, and some did not."""
    unseen: list[int]
    """The n of those that were due to some, and for which nobody got a tick."""
    frames: int = 0
    """How many frames were due, one to each connection at each due time."""
    in_time: int = 0
    """How many of them came no later than half a period."""

    @classmethod
    def union(cls, of: Iterable[Self]) -> Self:
        """Return what several workers know of one room, put together."""
        ticks, missed, unseen, frames, in_time = zip(*of, strict=True)
        return cls(
            max(ticks),
            sorted({n for each in missed for n in each}),
            sorted({n for each in unseen for n in each}),
            sum(frames),
            sum(in_time),
        )


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


@dataclass
class Settlement:
    """Settles the accounts of connections, one after the other, when nothing more is expected."""

    of: Presences
    rooms: Sequence[RoomTicks]
    """By their number."""
    accounts: Sequence[Accounts]
    """Of the groups, by their number."""
    window: Window
    stages: Sequence[tuple[int, StageAccounts]]
    """When each part of the window begins, and its accounts; none where it has no parts."""
    period_us: float
    """Between due times, for rooms whose ticks do not show it; 0 if it is not known."""
    end_us: int
    """When we stopped waiting, on the clock of arrivals."""
    ahead_us: int
    """How far the server's clock is ahead of that clock."""

    def __post_init__(self) -> None:
        self._due = [due_times(room, room.period_us or self.period_us, self.window) for room in self.rooms]
        self._missed = [np.zeros(len(due.n), dtype=np.bool_) for due in self._due]

    def settle(self, connection: int, gaps: Sequence[Gap], late: Collection[int]) -> None:
        """Account for what never came on a connection; ``late`` are the ticks that came into its gaps."""
        if self.of.last_n[connection] < 0:
            self._settle_outside(connection)
            return
        for gap in gaps:
            self._settle_gap(connection, gap, late)
        self._settle_tail(connection)
        self._settle_silence(connection)

    def due_times(self) -> list[RoomDueTimes]:
        """Return for each room how many of its due times were ticks, which somebody missed, and what came in time."""
        of, rooms = self.of, len(self.rooms)
        main = np.flatnonzero(of.group[: of.count] == 0)
        frames, in_time = (np.bincount(of.room[main], each[main], rooms) for each in (of.due, of.in_time))
        return [
            RoomDueTimes(
                int(np.count_nonzero(due.seen)),
                due.n[missed & due.seen].tolist(),
                due.n[missed & ~due.seen].tolist(),
                int(frames[number]),
                int(in_time[number]),
            )
            for number, (due, missed) in enumerate(zip(self._due, self._missed, strict=True))
        ]

    # Connections that got ticks

    def _settle_gap(self, connection: int, gap: Gap, late: Collection[int]) -> None:
        due = self._due[self.of.room[connection]]
        rows = np.arange(*np.searchsorted(due.n, (gap.first, gap.end)))
        if late:
            rows = rows[~np.isin(due.n[rows], list(late))]
        if gap.first == 0:  # what was sent before the welcome was not for it
            rows = rows[due.sent_us[rows] > self.of.entered_us[connection]]
        seen = due.seen[rows]
        self._count(connection, "missing", rows[seen], gap.arrival_us)
        self._count(connection, "skipped", rows[~seen], gap.arrival_us)

    def _settle_tail(self, connection: int) -> None:
        of, number = self.of, self.of.room[connection]
        due, room = self._due[number], self.rooms[number]
        rows = np.arange(np.searchsorted(due.n, of.last_n[connection], side="right"), len(due.n))
        if not len(rows):
            return
        ended_us, until_us = of.ended_us[connection], of.until_us[connection]
        inside = due.sent_us[rows] < ended_us
        sent = due.seen[rows]
        end_us = self.end_us if until_us != CUT else int(ended_us) - self.ahead_us
        self._count(connection, "missing", rows[inside & sent], end_us)
        if not room.announced:
            self._count(connection, "skipped", rows[inside & ~sent], end_us)
        if ended_us != NEVER and until_us >= 0:
            self._count(connection, "absent", rows[~inside & (due.placed_us[rows] < until_us)], self.end_us)

    def _settle_silence(self, connection: int) -> None:
        of = self.of
        silence_us, ended_us, until_us = (
            int(column[connection]) for column in (of.silence_us, of.ended_us, of.until_us)
        )
        last_us = int(of.last_arrival_us[connection]) + self.ahead_us
        if last_us < self.window.stop and not (until_us < 0 and ended_us < 0):
            quiet_us = self.end_us + self.ahead_us
            if ended_us != NEVER:
                quiet_us = min(self.window.stop, ended_us if until_us < 0 else until_us)
            silence_us = max(silence_us, quiet_us - max(last_us, self.window.start))
        self._keep_silence(connection, silence_us)

    # Connections that never got one

    def _settle_outside(self, connection: int) -> None:
        """Account for what was due to a connection that never got a tick."""
        due = self._due[self.of.room[connection]]
        begin_us = max(int(self.of.asked_us[connection]), self.window.start)
        end_us = min(int(self.of.until_us[connection]), self.window.stop)
        rows = np.flatnonzero((due.placed_us >= begin_us) & (due.placed_us < end_us))
        self._count(connection, "absent", rows, self.end_us)
        self._keep_silence(connection, end_us - begin_us)

    # Counting

    def _accounts_of(self, connection: int) -> Accounts:
        return self.accounts[int(self.of.group[connection])]

    def _keep_silence(self, connection: int, silence_us: int) -> None:
        accounts = self._accounts_of(connection)
        accounts.longest_silence_us = max(accounts.longest_silence_us, silence_us)

    def _count(self, connection: int, kind: GapKind, rows: Integers, until_us: int) -> None:
        """Count due times that brought a connection no frame, with their lateness at ``until_us``."""
        if not len(rows):
            return
        number = self.of.room[connection]
        due = self._due[number]
        stated_us = due.due_us if kind == "missing" else due.placed_us
        lateness_us = until_us + self.ahead_us - stated_us[rows]
        accounts = self._accounts_of(connection)
        setattr(accounts, kind, getattr(accounts, kind) + len(rows))
        if kind == "missing" and self.of.until_us[connection] == CUT:
            accounts.missing_cut += len(rows)
        accounts.tick_lateness.record_array(lateness_us)
        self.of.due[connection] += len(rows)
        if self.of.group[connection]:
            return
        self._missed[number][rows] = True
        if not self.stages:
            return
        starts_us = [start_us for start_us, _ in self.stages]
        numbers = np.maximum(0, np.searchsorted(starts_us, due.placed_us[rows], side="right") - 1)
        for index in np.unique(numbers).tolist():
            (_, stage), of = self.stages[index], numbers == index
            setattr(stage, kind, getattr(stage, kind) + int(np.count_nonzero(of)))
            stage.tick_lateness.record_array(lateness_us[of])


class Unseen(NamedTuple):
    """How many due times in the window had no tick that anybody got, by room."""

    all: dict[str, int]
    lost: dict[str, int]
    """Of these, those that the server did not skip."""
    unexplained: dict[str, int]
    """Of these, those that the server may or may not have skipped."""


def explain_unseen(rooms: Mapping[str, RoomTicks], skips: Mapping[str, ServerSkips], window: Window) -> Unseen:
    """
    Count as sent the due times that the server did not skip, though no connection of the room got a tick for them.

    ``skips`` is what the server says of each room. It was asked shortly before the window and after it, so the
    skips that it reports may lie outside the window; then it stays open which due times inside were skipped. Where
    only some of several were sent, the first are taken: they are late by most. Call it before accounts are settled.

    """
    unseen = Unseen({}, {}, {})
    for name, room in rooms.items():
        numbers = room.unseen(window)
        first_n, end_n, skipped = skips.get(name, (0, 0, 0))
        covered = [n for n in numbers if first_n <= n < end_n]
        lost = max(0, len(covered) - skipped)
        between = room.unseen_between(first_n, end_n)
        at_most = min(len(covered), max(0, len(between) - skipped))
        # The server's n includes due times behind the last tick that anybody saw; it may have skipped all of them.
        behind = range(max(first_n, room.last_n + 1), min(end_n, room.last_n + MAX_LEAP) if room.period_us else 0)
        sent_behind = max(0, len(behind) - max(0, skipped - len(between)))
        counts = len(numbers), lost, at_most - lost + len(numbers) - len(covered)
        for of, number in zip(unseen, counts, strict=True):
            if number:
                of[name] = number
        room.see_unseen([*covered[:lost], *behind[:sent_behind]])
    return unseen
