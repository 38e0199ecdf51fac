"""
The figures of the table: for each arm, the median over its runs and the range. Pure; knows nothing of how it is drawn.

Only valid runs count where an arm has one; where it has none, all that finished do, and the row says so.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from shared.measure.summary import LoadSummary
from tickbench.checks import is_valid
from tickbench.results import Results, Run

NO_FIGURE = "-"


@dataclass(frozen=True, slots=True)
class Figure:
    """One column: ``read`` takes its value from a run's summary, None where the run has none."""

    title: str
    unit: str
    read: Callable[[LoadSummary], float | None]
    digits: int
    meaning: str
    rounds_down: bool = False
    """99.996 % of the frames are not 100.00 %."""

    def words(self, value: float) -> str:
        """Return one value as text, without its unit."""
        if self.rounds_down:
            value = math.floor(value * 10**self.digits) / 10**self.digits
        return f"{value:,.{self.digits}f}"


@dataclass(frozen=True, slots=True)
class Cell:
    """The median of one figure over an arm's runs, and the least and the greatest; texts, empty range if alike."""

    median: str
    range: str = ""


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One row of the table."""

    arm: str
    planned: int
    finished: int
    valid: int
    cells: list[Cell]

    @property
    def runs_words(self) -> str:
        """How many of the planned runs are valid."""
        return f"{self.valid} of {self.planned}"

    @property
    def is_doubtful(self) -> bool:
        """Whether the row rests on runs of which none is valid."""
        return not self.valid and self.finished > 0


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


FIGURES = [
    Figure("connections", "", lambda load: load.connections.connected, 0, "users that got their first tick"),
    Figure(
        "reach",
        "%",
        lambda load: _scaled(load.reach, 100),
        2,
        "tick frames received of those that should have been",
        rounds_down=True,
    ),
    Figure("tick lateness p50", "ms", lambda load: load.tick_lateness_ms.p50, 2, "arrival after the tick's due time"),
    Figure("tick lateness p99", "ms", lambda load: load.tick_lateness_ms.p99, 2, "arrival after the tick's due time"),
    Figure(
        "interval error p50",
        "ms",
        lambda load: load.interval_error_ms.p50,
        2,
        "jitter: time between ticks, off the period",
    ),
    Figure(
        "interval error p99",
        "ms",
        lambda load: load.interval_error_ms.p99,
        2,
        "jitter: time between ticks, off the period",
    ),
    Figure("delivery p99", "ms", lambda load: load.delivery_ms.p99, 2, "from the frame's building to its arrival"),
    Figure("ping p99", "ms", lambda load: load.ping_rtt_ms.p99, 2, "a ping of the protocol and its pong"),
    Figure("skipped ticks", "", lambda load: load.server.skipped_ticks, 0, "due times that the server missed"),
    Figure(
        "server CPU a frame",
        "us",
        lambda load: load.server.cpu_us_per_frame,
        1,
        "the server process and its children, all they do",
    ),
    Figure(
        "memory a connection",
        "KiB",
        lambda load: _scaled(load.server.rss_per_connection_bytes, 1 / 1024),
        1,
        "growth of the server's resident memory",
    ),
    Figure("generator CPU a frame", "us", lambda load: load.generator.us_per_frame, 1, "the instrument's own cost"),
]


def arm_rows(results: Results) -> list[ArmRow]:
    """Return the table, the arms in the suite's order."""
    suite = results.record.suite
    return [_arm_row(arm.name, suite.repeats, results.runs) for arm in suite.parsed_arms()]


def counted_runs(arm: str, runs: list[Run]) -> list[LoadSummary]:
    """Return the summaries that an arm's figures rest on: its valid runs, or all that finished if none is."""
    finished = [run for run in runs if run.arm == arm and run.load is not None]
    counted = [run for run in finished if is_valid(run)] or finished
    return [run.load for run in counted if run.load is not None]


def _arm_row(arm: str, planned: int, runs: list[Run]) -> ArmRow:
    summaries = counted_runs(arm, runs)
    own = [run for run in runs if run.arm == arm]
    return ArmRow(
        arm=arm,
        planned=planned,
        finished=sum(run.load is not None for run in own),
        valid=sum(map(is_valid, own)),
        cells=[_cell(figure, summaries) for figure in FIGURES],
    )


def _cell(figure: Figure, summaries: list[LoadSummary]) -> Cell:
    values = [value for value in map(figure.read, summaries) if value is not None]
    if not values:
        return Cell(NO_FIGURE)
    low, high = figure.words(min(values)), figure.words(max(values))
    return Cell(figure.words(statistics.median(values)), "" if low == high else f"{low}\N{EN DASH}{high}")
