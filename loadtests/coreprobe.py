"""
A drift probe on a core: a small process that wakes every 20 ms and takes down how late it was.

``python -m loadtests.coreprobe CPU``. On the server's core it sees what the server can't tell of itself: that the
core was away, with the hypervisor or in interrupts. In the way it is not: it has the highest claim to the core (where
the system lets it: SCHED_FIFO) and takes it for a moment. It prints ``ready``, then obeys lines on stdin:
``reset`` forgets what was recorded, ``report`` writes one line of JSON, the end of stdin ends it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from typing import Final

import msgspec

from loadtests.timerfd import MONOTONIC, create_timer, expirations, set_timer
from shared.measure.histogram import Histogram, HistogramSummary

PERIOD_NS: Final = 20_000_000
"""A wake-up costs 130 us of CPU in a virtual machine, where setting a timer leaves the guest: no more of them."""
PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h."""


class Report(msgspec.Struct, frozen=True):
    """What a probe says when it is asked."""

    cpu: int
    scheduling: str
    """``fifo``, ``nice`` or ``normal``."""
    max_gap_us: int
    """The longest that it had to wait for its core."""
    lateness: HistogramSummary
    """Of all wake-ups; a long one counts in each period."""
    cpu_s: float
    """What it took itself."""


class CoreProbe:
    """Watches the core that this process is pinned to."""

    def __init__(self, cpu: int, scheduling: str) -> None:
        self.cpu = cpu
        self.scheduling = scheduling
        self._lateness = Histogram()
        self._cpu_s = time.process_time()
        self._due_ns = time.monotonic_ns() + PERIOD_NS
        self._timer = create_timer(MONOTONIC)
        if self._timer < 0:
            raise OSError("this system has no timerfd")
        set_timer(self._timer, self._due_ns, PERIOD_NS)

    def run(self) -> None:
        """Watch until stdin ends."""
        poll = select.poll()
        poll.register(self._timer, select.POLLIN)
        poll.register(0, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._timer:
                    self._wake()
                elif not self._obey(os.read(0, 4096)):
                    return

    def _wake(self) -> None:
        expired = expirations(self._timer)
        late_us = (time.monotonic_ns() - self._due_ns) // 1000
        for _ in range(expired):
            self._lateness.record(late_us)
            late_us -= PERIOD_NS // 1000
        self._due_ns += expired * PERIOD_NS

    def _obey(self, orders: bytes) -> bool:
        for order in orders.split():
            if order == b"reset":
                self._lateness = Histogram()
                self._cpu_s = time.process_time()
            elif order == b"report":
                _say(msgspec.json.encode(self._report()))
        return bool(orders)

    def _report(self) -> Report:
        return Report(
            cpu=self.cpu,
            scheduling=self.scheduling,
            max_gap_us=self._lateness.max_us,
            lateness=self._lateness.summary(),
            cpu_s=time.process_time() - self._cpu_s,
        )


def main(arguments: list[str]) -> int:
    """Watch the core that is named; return the exit status."""
    if len(arguments) != 1 or not arguments[0].isascii() or not arguments[0].isdigit():
        sys.stderr.write("usage: python -m loadtests.coreprobe CPU\n")
        return 2
    cpu = int(arguments[0])
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for our parent, who ends us
    try:
        os.sched_setaffinity(0, {cpu})
        probe = CoreProbe(cpu, _claim_core())
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"core {cpu} can't be watched: {error}\n")
        return 2
    _say(b"ready")
    probe.run()
    return 0


def _say(line: bytes) -> None:
    os.write(1, line + b"\n")


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _claim_core() -> str:
    """Get as high a claim to the core as the system allows; return its name."""
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
