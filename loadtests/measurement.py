"""
The measuring side of one run while it lasts: the clocks, the accounts, and what is sampled at both ends of the window.

Knows nothing of Locust: :mod:`loadtests.run` says when, :mod:`loadtests.summarise` makes a summary of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.clocks import OffsetWatch, boot_id
from loadtests.drift import DriftProbe
from loadtests.ledger import Ledger
from loadtests.machine import MachineSample, sample_machine
from loadtests.recorder import Recorder
from loadtests.stamps import now_us
from shared.measure.histogram import Histogram

if TYPE_CHECKING:
    from loadtests.stats import ServerStats


@dataclass(frozen=True, slots=True)
class Edge:
    """One end of the measured window."""

    at_us: int
    """On the server's clock."""
    cpu_s: float
    """CPU time of this process."""
    machine: MachineSample | None


class Measurement:
    """
    Measures one run against a server whose /stats before the first connection were ``base``.

    Call :meth:`beat` once a second from the beginning, and :meth:`open_window` and :meth:`close_window` once.

    """

    def __init__(self, base: ServerStats | None) -> None:
        self.base = base
        self.before: ServerStats | None = None
        """The server's /stats shortly before the window opens."""
        self.after: ServerStats | None = None
        """The server's /stats when nothing was expected any more."""
        self.recorder = Recorder()
        self.ledger = Ledger(self.recorder)
        self.drift = DriftProbe()
        self.offsets = OffsetWatch()
        self.same_host = base is not None and base.boot_id == boot_id()
        self.opened = self.closed = self._edge()

    @property
    def duration_s(self) -> float:
        """How long the window was open."""
        return (self.closed.at_us - self.opened.at_us) / 1e6

    @property
    def cpu_s(self) -> float:
        """CPU time of this process while the window was open."""
        return self.closed.cpu_s - self.opened.cpu_s

    def beat(self) -> None:
        """Look at the clocks, and account for what arrived since the last beat."""
        self.offsets.sample()
        offset_us = self.base.clock_offset_us if self.base is not None and self.same_host else None
        self.ledger.correction_us = self.offsets.correction_us(offset_us)
        self.recorder.take(self.ledger.log.drain(), self.ledger.correction_us)

    def server_now_us(self) -> int:
        """Return the time on the server's clock, as well as we know it."""
        return now_us() + self.ledger.correction_us

    def open_window(self) -> None:
        """Begin to measure."""
        self.ledger.ping_rtt = Histogram()
        self.drift.reset()
        self.opened = self._edge()
        self.recorder.open_window(self.opened.at_us)

    def close_window(self) -> None:
        """Measure no ticks that are due from now on."""
        self.closed = self._edge()
        self.recorder.close_window(self.closed.at_us)

    def settle(self, after: ServerStats | None) -> None:
        """Say that nothing is expected any more; ``after`` is the server's /stats now."""
        self.after = after
        self.beat()

    def _edge(self) -> Edge:
        return Edge(self.server_now_us(), time.process_time(), sample_machine())
