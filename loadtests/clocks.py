"""
Our clock and the server's.

A tick's times are on the server's epoch clock: its monotonic clock plus an offset that it took at its start and gives
as ``clock_offset_us``. Arrivals are on CLOCK_REALTIME. On one host both have the same monotonic clock, so what must be
added to an arrival is the difference of the two offsets; ours changes only when somebody steps the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

STEP_US = 100
"""A smaller change of the offset is the error of reading two clocks one after the other."""

ReadNs = Callable[[], int]


def boot_id() -> str | None:
    """Return this host's boot id, None where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


class OffsetWatch:
    """Follows the offset of CLOCK_REALTIME from the monotonic clock; call :meth:`sample` once a second."""

    def __init__(self, wall_ns: ReadNs = time.time_ns, monotonic_ns: ReadNs = time.monotonic_ns) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self.offset_us = self._read_us()
        self.step_us = 0
        """The largest step of the clock so far, 0 without any."""

    def sample(self) -> None:
        """Read the clocks; take note of a step."""
        offset_us = self._read_us()
        change = abs(offset_us - self.offset_us)
        if change > STEP_US:
            self.step_us = max(self.step_us, change)
        self.offset_us = offset_us

    def correction_us(self, server_offset_us: int | None) -> int:
        """Return what to add to our clock to have the server's; 0 if its offset is not known."""
        return 0 if server_offset_us is None else server_offset_us - self.offset_us

    def _read_us(self) -> int:
        """Read the wall clock between two readings of the monotonic one; of five times, the quickest counts."""
        readings = []
        for _ in range(5):
            before = self._monotonic_ns()
            wall = self._wall_ns()
            after = self._monotonic_ns()
            readings.append((after - before, wall - (before + after) // 2))
        return min(readings)[1] // 1000
