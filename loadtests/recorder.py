"""
The accounts of a run: every tick of a room, on every connection that was in it, is received or missing.

Fed with :class:`~loadtests.arrivals.Arrivals`, at any rate, in order; the definitions are those of docs/measuring.md.
All times are microseconds of the server's epoch clock. Knows nothing of sockets or clocks.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loadtests.jitter import JitterEstimators
from loadtests.rooms import RoomTicks
from shared.measure.histogram import Histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.arrivals import Arrivals

    Integers = NDArray[np.int64]
    Booleans = NDArray[np.bool_]

NEVER = 2**62
"""Later than any time."""
MAX_LOST_TICKS = 100_000
"""In one room; more is a leap of n, not a loss."""


class Gap(NamedTuple):
    """Ticks from ``first`` to before ``end`` had not come when a later one came at ``arrival_us``."""

    first: int
    end: int
    arrival_us: int


class Recorder:
    """
    Accounts for the arrivals of any number of connections.

    Call :meth:`add_connection` for each, :meth:`take` for what arrived, :meth:`open_window` and :meth:`close_window`
    around what is to be measured (by due time), and at last :meth:`settle`.

    """

    def __init__(self) -> None:
        self.tick_lateness = Histogram()
        self.delivery = Histogram()
        self.interval_error = Histogram()
        self.pdv = Histogram()
        self.jitter = Histogram()
        self.received = self.missing = self.duplicate = self.out_of_order = 0
        self.coalesced = self.slow_parse = self.unstamped = self.bytes = 0
        self.negative_deliveries = 0
        self.warm_up_lateness: deque[Histogram] = deque(maxlen=2)
        """Of the last two takes before the window."""
        self.first_lateness = Histogram()
        """Of the first two seconds of the window."""
        self.latest_lateness = Histogram()
        """Of the last take; for the summary rows of a running test."""
        self.latest_interval_error = Histogram()
        self.rooms: dict[str, RoomTicks] = {}
        self._rooms: list[RoomTicks] = []
        self._room_indexes: dict[str, int] = {}
        self._window = (NEVER, NEVER)
        self._room = np.zeros(0, dtype=np.int64)
        self._last_n = np.zeros(0, dtype=np.int64)
        self._last_arrival_us = np.zeros(0, dtype=np.int64)
        self._last_due_us = np.zeros(0, dtype=np.int64)
        self._ended_us = np.zeros(0, dtype=np.int64)
        self._connections = 0
        self._jitters = JitterEstimators()
        self._gaps: defaultdict[int, list[Gap]] = defaultdict(list)
        self._late: defaultdict[int, set[int]] = defaultdict(set)
        self._deliveries: list[tuple[Integers, Integers]] = []

    # Public methods

    @property
    def skipped_ticks(self) -> int:
        """Due times in the window that were no tick for any connection of their room."""
        return sum(room.skipped() for room in self._rooms)

    @property
    def expected(self) -> int:
        """What should have been received; known after :meth:`settle`."""
        return self.received + self.missing

    def add_connection(self, room: str) -> int:
        """Return the index of a new connection to ``room``."""
        index = self._connections
        self._connections += 1
        if index == len(self._room):
            self._grow(max(1024, 2 * index))
        if room not in self._room_indexes:
            self._room_indexes[room] = len(self._rooms)
            self.rooms[room] = RoomTicks()
            self._rooms.append(self.rooms[room])
        self._room[index] = self._room_indexes[room]
        return index

    def end_connection(self, index: int, at_us: int) -> None:
        """Say that a connection gets no ticks that are sent after ``at_us``."""
        self._ended_us[index] = min(self._ended_us[index], at_us)

    def open_window(self, start_us: int) -> None:
        """Measure ticks that are due from ``start_us`` on."""
        self._window = (start_us, NEVER)

    def close_window(self, end_us: int) -> None:
        """Measure no ticks that are due at ``end_us`` or later; go on taking those that were due before."""
        self._window = (self._window[0], end_us)

    def take(self, arrivals: Arrivals, correction_us: int) -> None:
        """
        Account for what arrived since the last time.

        ``correction_us`` is added to arrival times to make them times of the server's clock.

        """
        self.latest_lateness, self.latest_interval_error = Histogram(), Histogram()
        if not len(arrivals.n):
            return
        measured = (arrivals.due_us >= self._window[0]) & (arrivals.due_us < self._window[1])
        self._see_ticks(arrivals, measured)
        self._count(arrivals, measured)
        order = np.argsort(arrivals.connection, kind="stable")
        columns = (arrivals.connection, arrivals.n, arrivals.due_us, arrivals.sent_us, arrivals.arrival_us)
        connection, n, due_us, sent_us, arrival_us = (column[order] for column in columns)
        arrival_us += correction_us
        measured = measured[order]
        new, late = self._sort_out(connection, n, measured)
        kept = new | late
        self._record_lateness(connection, due_us, sent_us, arrival_us, kept, measured & kept)
        self._record_intervals(connection[new], n[new], due_us[new], arrival_us[new], measured[new])

    def caught_up(self) -> bool:
        """Return whether every connection that is still up has got a tick due behind the window."""
        up = (self._last_n >= 0) & (self._ended_us == NEVER)
        return bool((self._last_due_us[up] >= self._window[1]).all())

    def lost_ticks(self, skipped_by_server: dict[str, int]) -> dict[str, int]:
        """
        Take due times that no connection of a room saw a tick for, and that its server did not skip, for sent ticks.

        Call it before :meth:`settle`; it returns how many there were, by room.

        """
        lost = {}
        for name, room in self.rooms.items():
            count = room.skipped() - skipped_by_server.get(name, 0)
            if 0 < count <= MAX_LOST_TICKS:
                lost[name] = count
                room.see_skipped()
        return lost

    def settle(self, end_us: int) -> None:
        """Account for what never came; ``end_us`` is when we stopped waiting for it."""
        for connection in self._gaps:
            self._settle_gaps(connection)
        for connection in range(self._connections):
            if self._last_n[connection] >= 0:
                self._settle_tail(connection, end_us)
        self._settle_pdv()
        self.jitter = self._jitters.histogram()

    # Taking

    def _grow(self, size: int) -> None:
        def grown(column: Integers, fill: int) -> Integers:
            return np.concatenate((column, np.full(size - len(column), fill, dtype=np.int64)))

        self._room = grown(self._room, 0)
        self._last_n = grown(self._last_n, -1)
        self._last_arrival_us = grown(self._last_arrival_us, 0)
        self._last_due_us = grown(self._last_due_us, 0)
        self._ended_us = grown(self._ended_us, NEVER)
        self._jitters.grow(size)

    def _see_ticks(self, arrivals: Arrivals, measured: Booleans) -> None:
        frames = int(arrivals.frame.max()) + 1
        keys = self._room[arrivals.connection] * frames + arrivals.frame
        _, firsts = np.unique(keys, return_index=True)
        columns = (self._room[arrivals.connection], arrivals.n, arrivals.due_us, arrivals.sent_us, measured)
        for room, n, due_us, sent_us, is_measured in zip(*(column[firsts].tolist() for column in columns), strict=True):
            self._rooms[room].see(n, due_us, sent_us, measured=is_measured)

    def _count(self, arrivals: Arrivals, measured: Booleans) -> None:
        self.coalesced += int(np.count_nonzero(arrivals.coalesced & measured))
        self.slow_parse += int(np.count_nonzero(arrivals.slow_parse & measured))
        self.unstamped += int(np.count_nonzero(arrivals.unstamped & measured))
        self.bytes += int(arrivals.size_bytes[measured].sum())

    def _sort_out(self, connection: Integers, n: Integers, measured: Booleans) -> tuple[Booleans, Booleans]:
        """Return which rows are ticks newer than all before, and which came late, into a gap; others are repeated."""
        new = np.ones(len(n), dtype=np.bool_)
        late = np.zeros(len(n), dtype=np.bool_)
        previous, _ = self._previous(connection, n, self._last_n)
        for disordered in np.unique(connection[n <= previous]).tolist():
            last_n = int(self._last_n[disordered])
            gaps = list(self._gaps.get(disordered, ()))
            for row in np.flatnonzero(connection == disordered).tolist():
                tick = int(n[row])
                if tick > last_n:
                    if last_n >= 0:
                        gaps.append(Gap(last_n + 1, tick, 0))
                    last_n = tick
                    continue
                new[row] = False
                if tick not in self._late[disordered] and any(gap.first <= tick < gap.end for gap in gaps):
                    self._late[disordered].add(tick)
                    late[row] = True
                    self.out_of_order += bool(measured[row])
                else:
                    self.duplicate += bool(measured[row])
        return new, late

    def _previous(self, connection: Integers, column: Integers, last: Integers) -> tuple[Integers, Booleans]:
        """Return each row's value of the row before on its connection, and which rows are the first of theirs."""
        first = np.ones(len(connection), dtype=np.bool_)
        first[1:] = connection[1:] != connection[:-1]
        previous = np.empty_like(column)
        previous[1:] = column[:-1]
        previous[first] = last[connection[first]]
        return previous, first

    def _record_lateness(
        self,
        connection: Integers,
        due_us: Integers,
        sent_us: Integers,
        arrival_us: Integers,
        kept: Booleans,
        measured: Booleans,
    ) -> None:
        lateness = arrival_us - due_us
        self.latest_lateness.record_array(lateness[kept])
        if not measured.any():
            if self._window[0] == NEVER:
                self.warm_up_lateness.append(self.latest_lateness)
            return
        self.tick_lateness.record_array(lateness[measured])
        self.first_lateness.record_array(lateness[measured & (due_us < self._window[0] + 2_000_000)])
        delivery = (arrival_us - sent_us)[measured]
        self.delivery.record_array(delivery)
        self.negative_deliveries += int(np.count_nonzero(delivery < 0))
        self._deliveries.append((connection[measured], delivery))
        self.received += len(delivery)

    def _record_intervals(
        self, connection: Integers, n: Integers, due_us: Integers, arrival_us: Integers, measured: Booleans
    ) -> None:
        previous_n, first = self._previous(connection, n, self._last_n)
        previous_due_us, _ = self._previous(connection, due_us, self._last_due_us)
        previous_arrival_us, _ = self._previous(connection, arrival_us, self._last_arrival_us)
        # |a(n) - a(n-1) - T|, with T the difference of the two due times: the period, as exact as the server has it.
        change = np.abs((arrival_us - previous_arrival_us) - (due_us - previous_due_us))
        both = measured & (previous_n >= 0) & (previous_due_us >= self._window[0])
        consecutive = change[both & (n == previous_n + 1)]
        self.interval_error.record_array(consecutive)
        self.latest_interval_error.record_array(consecutive)
        self._jitters.take(connection, change, first, both)
        for row in np.flatnonzero((previous_n >= 0) & (n > previous_n + 1)).tolist():
            gap = Gap(int(previous_n[row]) + 1, int(n[row]), int(arrival_us[row]))
            self._gaps[int(connection[row])].append(gap)
        last = np.append(np.flatnonzero(first)[1:] - 1, len(n) - 1) if len(n) else np.zeros(0, dtype=np.int64)
        self._last_n[connection[last]] = n[last]
        self._last_due_us[connection[last]] = due_us[last]
        self._last_arrival_us[connection[last]] = arrival_us[last]

    # Settling

    def _settle_gaps(self, connection: int) -> None:
        seen = self._rooms[self._room[connection]].seen
        for gap in self._gaps[connection]:
            ticks = range(gap.first, gap.end)
            # What nobody saw, the server skipped; and a leap of n into the millions is looked up the other way round.
            for n in ticks if len(ticks) <= len(seen) else [n for n in seen if n in ticks]:
                if n in seen and n not in self._late[connection]:
                    self._miss(gap.arrival_us - seen[n][0])

    def _settle_tail(self, connection: int, end_us: int) -> None:
        room = self._rooms[self._room[connection]]
        last_n, ended_us = int(self._last_n[connection]), int(self._ended_us[connection])
        if last_n < room.last_n:
            for n, (due_us, sent_us) in room.seen.items():
                if n > last_n and sent_us < ended_us:
                    self._miss(end_us - due_us)
        for _, due_us in room.unseen_until(min(self._window[1], ended_us)):
            if due_us >= self._window[0]:
                self._miss(end_us - due_us)

    def _miss(self, lateness_us: int) -> None:
        self.missing += 1
        self.tick_lateness.record(lateness_us)

    def _settle_pdv(self) -> None:
        least = np.full(len(self._room), NEVER, dtype=np.int64)
        for connection, delivery in self._deliveries:
            np.minimum.at(least, connection, delivery)
        for connection, delivery in self._deliveries:
            self.pdv.record_array(delivery - least[connection])
