"""The figures of tables, verdicts and charts: each one's name in the summary, title, unit and format."""

import math
from dataclasses import dataclass
from typing import Literal

from shared.measure.summary import LoadSummary
from tickbench.compare.slo import read_figure


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: ``key`` is its place in a summary, ``factor`` converts the value there to ``unit``."""

    key: str
    title: str
    unit: str
    digits: int
    meaning: str
    factor: float = 1.0
    better: Literal["lower"] | None = None
    """None: no ratio of two arms is taken; else which of them is better."""
    is_alone: bool = False
    """Whether ratios are of arms alone though all run together, too: a ping meets the ticks of all of them, and memory
    is weighed at the end."""
    of_ticks: bool = False
    """Whether it is a time beside that between two ticks: a difference of :data:`UNNOTICED` of that does not matter."""
    rounds_down: bool = False
    """So that 99.996 % is not shown as 100.00 %."""

    def read(self, load: LoadSummary) -> float | None:
        """Return the value of a run in :attr:`unit`; None where it was not measured."""
        value = read_figure(load, self.key)
        return None if value is None else value * self.factor

    def why_none(self, load: LoadSummary) -> str:
        """Return in words why a run has no value; empty where it is not known why."""
        if self.key != MEMORY:
            return ""
        if load.server.memory is None:
            return "not asked for: --memory 1000"
        return load.server.memory.why_not

    def words_of(self, load: LoadSummary) -> str:
        """Return what a run measured with its unit, and its interval where it has one; else why there is no value."""
        value = self.read(load)
        if value is None:
            return self.why_none(load) or "unknown"
        words = f"{self.words(value)} {self.unit}".rstrip()
        memory = load.server.memory if self.key == MEMORY else None
        if memory is None or memory.low_bytes is None or memory.high_bytes is None:
            return words
        low, high = (self.words(end * self.factor) for end in (memory.low_bytes, memory.high_bytes))
        return f"{words} ({low} to {high})"

    def words(self, value: float) -> str:
        """Return one value as text, without its unit."""
        if self.rounds_down:
            value = math.floor(value * 10**self.digits) / 10**self.digits
        return f"{value:,.{self.digits}f}"

    @property
    def name(self) -> str:
        """The title with the unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


UNNOTICED = 0.01
"""Of the time between two ticks: 0.5 ms at 20 Hz. A screen shows a picture for 16.7 ms."""
LATE = "arrival after the tick's due time"
MEMORY = "server.rss_per_connection_bytes"
BYTES = "frames.bytes_a_frame"
JITTER = "jitter: time between ticks, off the period"

FIGURES = [
    Figure("connections.connected", "connections", "", 0, "users that got their first tick"),
    Figure("ticks_came", "ticks came", "%", 2, "of all that were due to all who were asked for", 100, rounds_down=True),
    Figure("longest_silence_ms", "longest silence", "ms", 0, "in which a player got no frame"),
    Figure("reach", "reach", "%", 2, "tick frames received of those that the server sent", 100, rounds_down=True),
    Figure("tick_lateness_ms.p50", "tick lateness p50", "ms", 2, LATE, better="lower", of_ticks=True),
    Figure("tick_lateness_ms.p99", "tick lateness p99", "ms", 2, LATE, better="lower", of_ticks=True),
    Figure("interval_error_ms.p50", "interval error p50", "ms", 2, JITTER, better="lower", of_ticks=True),
    Figure("interval_error_ms.p99", "interval error p99", "ms", 2, JITTER, better="lower", of_ticks=True),
    Figure(
        "delivery_ms.p99",
        "delivery p99",
        "ms",
        2,
        "from the frame's building to its arrival",
        better="lower",
        of_ticks=True,
    ),
    Figure(
        "ping_rtt_ms.p99", "ping p99", "ms", 2, "a ping of the protocol and its pong", better="lower", is_alone=True
    ),
    Figure("server.skipped_ticks", "skipped ticks", "", 0, "due times that the server missed"),
    Figure(
        "server.cpu_us_per_frame",
        "server CPU a frame",
        "us",
        1,
        "the server process and its children, all they do",
        better="lower",
    ),
    Figure(
        MEMORY,
        "memory a connection",
        "KiB",
        1,
        "what the server's resident memory grows by with one more, from many to a thousand more",
        1 / 1024,
        better="lower",
        is_alone=True,
    ),
    Figure(BYTES, "bytes a frame", "bytes", 0, "on the wire, compressed where that was agreed on; without TLS and TCP"),
    Figure("generator.us_per_frame", "generator CPU a frame", "us", 1, "the instrument's own cost"),
]
BY_KEY = {figure.key: figure for figure in FIGURES}
NOT_IN_ALL = (MEMORY, BYTES)
"""Figures that not every run has: nobody asked for one, or an older tickbench made it."""
