"""
A drift probe: a small process on one core that wakes every 9.7 ms and records how late it was.

``python -m loadtests.surroundings.core_lag CPU``. On the server's core it sees what the server can't know of itself:
that the core was taken away, by the hypervisor or for interrupts. It has the highest priority there (SCHED_FIFO,
where the system permits it) but needs it only for moments. It prints ``ready``, then obeys lines on stdin: ``reset``
forgets what was recorded, ``report`` writes one line of JSON, the end of stdin ends it.
"""

import os
import select
import signal
import sys
import time
from typing import Final

import msgspec

from shared.measure.histogram import Histogram, HistogramSummary
from shared.system.parent import die_with_parent
from shared.system.timerfd import MONOTONIC, create_timer, set_timer

PERIOD_NS: Final = 9_700_000
"""
No part of a usual tick period, in whose ticks it would come at the same place each time, or never. A gap may be
longer than is seen, by less than a period. A wake-up costs 70 to 110 us of CPU in a virtual machine (30 in C): about
0.8 % of the core, which are known, and not counted as foreign CPU.
"""
BATCH: Final = 64
"""How many wake-ups are put into the histogram at once: some 50 us of the core, every 0.6 s."""


class CoreGap(msgspec.Struct, frozen=True):
    """What a probe saw of its core: its answer to ``report``."""

    cpu: int
    scheduling: str
    """``fifo``, ``nice`` or ``normal``."""
    max_gap_us: int
    """The longest that the probe had to wait for its core."""
    lateness_ms: HistogramSummary
    """Of all wake-ups; a gap of several periods counts once in each."""
    cpu_s: float
    """CPU time of the probe itself."""


class CoreLag:
    """Watches the core that this process is pinned to."""

    def __init__(self, cpu: int, scheduling: str) -> None:
        self.cpu = cpu
        self.scheduling = scheduling
        self._lateness = Histogram()
        self._late_ns: list[int] = []
        """Recorded, and not yet in the histogram."""
        self._orders = b""
        """The beginning of a line whose end has not come."""
        self._cpu_s = time.process_time()
        self._timer = create_timer(MONOTONIC)
        if self._timer < 0:
            raise OSError("this system has no timerfd")
        self._due_ns = time.monotonic_ns() + PERIOD_NS
        set_timer(self._timer, self._due_ns, PERIOD_NS)

    def run(self) -> None:
        """Watch until stdin ends."""
        poll = select.poll()
        poll.register(self._timer, select.POLLIN)
        poll.register(0, select.POLLIN)
        # The caches are cold at every wake-up, so each function that is called costs microseconds of the server's core.
        # The usual turn of this loop calls none of ours, and the histogram is filled in batches.
        wait, read, now_ns, late_ns = poll.poll, os.read, time.monotonic_ns, self._late_ns
        timer, only_timer, once = self._timer, [(self._timer, select.POLLIN)], (1).to_bytes(8, sys.byteorder)
        while True:
            ready = wait()
            if ready[0][0] == timer:  # the first, as it was registered first
                expired = read(timer, 8)
                late_ns.append(now_ns() - self._due_ns)
                self._due_ns += PERIOD_NS
                if expired != once:
                    self._count_missed(int.from_bytes(expired, sys.byteorder) - 1)
                if len(late_ns) >= BATCH:
                    self._sort_in()
                if ready == only_timer:
                    continue
            orders = read(0, 4096)
            if not orders:
                return
            self._obey(orders)

    def _count_missed(self, missed: int) -> None:
        """Count a long gap in each of its periods but the first, which has been counted."""
        for _ in range(missed):
            self._late_ns.append(self._late_ns[-1] - PERIOD_NS)
        self._due_ns += missed * PERIOD_NS

    def _sort_in(self) -> None:
        for late_ns in self._late_ns:
            self._lateness.record(late_ns // 1000)
        self._late_ns.clear()

    def _obey(self, orders: bytes) -> None:
        *lines, self._orders = (self._orders + orders).split(b"\n")
        for line in lines:
            if line == b"reset":
                self._late_ns.clear()
                self._lateness = Histogram()
                self._cpu_s = time.process_time()
            elif line == b"report":
                _say(msgspec.json.encode(self._report()))

    def _report(self) -> CoreGap:
        cpu_s = time.process_time() - self._cpu_s  # before the summary, which costs milliseconds
        self._sort_in()
        return CoreGap(
            cpu=self.cpu,
            scheduling=self.scheduling,
            max_gap_us=self._lateness.max_us,
            lateness_ms=self._lateness.summary(),
            cpu_s=cpu_s,
        )


def main(arguments: list[str]) -> int:
    """Watch the core that is named; return the exit status."""
    if len(arguments) != 1 or not arguments[0].isascii() or not arguments[0].isdigit() or len(arguments[0]) > 5:
        sys.stderr.write("usage: python -m loadtests.surroundings.core_lag CPU\n")
        return 2
    cpu = int(arguments[0])
    die_with_parent()  # if it had ended before this call, the end of stdin ends us
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for our parent, who ends us
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody reads us any more: end without a traceback
    try:
        os.sched_setaffinity(0, {cpu})
        probe = CoreLag(cpu, _claim_core())
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"core {cpu} can't be watched: {error}\n")
        return 2
    _say(b"ready")
    probe.run()
    return 0


def _say(line: bytes) -> None:
    os.write(1, line + b"\n")


def _claim_core() -> str:
    """Get the highest priority on the core that the system permits; return its name."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        try:
            os.nice(-20)
        except OSError:
            return "normal"
        return "nice"
    return "fifo"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
