"""
One process's share of a run: what its users ask it for, and what the conductor of the run tells it to do.

Locust starts and stops the users; how frames are timed is in :mod:`loadtests.run.measurement`. A run has one such
worker or, with ``--processes`` or ``--master``, several that don't talk to each other.
"""

import gc
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import msgspec
import psutil
from gevent.event import Event
from gevent.pool import Group

from loadtests.account.counts import MAIN
from loadtests.account.locust_rows import INTERVAL_ERROR, LATENESS, LocustRows, Row
from loadtests.account.returns import ReturnLedger
from loadtests.account.room_ticks import TickColumns
from loadtests.account.worker_record import WorkerRecord
from loadtests.options import LoadOptions
from loadtests.receive.connection import Connection, Listener
from loadtests.receive.endings import ConnectionObserver
from loadtests.receive.stamps import now_us
from loadtests.run.extra_connections import ExtraConnections
from loadtests.run.measurement import Measurement
from loadtests.run.messages import Bring, Leave, Measure, Order, Phase, Settle, Stand, WorkerReport
from loadtests.run.pacer import Pacer
from loadtests.run.roll import Roll
from loadtests.surroundings.server_stats import FoundServer
from shared.wire.target import Target

logger = logging.getLogger("tickbench.load")

BEAT_S = 0.2
POLL_S = 0.02
"""How often it is looked whether all have caught up."""
PINGS_A_SECOND = 50
CLOCKS_AGREE_S = 60.0
"""How much later than the warm-up ends, at most, the window may begin."""
STATS_MARGIN_US = 2_000_000
"""How long before the window, at most, the server is asked how much it skipped."""
DRAIN_S = 1.0
"""How long to wait for frames due in the window; two and a half periods if that is longer, up to the next."""
MAX_DRAIN_S = 10.0
CATCH_UP_S = 1.0
"""How long to wait, when a server runs again, for a tick that is not late by its pause; two periods, up to the limit
above, if that is longer."""
DEFAULT_TICK_RATE_HZ = 20.0


class LoadWorker:
    """Users call all up to :meth:`record_input`, the conductor calls the rest from :meth:`start` on."""

    is_gone = False

    def __init__(self, options: LoadOptions, server: FoundServer, index: int | None) -> None:
        self.options = options
        self.base = base = server.stats
        self.phase: Phase = "coming"
        self.opened = Event()
        """Set when the window opens."""
        self.pacer = Pacer()
        self._index = index
        self._measurement = Measurement(base, self._period_us(), reconnects=options.reconnects)
        self._address = server.address
        self.failed = ""
        """Why it can't go on, in one line; empty as long as it can."""
        self._record: WorkerRecord | None = None
        self._to_ping: deque[Connection] = deque()
        self._roll = Roll(options.room_size)
        self._waiting = 0
        self._next_turn_s = 0.0
        self._greenlets = Group()
        self._had_extra = ExtraConnections.have_left
        self._extra = ExtraConnections(self._extra_connection, options.spawn_rate, options.connect_timeout_s)
        self._stage_starts_us: list[int] = []
        self._woke_us = 0
        self._since_s = time.time()  # when the rows began to count
        self._hub: Any = gevent.get_hub()
        self._process = psutil.Process()
        self._rss_bytes = 0

    # For users

    @property
    def tick_rate_hz(self) -> float:
        """The server's tick rate, or the default where it is not known."""
        return DEFAULT_TICK_RATE_HZ if self.base is None else self.base.tick_rate_hz

    @property
    def speed(self) -> float:
        """A snake's speed, in cells a second."""
        told = None if self.base is None else self.base.settings.speed
        return self.tick_rate_hz if told is None else told

    @property
    def returns(self) -> ReturnLedger:
        """What its users say of their coming back."""
        return self._measurement.returns

    @property
    def stands_still(self) -> bool:
        """Whether nothing is to be said to the server, which is about to be stopped, or is."""
        return self.phase == "still"

    def new_user(self) -> int:
        """Count one more user, and return its number, from 0."""
        return self._roll.new_user()

    def room_of(self, user: int) -> str | None:
        """Return the room that a user plays in, None for the room of the URL."""
        if not self.options.room_size:
            return None
        # Each worker has rooms of its own, so that none gets larger than was asked for.
        return f"{self._prefix()}r{user // self.options.room_size}"

    def name_of(self, user: int) -> str:
        """Return the name that a user plays under; at most 15 characters up to a million users."""
        return f"{self._prefix()}load{user}"

    def connection(
        self,
        room: str | None,
        group: str,
        greeting: Callable[[Connection], bytes],
        on_text: Listener | None = None,
        *,
        announced: bool = False,
    ) -> Connection:
        """
        Return a new connection, not yet opened.

        ``announced`` as for :class:`~loadtests.account.room_ticks.RoomTicks`.
        """
        target = self.options.target if announced else self._target_of(room)
        room = room or target.room
        index = self._measurement.recorder.add_connection(
            room, group, announced=announced, asked_us=self.server_now_us()
        )
        connections = self._measurement.connections
        latest = connections.log.latest(room)
        connection = Connection(
            target,
            self._address,
            index,
            connections,
            lambda: greeting(connection),
            latest,
            on_text,
            may_deflate=self.options.deflate,
        )
        if self.options.scenario.pings:
            self._to_ping.append(connection)
        if self.options.slots:
            self._roll.note(connection)
        return connection

    def wait_turn(self) -> None:
        """Wait for this connection's turn in the ramp: Locust starts a second's worth of users at once."""
        now_s = time.monotonic()
        self._next_turn_s = max(now_s, self._next_turn_s + 1 / self.options.spawn_rate)
        gevent.sleep(self._next_turn_s - now_s)

    def wait_for_stage(self, stage: int, *, outside: bool) -> None:
        """Wait until a stage of the window begins; the ramp does not wait for users ``outside`` (not connected)."""
        self._waiting += outside
        try:
            self.opened.wait()
        finally:
            self._waiting -= outside
        begins_us = self._measurement.recorder.window.start + self._stage_starts_us[stage]
        gevent.sleep(max(0.0, (begins_us - self._measurement.server_now_us()) / 1e6))

    def expect(self, connection: Connection, n: int, due_us: int, sent_us: int) -> tuple[int, int]:
        """
        Say that message ``n`` is sent, which will come back as a tick.

        Return both times on the server's clock, for the message to state: arrivals are converted to that clock, too.

        """
        add_us = self._measurement.clock.correction_us
        self._measurement.recorder.expect(connection.index, n, due_us + add_us, sent_us + add_us)
        return due_us + add_us, sent_us + add_us

    def stop_reading(self, connection: Connection) -> None:
        """Stop reading from a connection: the server's frames stay in the buffers, and are not waited for."""
        connection.stop_reading()
        self._measurement.recorder.presences.stop_reading(connection.index)

    def excuse(self, connection: Connection) -> None:
        """Say that a connection leaves by plan, or would have if it still were: no more ticks are due to it."""
        self._measurement.recorder.presences.leave(connection.index, self.server_now_us())

    def record_input(self, connection: Connection, us: int) -> None:
        """Record how many microseconds it took from a key to the frame that shows the turn, inside the window."""
        if self._measurement.is_open and now_us() - us > self._woke_us:  # else it was pressed before a pause
            self._measurement.recorder.group_of(connection.index).input.record(us)

    # For the conductor

    def start(self) -> None:
        """Begin to measure the hub, to account for arrivals, and to ping."""
        self._hub.handle_error = self._take_error
        self._measurement.hub_lag.start()
        self._spawn(self._beat)
        if self.options.scenario.pings:
            self._spawn(self._ping)

    def stop(self) -> None:
        """End all that :meth:`start` began, and the extra connections."""
        self._hub.__dict__.pop("handle_error", None)
        gc.unfreeze()
        self._greenlets.kill(block=False)
        self._extra.leave()
        self.pacer.stop()
        self._measurement.close()

    def server_now_us(self) -> int:
        """Return the time on the server's clock, in microseconds."""
        return self._measurement.server_now_us()

    def report(self, *, with_rows: bool = False) -> WorkerReport:
        """Return how far this worker has got; ``rows``, which take a millisecond, only where they are asked for."""
        connections = self._measurement.connections
        return WorkerReport(
            failed=self.failed,
            phase=self.phase,
            users=self._roll.count,
            settled=connections.settled - self.returns.settled + self._waiting,
            up=connections.up,
            leaving=connections.leaving,
            why_none=connections.why_none(),
            open=self._measurement.open_lately,
            rss_bytes=self._rss_bytes,
            woke_us=self._measurement.clock.now_us(self._woke_us),
            extra_up=self._extra.up,
            extra_settled=self._extra.settled,
            why_no_extra=self._extra.why_not(),
            had_extra=self._had_extra,
            rows=self._rows() if with_rows else None,
            seen=self._ticks_seen() if self.phase == "drained" else {},
            record=self._record,
        )

    def obey(self, order: Order) -> None:
        """Do what the conductor says."""
        match order:
            case Measure(start_us, end_us, last_counts):
                self._begin_window(range(start_us, end_us), last_counts=last_counts)
            case Stand(still=True):
                if self.phase == "coming":  # a ramp may have been before
                    self._keep_from_collector()
                self._measurement.rest()
                self.phase = "still"
            case Stand(still=False):
                self.phase, self._record, self._woke_us = "waking", None, now_us()
                self._spawn(self._catch_up)
            case Settle() if self.phase == "drained":
                self._measurement.settle(order)
                self._record = self._measurement.record(self._index or 0)
                self.phase = "settled"
            case Leave(users):
                for connection in self._roll.see_off(users):
                    self._measurement.connections.see_off(connection.index)
                    self._spawn(partial(self._leave_in_turn, connection))
            case Bring(0):
                self._spawn(self._extra.leave)
            case Bring(total):
                self._extra.bring(total)

    def _rows(self) -> LocustRows:
        """Return what came since the window opened or, before that, since the run began."""
        recorder, in_window = self._measurement.recorder, self.opened.is_set()
        lateness, error = recorder.latest_lateness, recorder.latest_interval_error
        if in_window:
            main = recorder.groups[MAIN]
            lateness, error = main.tick_lateness, main.interval_error
        return LocustRows(self._since_s, in_window, {LATENESS: Row.of(lateness), INTERVAL_ERROR: Row.of(error)})

    def _ticks_seen(self) -> dict[str, TickColumns]:
        """Return the ticks that were seen of the rooms that other workers may share."""
        recorder = self._measurement.recorder
        if self._index is None or self.options.room_size:
            return {}
        start_us = recorder.window.start - STATS_MARGIN_US
        return {name: room.since(start_us) for name, room in recorder.rooms.items() if not room.announced}

    # The phases

    def _begin_window(self, window: range, *, last_counts: bool) -> None:
        ahead_s = (window.start - self.server_now_us()) / 1e6
        if abs(ahead_s) > self.options.warm_up_s + CLOCKS_AGREE_S:  # it would wait for ever: another clock
            self.failed = (
                f"the window would begin in {ahead_s:,.0f} s by the server's clock as we have it: what its /stats say "
                "(now_us) and what its pongs say are two clocks"
            )
            return
        if ahead_s <= 0:  # the first ticks of the window may be in the accounts already
            self.failed = "the order to measure came when the window had opened: this worker, or the master, is late"
            return
        self.phase = "measuring"
        self._stage_starts_us = self.options.scenario.stage_starts_us(len(window))
        self._measurement.measure(window, self._stage_starts_us, last_counts=last_counts)
        self._spawn(lambda: self._measure(window))

    def _leave_in_turn(self, connection: Connection) -> None:
        self.wait_turn()
        connection.close()

    def _extra_connection(self, observer: ConnectionObserver, number: int) -> Connection:
        user = self.new_user()
        target = self._target_of(self.room_of(user))
        text = msgspec.json.encode(["new_player", self.name_of(user)])
        latest = observer.log.latest(target.room)
        return Connection(
            target, self._address, number, observer, lambda: text, latest, may_deflate=self.options.deflate
        )

    def _target_of(self, room: str | None) -> Target:
        return self.options.target if room is None else self.options.target.in_room(room)

    def _spawn(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a greenlet beside the users; if it raises, the run fails."""

        def note(greenlet: Any) -> None:
            self.failed = f"the load generator failed: {greenlet.exception!r}"

        self._greenlets.spawn(work).link_exception(note)  # gevent prints the traceback

    def _take_error(self, context: Any, kind: Any, value: Any, traceback: Any) -> None:
        """Have gevent print an error that nobody caught; one in a callback of the hub also fails the run."""
        type(self._hub).handle_error(self._hub, context, kind, value, traceback)
        # Errors in a thread of gevent's pool (context: a tuple) or in a greenlet reach whoever waits for them.
        if not isinstance(context, gevent.Greenlet | tuple) and issubclass(kind, Exception):
            self.failed = self.failed or f"the load generator failed: {value!r}"

    def _period_us(self) -> float | None:
        if self.options.scenario.path is not None:  # an echo of our own messages
            return 1e6 / self.options.echo_rate_hz if self.options.echo_rate_hz else 0.0
        return None if self.base is None else 1e6 / self.base.tick_rate_hz

    def _prefix(self) -> str:
        return "" if self._index is None else f"w{self._index}"

    def _measure(self, window: range) -> None:
        if not self.options.slots:  # else it is done, and takes longer than there is time before a slot
            self._keep_from_collector()
        self._sleep_until(window.start)
        self._measurement.open_window()
        self._since_s = time.time()
        self.opened.set()
        for stage, end_us in enumerate([*self._stage_starts_us[1:], len(window)]):
            self._sleep_until(window.start + end_us)
            self._measurement.recorder.end_stage(stage)
        self._measurement.close_window()
        drain_s = min(MAX_DRAIN_S, max(DRAIN_S, 2.5e-6 * self._measurement.recorder.period_us))
        deadline_s = time.monotonic() + drain_s
        while time.monotonic() < deadline_s and not self._measurement.recorder.caught_up():
            gevent.sleep(POLL_S)
            self._measurement.take()
        self._measurement.end()
        self.phase = "drained"

    def _catch_up(self) -> None:
        """Wait for a tick that is not late by the pause, in each room, but not for ever."""
        wait_s = min(MAX_DRAIN_S, max(CATCH_UP_S, 2e-6 * self._measurement.recorder.period_us))
        deadline_s = time.monotonic() + wait_s
        woke_us = self.server_now_us()
        while time.monotonic() < deadline_s and not self._measurement.recorder.has_ticked_since(woke_us):
            gevent.sleep(POLL_S)
            self._measurement.take()
        self.phase = "coming"

    def _keep_from_collector(self) -> None:
        """Collect the ramp's garbage; what is left is frozen, so that later collections skip it."""
        gc.collect()
        gc.freeze()

    def _sleep_until(self, server_us: int) -> None:
        while (wait_us := server_us - self._measurement.server_now_us()) > 0:
            gevent.sleep(min(1.0, wait_us / 1e6))  # in pieces: the clock may be corrected meanwhile

    # Periodic work

    def _beat(self) -> None:
        while True:
            gevent.sleep(BEAT_S)
            self._measurement.beat()
            self._extra.log.drain()  # they count in no account
            self._rss_bytes = self._process.memory_info().rss  # now, as the log of arrivals has just been emptied

    def _ping(self) -> None:
        """Ping one connection after the other, evenly spread over the second."""
        while True:
            gevent.sleep(1 / PINGS_A_SECOND)
            if self.stands_still:
                continue
            for _ in range(min(len(self._to_ping), 10)):  # look for one that is up, but not for ever
                connection = self._to_ping.popleft()
                if not connection.is_over:
                    self._to_ping.append(connection)
                if connection.ticking:
                    connection.ping()
                    break
