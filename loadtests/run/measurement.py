"""
What one worker measures during a run: clocks, accounts of connections, and samples at both ends of the window.

:mod:`loadtests.run.worker` says when; :mod:`loadtests.verdict.summary` makes a summary of the result.
"""

import socket
import time
from collections import deque
from collections.abc import Sequence

import psutil
from msgspec.structs import replace

from loadtests.account.connections import ConnectionRecord
from loadtests.account.recorder import Recorder
from loadtests.account.returns import ReturnLedger
from loadtests.account.room_ticks import Window
from loadtests.account.settling import explain_unseen
from loadtests.account.worker_record import Figures, WorkerRecord
from loadtests.receive.stamps import now_us
from loadtests.run.messages import Settle
from loadtests.surroundings.clocks import OffsetWatch, ServerClock, is_here
from loadtests.surroundings.cores import own_cpus, own_pid, sample_machine
from loadtests.surroundings.hub_lag import HubLag
from loadtests.surroundings.server_stats import ServerStats
from shared.measure.quota import throttled_between
from shared.system.boot import boot_id
from shared.system.quotas import read_quotas

OPEN_BEATS = 15
"""For so many beats, 3 s, a connection that has ended counts as one that the server may still have open."""
CLOCKS_S = 1.0
"""How often the clocks are looked at."""


class Measurement:
    """
    Measures the connections of one worker to a server whose /stats before the first connection were ``base``.

    ``period_us`` as for :class:`~loadtests.account.recorder.Recorder`; ``reconnects`` is whether users come back who
    are cut off. Call :meth:`beat` five times a second from the beginning, :meth:`measure` when it is known what is to
    be measured, and :meth:`open_window` and :meth:`close_window` when it begins and ends. After :meth:`rest` another
    window may follow, with its own record.

    """

    def __init__(self, base: ServerStats | None, period_us: float | None, *, reconnects: bool = False) -> None:
        self.offsets = OffsetWatch()
        same_host = base is None or is_here(base, self.offsets.offset_us)
        offset_us = self.offsets.offset_us if base is None else base.clock_offset_us
        self.clock = ServerClock(self.offsets, offset_us if same_host else None)
        if base is not None:  # without pings this is all that is known of another host's clock
            self.clock.learn(base.asked_us, base.now_us, base.answered_us)
            self.clock.update()
        self.recorder = Recorder(period_us)
        self.connections = ConnectionRecord(self.recorder, self.clock, tells_lives=reconnects)
        self.returns = ReturnLedger(self.recorder)
        self._reconnects = reconnects
        self.hub_lag = HubLag()
        self.is_open = False
        """Whether the window is open."""
        self._clocks_due_s = self._cpu_s = 0.0
        self._over: deque[int] = deque([0], OPEN_BEATS)
        self._record = WorkerRecord(
            pid=own_pid(), boot_id=boot_id(), same_host=same_host, cpus=own_cpus(), host=socket.gethostname()
        )
        self._stepped_us = 0  # by the clock, before what is measured now: up to the first window, all counts

    def beat(self) -> None:
        """Account for what arrived since the last beat, and look at the clocks once a second."""
        if time.monotonic() >= self._clocks_due_s:
            self._clocks_due_s = time.monotonic() + CLOCKS_S
            self.clock.update()
        self._over.append(self.connections.over)
        self.take()

    def take(self) -> None:
        """Account for what arrived since the last time."""
        self.recorder.take(self.connections.log.drain(), self.clock.steady_us, self.clock.ahead_us)

    @property
    def open_lately(self) -> int:
        """How many connections are open, or were 3 s ago: the server may not have noticed their end yet."""
        return self.connections.open_since(self._over[0])

    def server_now_us(self) -> int:
        """Return the time on the server's clock in microseconds, as well as it is known."""
        return self.clock.now_us(now_us())

    def measure(self, window: Window, stages: Sequence[int], *, last_counts: bool = True) -> None:
        """Say what is to be measured, before it comes; ``last_counts`` as for the recorder."""
        if self._record.duration_s:
            self._stepped_us = self.offsets.step_us
        # Outside the window: with hundreds of processes it takes milliseconds.
        self._record.before, self._record.own_cpu_s = sample_machine(), -time.process_time()
        self.recorder.measure(window, stages, last_counts=last_counts)

    def open_window(self) -> None:
        """Begin to measure."""
        self.connections.begin_pings()
        self.hub_lag.renew()
        self.clock.begin()
        self.is_open = True
        self._record.throttled = read_quotas()
        self._record.rss_bytes = psutil.Process().memory_info().rss
        self._record.duration_s, self._cpu_s = -time.monotonic(), -time.process_time()

    def close_window(self) -> None:
        """Stop measuring this process; ticks that were due in the window are still accounted for."""
        self._record.duration_s += time.monotonic()
        # As of now: what is done from here on to settle the accounts keeps the hub from its callbacks.
        self._record.figures = Figures(
            ping_rtt=self.connections.end_pings(),
            lag=self.hub_lag.renew(),
            cpu_s=self._cpu_s + time.process_time(),
        )
        self.is_open = False

    def end(self) -> None:
        """Sample the machine again, when all ticks of the window have come or are not waited for any more."""
        self._record.after = sample_machine()
        self._record.own_cpu_s += time.process_time()
        self._record.throttled = throttled_between(self._record.throttled, read_quotas())

    def settle(self, order: Settle) -> None:
        """Settle the accounts: nothing is expected any more."""
        self.beat()
        for name, seen in order.ticks.items():
            for columns in seen if name in self.recorder.rooms else ():
                self.recorder.rooms[name].take_columns(columns)
        # Of a room that began anew the server counts one life only, and it is not known which.
        skips = {room: of for room, of in order.skips.items() if not self.recorder.lives.are_several(room)}
        self._record.unseen = explain_unseen(self.recorder.rooms, skips, self.recorder.window)
        self.recorder.settle(self.server_now_us())
        if self._reconnects:
            self._record.returns = self.returns.sum_up(self.clock.ahead_us)

    def record(self, worker: int) -> WorkerRecord:
        """Return what was measured; call it after :meth:`settle`."""
        return replace(
            self._record,
            worker=worker,
            clock_step_us=self.offsets.step_us - self._stepped_us,
            clock_uncertainty_us=self.clock.uncertainty_us,
            rooms=list(self.recorder.rooms),
            due_times=self.recorder.due_times,
            period_us=self.recorder.period_us,
            join_rate=self.connections.join_rate,
            steps=self.connections.log.steps.digests,
            conflicting_steps=self.connections.log.steps.conflicting,
            groups=self.recorder.groups,
            stages=self.recorder.stages,
            stretches=self.recorder.stretches,
        )

    def rest(self) -> None:
        """Measure nothing until the next window; what the last record holds stays as it is."""
        self.recorder.rest()
        self.connections.begin_pings()
        self.hub_lag.renew()

    def close(self) -> None:
        """Release timers and files."""
        self.hub_lag.stop()
        self.recorder.close()
