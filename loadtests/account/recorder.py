"""
Accounts for every tick that was due to every connection: whether it came, how late, and how evenly.

It is fed with :class:`~loadtests.receive.arrivals.Arrivals`, at any rate, in order; the definitions are those of
docs/measuring.md. All times are microseconds of the server's epoch clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from loadtests.account.counts import MAIN, Accounts, StageAccounts, total
from loadtests.account.deliveries import Deliveries
from loadtests.account.jitter import JitterEstimators
from loadtests.account.lives import RoomLives
from loadtests.account.presence import NEVER, Presences
from loadtests.account.room_ticks import Window, is_another_rate
from loadtests.account.settling import Booleans, Gap, RoomDueTimes, Settlement
from loadtests.receive.arrivals import Arrivals, ArrivedTick, Integers, SortedArrivals
from shared.measure.histogram import HIGHEST_US, Histogram

NO_WINDOW = range(NEVER, NEVER)
STRETCH_US = 2_000_000
MANY_FRAMES = 500
MANY_TICKS = 1000
"""Own messages (``echo``) of a connection that are kept before those that are not needed any more are dropped."""
MAX_STRETCHES = 16
"""The most two-second pieces of the window that are compared with the end of the warm-up."""


class Recorder:
    """
    Accounts for the arrivals of any number of connections.

    Call :meth:`add_connection` for each, :meth:`take` for what arrived, :meth:`measure` before the window begins, and
    at last :meth:`settle`; after :meth:`rest` another window may follow. ``period_us`` is the time between two due
    times of a room: None if it is to be found from the due times, 0 if they have no fixed period.

    """

    def __init__(self, period_us: float | None = None) -> None:
        self.groups: dict[str, Accounts] = {MAIN: Accounts()}
        self.stages: list[StageAccounts] = []
        self.stretches: list[Histogram] = []
        """Lateness of the main group in the last two seconds of the warm-up, then in each two seconds of the window."""
        self.latest_lateness = Histogram()
        """Of the main group since the run began, measured or not; for the table that is shown meanwhile."""
        self.latest_interval_error = Histogram()
        self.lives = RoomLives()
        self.rooms = self.lives.by_name
        self.window: Window = NO_WINDOW
        self.due_times: dict[str, RoomDueTimes] = {}
        """By room, once it is settled."""
        self._period_us = period_us
        self._stage_starts_us: list[int] = []
        self._rooms = self.lives.by_number
        self.presences = Presences()
        self._jitters = JitterEstimators()
        self._gaps: defaultdict[int, list[Gap]] = defaultdict(list)
        self._late: defaultdict[int, set[int]] = defaultdict(set)
        self._deliveries = Deliveries()
        self._ahead_us = 0
        self._first_ahead_us: int | None = None
        self._announced: list[int] = []  # connections whose ticks are our own messages

    # Public methods

    @property
    def period_us(self) -> float:
        """The time between two due times; 0 while it is not known."""
        if self._period_us is None:
            return next((period for room in self._rooms if (period := room.period_us)), 0.0)
        return self._period_us

    def group_of(self, index: int) -> Accounts:
        """Return the accounts that a connection counts in."""
        return list(self.groups.values())[int(self.presences.group[index])]

    def add_connection(self, room: str, group: str = MAIN, *, announced: bool = False, asked_us: int = 0) -> int:
        """
        Return the index of a new connection to ``room``, which begins to connect at ``asked_us``.

        ``announced`` as in :class:`~loadtests.account.room_ticks.RoomTicks`.

        """
        index = self.presences.add()
        self._jitters.grow(len(self.presences.room))
        self.presences.room[index] = self.lives.latest(room, announced=announced).number
        self.presences.asked_us[index] = asked_us
        self.put_in(index, group)
        if announced:
            self._announced.append(index)
        return index

    def begin(self, index: int, tick: ArrivedTick) -> None:
        """Put a connection, which got its first tick, into the life of its room that has this tick."""
        of = self.presences
        of.room[index] = self.lives.of_tick(int(of.room[index]), tick, self.period_us).number

    def put_in(self, index: int, group: str) -> None:
        """Count a connection in a group from now on."""
        self.groups.setdefault(group, Accounts()).requested += 1
        self.presences.group[index] = list(self.groups).index(group)

    def count_inside(self, index: int, change: int) -> None:
        """Say that a connection got its first tick (1) or came to its end after that (-1)."""
        room = self._rooms[self.presences.room[index]]
        room.inside += change
        if not room.inside and self.window.start < NEVER:
            room.interrupted = True

    def expect(self, index: int, n: int, due_us: int, sent_us: int) -> None:
        """Say that tick ``n`` was sent to the room of a connection, where ticks are announced."""
        self._rooms[self.presences.room[index]].see(n, due_us, sent_us)

    def measure(self, window: Window, stages: Sequence[int] = (), *, last_counts: bool = True) -> None:
        """
        Measure ticks that are due in ``window``; before another one, :meth:`rest`.

        ``stages`` are the starts of its parts, in microseconds after the window's start, the first of them 0.
        ``last_counts`` is whether the last window was a good one: if not, it leaves nothing in the estimates of jitter.

        """
        self._check_period()
        self._jitters.begin(last_counts=last_counts)
        self.window = window
        self.stages = [StageAccounts() for _ in stages]
        self._stage_starts_us = [window.start + offset for offset in stages]
        self.stretches = [Histogram() for _ in range(1 + min(MAX_STRETCHES, max(1, len(window) // STRETCH_US)))]

    def rest(self) -> None:
        """Measure nothing until the next window; nothing is added to what the last one counted. Connections go on."""
        self.window = NO_WINDOW
        self.groups = {name: Accounts(**total([of]).of_connections()) for name, of in self.groups.items()}
        self.presences.begin_window()
        self._gaps.clear()  # no tick of the next window is in one of them
        self._late.clear()

    def _check_period(self) -> None:
        """Take the period from the due times where these contradict the rate that the server states."""
        seen_us = next((room.period_us for room in self._rooms if room.period_us and not room.announced), 0.0)
        if self._period_us and seen_us and is_another_rate(self._period_us, seen_us):
            self._period_us = None

    def end_stage(self, stage: int) -> None:
        """Take note of how many are up at the end of a stage."""
        up = (self.presences.last_n >= 0) & (self.presences.ended_us == NEVER) & (self.presences.group == 0)
        self.stages[stage].connections = int(np.count_nonzero(up))

    def take(self, arrivals: Arrivals, steady_us: int, ahead_us: int = 0) -> None:
        """
        Account for what arrived since the last time.

        Arrival times plus ``steady_us`` are times of a steady clock, which nobody sets; these plus ``ahead_us`` are
        times of the server's clock. What needs no common clock is measured without ``ahead_us``, which may be an
        estimate that changes.

        """
        self._ahead_us = ahead_us
        if not len(arrivals.n):
            return
        if self._first_ahead_us is None:
            self._first_ahead_us = ahead_us
        self._see_ticks(arrivals)
        placed = arrivals.due_us
        odd = np.abs(arrivals.sent_us - arrivals.due_us) > HIGHEST_US
        if odd.any():  # see placed_us
            placed = np.where(odd, arrivals.sent_us, arrivals.due_us)
        measured = (placed >= self.window.start) & (placed < self.window.stop)
        order = np.argsort(arrivals.connection, kind="stable")
        rows = SortedArrivals(
            arrivals.connection[order],
            arrivals.n[order],
            arrivals.due_us[order],
            arrivals.sent_us[order],
            arrivals.arrival_us[order] + steady_us,
            placed[order],
            measured[order],
        )
        self._count(arrivals, measured)
        new, late = self._sort_out(rows)
        self._record_lateness(rows, new | late)
        self._record_intervals(SortedArrivals(*(column[new] for column in rows)))  # type: ignore[arg-type] # each keeps its type
        self._forget_announced()

    def caught_up(self) -> bool:
        """Return whether each connection that is up and reads has a tick from behind the window, and all inside."""
        of = self.presences
        up = (of.last_n >= 0) & (of.ended_us == NEVER) & (of.reads != 0)
        if (self.presences.last_placed_us[up] < self.window.stop).any():
            return False
        return not any(
            n not in self._late.get(connection, ())
            for connection, gaps in self._gaps.items()
            if up[connection]
            for gap in gaps
            for n, _, _ in self._ticks_in(connection, gap)
        )

    def has_ticked_since(self, start_us: int) -> bool:
        """Return whether a tick that was due later has come to each room that somebody is in."""
        return all(room.last_due_us >= start_us for room in self._rooms if room.inside)

    def settle(self, end_us: int) -> None:
        """Account for what never came; ``end_us`` is when we stopped waiting for it."""
        self._check_period()
        settlement = Settlement(
            self.presences,
            self._rooms,
            list(self.groups.values()),
            self.window,
            list(zip(self._stage_starts_us, self.stages, strict=True)) if len(self.stages) > 1 else [],
            period_us=self.period_us,
            end_us=end_us - self._ahead_us,
            ahead_us=self._ahead_us,
        )
        for connection in range(self.presences.count):
            settlement.settle(connection, self._gaps.get(connection, ()), self._late.get(connection, ()))
        self.due_times = dict(zip(self.rooms, settlement.due_times(), strict=True))
        for number, accounts in enumerate(self.groups.values()):
            accounts.jitter = self._jitters.histogram(self.presences.group == number)
        for connections, pdv in self._deliveries.pdv(len(self.presences.room)):
            for name, of in self._by_group(connections):
                self.groups[name].pdv.record_array(pdv[of])
        self._deliveries.close()

    def close(self) -> None:
        """Delete what is kept on disk."""
        self._deliveries.close()

    def _ticks_in(self, connection: int, gap: Gap) -> Iterable[tuple[int, int, int]]:
        """Return n, due and sent time of the ticks of the window in a gap, without those that nobody saw."""
        room = self._rooms[int(self.presences.room[connection])]
        if gap.first == 0:
            return room.before(gap.end, int(self.presences.entered_us[connection]), self.window)
        return room.between(gap.first, gap.end, self.window)

    # Taking

    def _by_group(self, connection: Integers, rows: Booleans | None = None) -> Iterator[tuple[str, Booleans | slice]]:
        """Yield each group's name with which of the rows are its own (and in ``rows``)."""
        if len(self.groups) == 1:
            yield MAIN, slice(None) if rows is None else rows
            return
        group = self.presences.group[connection]
        for number in np.unique(group).tolist():
            of = group == number
            yield list(self.groups)[number], of if rows is None else of & rows

    def _see_ticks(self, arrivals: Arrivals) -> None:
        frames = int(arrivals.frame.max()) + 1
        room = self.presences.room[arrivals.connection]
        _, firsts = np.unique(room * frames + arrivals.frame, return_index=True)
        if len(firsts) > MANY_FRAMES:  # the server builds a frame for each connection: keep one a tick
            firsts = firsts[np.lexsort((arrivals.n[firsts], room[firsts]))]
            changed = (np.diff(arrivals.n[firsts], prepend=-1) != 0) | (np.diff(room[firsts], prepend=-1) != 0)
            firsts = firsts[changed]
        columns = (room, arrivals.n, arrivals.due_us, arrivals.sent_us)
        for number, n, due_us, sent_us in zip(*(column[firsts].tolist() for column in columns), strict=True):
            self._rooms[number].see(n, due_us, sent_us)

    def _count(self, arrivals: Arrivals, measured: Booleans) -> None:
        for name, of in self._by_group(arrivals.connection, measured):
            accounts = self.groups[name]
            accounts.coalesced += int(np.count_nonzero(arrivals.coalesced[of]))
            accounts.slow_parse += int(np.count_nonzero(arrivals.slow_parse[of]))
            accounts.unstamped += int(np.count_nonzero(arrivals.unstamped[of]))
            accounts.bytes += int(arrivals.size_bytes[of].sum())
            accounts.wire_bytes += int(arrivals.wire_bytes[of].sum())

    def _sort_out(self, rows: SortedArrivals) -> tuple[Booleans, Booleans]:
        """Return which rows are newer than all before, and which came late, into a gap; the others are duplicates."""
        connection, n = rows.connection, rows.n
        new = np.ones(len(n), dtype=np.bool_)
        late = np.zeros(len(n), dtype=np.bool_)
        previous, _ = self._previous(connection, n, self.presences.last_n)
        for disordered in np.unique(connection[n <= previous]).tolist():
            accounts = self.group_of(disordered)
            last_n = int(self.presences.last_n[disordered])
            gaps = list(self._gaps.get(disordered, ()))
            first, end = np.searchsorted(connection, (disordered, disordered + 1)).tolist()
            first_n = int(self.presences.first_n[disordered]) if last_n >= 0 else int(n[first])
            for row in range(first, end):
                tick = int(n[row])
                if tick > last_n:
                    gaps.append(Gap(last_n + 1, tick, 0))
                    last_n = tick
                    continue
                new[row] = False
                is_new = tick < first_n or any(gap.first <= tick < gap.end for gap in gaps)
                if is_new and tick not in self._late[disordered]:
                    self._late[disordered].add(tick)
                    late[row] = True
                    accounts.out_of_order += bool(rows.measured[row])
                else:
                    accounts.duplicate += bool(rows.measured[row])
        return new, late

    def _previous(self, connection: Integers, column: Integers, last: Integers) -> tuple[Integers, Booleans]:
        """Return each row's value of the row before on its connection, and which rows are the first of theirs."""
        first = np.ones(len(connection), dtype=np.bool_)
        first[1:] = connection[1:] != connection[:-1]
        previous = np.empty_like(column)
        previous[1:] = column[:-1]
        previous[first] = last[connection[first]]
        return previous, first

    def _record_lateness(self, rows: SortedArrivals, kept: Booleans) -> None:
        lateness = rows.arrival_us + self._ahead_us - rows.due_us
        main = (self.presences.group[rows.connection] == 0) & kept
        self.latest_lateness.record_array(lateness[main])
        self._record_stretches(lateness, rows.placed_us, main)
        measured = rows.measured & kept
        if not measured.any():
            return
        delivery = rows.arrival_us + self._ahead_us - rows.sent_us
        for name, of in self._by_group(rows.connection, measured):
            accounts = self.groups[name]
            accounts.tick_lateness.record_array(lateness[of])
            accounts.delivery.record_array(delivery[of])
            accounts.negative_deliveries += int(np.count_nonzero(delivery[of] < 0))
            accounts.received += len(lateness[of])
        self.presences.count_due(rows.connection[measured], lateness[measured] <= self.period_us / 2)
        drift_us = self._ahead_us - (self._first_ahead_us or 0)  # the estimate changed by it, no delay did
        self._deliveries.append(rows.connection[measured], delivery[measured] - drift_us)
        for stage, of in self._by_stage(rows.placed_us, measured & main):
            stage.tick_lateness.record_array(lateness[of])
            stage.received += int(np.count_nonzero(of))

    def _record_stretches(self, lateness: Integers, placed: Integers, main: Booleans) -> None:
        if not self.stretches:
            return
        stretch = (placed - self.window.start) // STRETCH_US + 1
        for number in np.unique(stretch[main]).tolist():
            if 0 <= number < len(self.stretches):
                self.stretches[number].record_array(lateness[main & (stretch == number)])

    def _by_stage(self, placed: Integers, rows: Booleans) -> Iterator[tuple[StageAccounts, Booleans]]:
        if len(self.stages) < 2:
            return
        numbers = np.searchsorted(self._stage_starts_us, placed, side="right") - 1
        for number in np.unique(numbers[rows]).tolist():
            if number >= 0:
                yield self.stages[number], rows & (numbers == number)

    def _record_intervals(self, rows: SortedArrivals) -> None:
        connection, n, arrival_us = rows.connection, rows.n, rows.arrival_us
        previous_n, first = self._previous(connection, n, self.presences.last_n)
        previous_due_us, _ = self._previous(connection, rows.due_us, self.presences.last_due_us)
        previous_placed_us, _ = self._previous(connection, rows.placed_us, self.presences.last_placed_us)
        previous_arrival_us, _ = self._previous(connection, arrival_us, self.presences.last_arrival_us)
        both = rows.measured & (previous_n >= 0) & (previous_placed_us >= self.window.start)
        interval_us = arrival_us - previous_arrival_us
        due_apart_us = rows.due_us - previous_due_us
        period_us = self.period_us
        # |a(n) - a(n-1) - T|; T is a constant, so that a wrong due time makes no jitter.
        error_us = np.abs(interval_us - (round(period_us) if period_us else due_apart_us))
        consecutive = both & (n == previous_n + 1)
        for name, of in self._by_group(connection, consecutive):
            self.groups[name].interval_error.record_array(error_us[of])
        main = consecutive & (self.presences.group[connection] == 0)
        self.latest_interval_error.record_array(error_us[main])
        for stage, of in self._by_stage(rows.placed_us, main):
            stage.interval_error.record_array(error_us[of])
        self._jitters.take(connection, np.abs(interval_us - due_apart_us), first, both)
        self._note_silence(connection, arrival_us, np.where(previous_n >= 0, previous_arrival_us, NEVER), first)
        self._note_gaps(rows, previous_n)
        last = np.append(np.flatnonzero(first)[1:] - 1, len(n) - 1) if len(n) else np.zeros(0, dtype=np.int64)
        starts = first & (previous_n < 0)
        self.presences.first_n[connection[starts]] = n[starts]
        self.presences.first_arrival_us[connection[starts]] = arrival_us[starts]
        self.presences.last_n[connection[last]] = n[last]
        self.presences.last_due_us[connection[last]] = rows.due_us[last]
        self.presences.last_placed_us[connection[last]] = rows.placed_us[last]
        self.presences.last_arrival_us[connection[last]] = arrival_us[last]

    def _note_silence(self, connection: Integers, arrival_us: Integers, before_us: Integers, first: Booleans) -> None:
        """Keep each connection's longest time without a frame in the window; ``before_us`` is when the last came."""
        of, start_us = self.presences, self.window.start - self._ahead_us
        welcomed_us = of.entered_us[connection] - self._ahead_us
        before_us = np.where(before_us < NEVER, before_us, welcomed_us)
        silence_us = np.where(
            before_us + self._ahead_us < self.window.stop, arrival_us - np.maximum(before_us, start_us), 0
        )
        starts = np.flatnonzero(first)
        if len(starts):
            longest_us = np.maximum.reduceat(silence_us, starts)
            of.silence_us[connection[starts]] = np.maximum(of.silence_us[connection[starts]], longest_us)

    def _note_gaps(self, rows: SortedArrivals, previous_n: Integers) -> None:
        # What was sent between a connection's welcome and its first tick frame is a gap like any other.
        entered = (previous_n < 0) & (self.presences.entered_us[rows.connection] < rows.sent_us)
        for row in np.flatnonzero(((previous_n >= 0) & (rows.n > previous_n + 1)) | entered).tolist():
            gap = Gap(int(previous_n[row]) + 1, int(rows.n[row]), int(rows.arrival_us[row]))
            self._gaps[int(rows.connection[row])].append(gap)

    def _forget_announced(self) -> None:
        """Forget our own messages that came back: at a thousand a second they would fill any memory."""
        for connection in self._announced:
            room = self._rooms[self.presences.room[connection]]
            if len(room) > MANY_TICKS:
                late, gaps = self._late.get(connection, ()), self._gaps.get(connection, ())
                missing = [n for gap in gaps for n, _, _ in self._ticks_in(connection, gap) if n not in late]
                room.forget(int(self.presences.last_n[connection]) + 1, but=missing)
