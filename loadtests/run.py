"""
The life of one run: ramp, warm-up, window, and a summary at the end; and how it hangs on Locust's events.

Locust starts and stops the users; everything it is not asked about is in :mod:`loadtests.measurement`.
"""

from __future__ import annotations

import gc
import logging
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

import gevent
from gevent.pool import Group

from loadtests.client import Connection, reason_of
from loadtests.ledger import NEVER_CONNECTED
from loadtests.measurement import Measurement
from loadtests.probe import NoServerError, knock, resolve
from loadtests.stats import ServerStats, fetch_stats
from loadtests.summarise import About, summarise, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from locust.env import Environment

    from loadtests.options import LoadOptions

logger = logging.getLogger("tickbench.load")

BEAT_S = 1.0
PINGS_A_SECOND = 50
PING_SLICES = 10
"""A second's pings are sent in so many portions."""
DRAIN_S = 1.0
"""How long we wait for what was due in the window, and at least two periods and a half."""
STATS_LEAD_S = 0.3
"""Before the window opens, so that what /stats costs the server is over by then."""

VALID, FAILED, NOT_VALID = 0, 1, 3
"""Exit statuses; 2 is wrong usage."""


class FailedRunError(Exception):
    """The run came to nothing; its text is one line for a person."""


class LoadRun:
    """One run of one scenario. Users ask it for their :meth:`connection` and :meth:`wait_turn` before they open it."""

    def __init__(self, environment: Environment, options: LoadOptions, base: ServerStats | None) -> None:
        self.options = options
        self.over = False
        """It has come to an end of its own, good or bad."""
        self._environment = environment
        self._measurement = Measurement(base)
        self._address = resolve(options.target)
        self._connections: list[Connection] = []
        self._next_turn_s = 0.0
        self._pinged = 0
        self._greenlets = Group()

    # For users

    @property
    def tick_rate_hz(self) -> float:
        """The server's, or what servers have by default."""
        base = self._measurement.base
        return 20.0 if base is None else base.tick_rate_hz

    def connection(self, on_text: Callable[[int, bytes], None] | None = None) -> tuple[Connection, str]:
        """Return a new connection, not yet opened, and the room that it is for."""
        room = self.options.scenario.room(len(self._connections))
        target = self.options.target if room is None else self.options.target.in_room(room)
        index = self._measurement.recorder.add_connection(target.room)
        connection = Connection(target, self._address, index, f"load{index}", self._measurement.ledger, on_text)
        self._connections.append(connection)
        return connection, target.room

    def wait_turn(self) -> None:
        """Wait until one more connection keeps to the ramp: Locust starts a second's worth of users at once."""
        now_s = time.monotonic()
        self._next_turn_s = max(now_s, self._next_turn_s + 1 / self.options.spawn_rate)
        gevent.sleep(self._next_turn_s - now_s)

    # Its life

    def start(self) -> None:
        """Begin."""
        self._measurement.drift.start()
        for work in (self._conduct, self._beat, self._ping):
            self._greenlets.spawn(work)

    def stop(self) -> None:
        """End all that was begun."""
        self._greenlets.kill(block=False)
        self._measurement.drift.stop()

    def _conduct(self) -> None:
        try:
            self._ramp()
            self._warm_up()
            self._measure()
            self._drain()
            status = self._report()
        except (FailedRunError, OSError, ValueError) as error:
            sys.stderr.write(f"{error}\n")
            status = FAILED
        self.over = True
        self._environment.process_exit_code = status
        # From a greenlet of its own: stopping the test ends this one.
        runner: Any = self._environment.runner
        gevent.spawn(runner.quit if self._environment.web_ui is None else runner.stop)

    def _ramp(self) -> None:
        requested = self.options.users
        ledger = self._measurement.ledger
        ramp_s = requested / self.options.spawn_rate
        deadline_s = time.monotonic() + ramp_s + self.options.connect_timeout_s + 30
        while ledger.settled < requested and time.monotonic() < deadline_s:
            gevent.sleep(0.05)
        if not ledger.connections:
            raise FailedRunError(
                f"none of {requested} connections got a tick frame: {ledger.in_words(*NEVER_CONNECTED)}"
            )
        logger.info("%d of %d connected", ledger.connections, requested)

    def _warm_up(self) -> None:
        # What the ramp left behind is collected now, and what stays is never looked at again.
        gc.collect()
        gc.freeze()
        gevent.sleep(max(0.0, self.options.warm_up_s - STATS_LEAD_S))
        started_s = time.monotonic()
        self._measurement.before = self._stats()
        gevent.sleep(max(0.0, STATS_LEAD_S - (time.monotonic() - started_s)))

    def _measure(self) -> None:
        self._measurement.open_window()
        gevent.sleep(self.options.measure_s)
        self._measurement.close_window()

    def _drain(self) -> None:
        deadline_s = time.monotonic() + max(DRAIN_S, 2.5 / self.tick_rate_hz)
        while time.monotonic() < deadline_s:
            gevent.sleep(0.1)
            self._measurement.beat()
            if self._measurement.recorder.caught_up():
                return

    def _report(self) -> int:
        self._measurement.settle(self._stats())
        about = About(self.options.target.url, self.options.scenario_name, self.options.users)
        summary = summarise(self._measurement, about)
        if self.options.out is not None:
            write_whole(self.options.out, summary.to_json())
        for reason in summary.validity.reasons:
            logger.warning("not valid: %s", reason)
        for warning in summary.validity.warnings:
            logger.info("warning: %s", warning)
        return VALID if summary.validity.ok else NOT_VALID

    def _stats(self) -> ServerStats | None:
        if self._measurement.base is None:
            return None
        try:
            return fetch_stats(self.options.target)
        except OSError as error:
            raise FailedRunError(f"the server does not answer GET /stats any more: {reason_of(error)}") from error

    # Beside it

    def _beat(self) -> None:
        events: Any = self._environment.events
        while True:
            gevent.sleep(BEAT_S)
            self._measurement.beat()
            for name, us in self._rows():
                events.request.fire(
                    request_type="tick",
                    name=name,
                    response_time=us / 1000,
                    response_length=0,
                    exception=None,
                    context={},
                )

    def _rows(self) -> Iterator[tuple[str, int]]:
        """Yield what the last second was like, for Locust's table and charts."""
        recorder = self._measurement.recorder
        for name, histogram in (
            ("lateness", recorder.latest_lateness),
            ("interval error", recorder.latest_interval_error),
        ):
            if histogram.count:
                yield f"{name} p50", histogram.percentile_us(50)
                yield f"{name} p99", histogram.percentile_us(99)

    def _ping(self) -> None:
        while True:
            gevent.sleep(1 / PING_SLICES)
            for _ in range(min(PINGS_A_SECOND // PING_SLICES, len(self._connections))):
                connection = self._connections[self._pinged % len(self._connections)]
                self._pinged += 1
                if connection.ticking:
                    connection.ping()


def find_server(options: LoadOptions) -> ServerStats | None:
    """
    Return the /stats of the server that the load is for, None where it has none of ours.

    Raises:
        NoServerError: there is no server.

    """
    knock(options.target)
    try:
        return fetch_stats(options.target)
    except OSError as error:
        raise NoServerError(f"{options.target.authority} does not answer GET /stats: {reason_of(error)}") from error


def allow_many_descriptors() -> None:
    """Raise the soft limit of open files to the hard one: every connection takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
