"""
Converts times of our clock to the server's clock, and notices when our clock is stepped.

A tick's times are on the server's epoch clock: its monotonic clock plus an offset that it took at its start and gives
as ``clock_offset_us``. Arrivals are on CLOCK_REALTIME. On one host both have the same monotonic clock, so what must be
added to an arrival is the difference of the two offsets; ours changes only when somebody steps the clock. On two hosts
the difference is estimated from pings: of the latest, the one with the least round trip counts (Cristian, 1989). Until
one is answered, the server's /stats from before the first connection stand in for a ping.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from loadtests.surroundings.server_stats import ServerStats
from shared.system.boot import boot_id

STEP_US = 100
"""A smaller change of the offset is the error of reading two clocks one after the other."""
SAME_US = 1000
"""Two clocks that differ by less, beside the time that an answer took, are taken for one."""
PING_MEMORY_US = 10_000_000
"""How old a ping may be that the other host's clock is estimated from: two clocks drift apart by 20 us a second."""

ReadNs = Callable[[], int]


def is_here(stats: ServerStats, offset_us: int) -> bool:
    """
    Return whether a server is on this host and has its monotonic clock, whose offset is ``offset_us``.

    The same boot id is not enough: in a time namespace (time_namespaces(7)), and on a machine that was cloned while it
    ran, the clock is another one. Then the time that it states does not lie between our question and its answer.

    """
    if stats.boot_id != boot_id():
        return False
    ahead_us = stats.clock_offset_us - offset_us
    return stats.asked_us + ahead_us - SAME_US <= stats.now_us <= stats.answered_us + ahead_us + SAME_US


class OffsetWatch:
    """Follows the offset of CLOCK_REALTIME from the monotonic clock; call :meth:`sample` once a second."""

    def __init__(self, wall_ns: ReadNs = time.time_ns, monotonic_ns: ReadNs = time.monotonic_ns) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self.offset_us = self._read_us()
        self.step_us = 0
        """All steps of the clock so far, to and fro, added up."""

    def sample(self) -> None:
        """Read the clocks; take note of a step."""
        offset_us = self._read_us()
        change = abs(offset_us - self.offset_us)
        if change > STEP_US:
            self.step_us += change
        self.offset_us = offset_us

    def _read_us(self) -> int:
        """Read the wall clock between two readings of the monotonic one; of five times, the quickest counts."""
        readings = []
        for _ in range(5):
            before = self._monotonic_ns()
            wall = self._wall_ns()
            after = self._monotonic_ns()
            readings.append((after - before, wall - (before + after) // 2))
        return min(readings)[1] // 1000


class OffsetEstimate(NamedTuple):
    """From one ping: how far the server's clock is ahead of our steady one, plus or minus half the round trip."""

    rtt_us: int
    ahead_us: int
    at_us: int


class ServerClock:
    """
    Tells what to add to our clock, CLOCK_REALTIME, to have the server's.

    ``offset_us`` is the ``clock_offset_us`` of a server on this host, or ours where it gives none and its clock is
    taken for ours; None for a server on another host, whose clock is estimated from the pings given to :meth:`learn`.

    """

    def __init__(self, watch: OffsetWatch, offset_us: int | None) -> None:
        self.steady_us = 0
        """What to add to our clock to have a steady one, which goes on evenly even if ours is set."""
        self.ahead_us = 0
        """How far the server's clock is ahead of the steady one; on another host an estimate that changes."""
        self._watch = watch
        self._steady_offset_us = watch.offset_us if offset_us is None else offset_us
        self.is_estimated = offset_us is None
        """Whether the server's clock is known from pings only."""
        self._pings: deque[OffsetEstimate] = deque()
        self.uncertainty_us: int | None = None if self.is_estimated else 0
        """Half the round trip of the best ping, at its largest so far; None until one was answered."""
        self.update()

    @property
    def correction_us(self) -> int:
        """What to add to our clock to have the server's, in microseconds."""
        return self.steady_us + self.ahead_us

    def update(self) -> None:
        """Read the clocks, and renew the estimate; call it once a second."""
        self._look()
        if self._pings:
            best = min(self._pings)
            self.ahead_us = best.ahead_us
            self.uncertainty_us = max(self.uncertainty_us or 0, best.rtt_us // 2 + 1)

    def learn(self, sent_us: int, server_us: int, arrival_us: int) -> None:
        """Take in a ping of another host: sent and arrived by our clock, answered at ``server_us`` by the server's."""
        if not self.is_estimated or arrival_us < sent_us or self._look():
            return
        ahead_us = server_us - (sent_us + arrival_us) // 2 - self.steady_us
        self._pings.append(OffsetEstimate(arrival_us - sent_us, ahead_us, arrival_us))
        while self._pings[0].at_us < arrival_us - PING_MEMORY_US:
            self._pings.popleft()

    def _look(self) -> bool:
        """Read the clocks; return whether ours was stepped meanwhile: a ping may have been sent before that."""
        offset_us = self._watch.offset_us
        self._watch.sample()
        self.steady_us = self._steady_offset_us - self._watch.offset_us
        return abs(self._watch.offset_us - offset_us) > STEP_US

    def begin(self) -> None:
        """Begin the window: forget the uncertainty before it."""
        if self._pings:
            self.uncertainty_us = min(self._pings).rtt_us // 2 + 1

    def now_us(self, own_us: int) -> int:
        """Convert a time of our clock to the server's."""
        return own_us + self.correction_us
