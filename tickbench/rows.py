"""
The rows of the table: for each arm, the median of each figure over its runs in the blocks, and the range.

Pure; knows nothing of how it is drawn. Only valid runs count where an arm has one; where it has none, all that finished
do, and the row says so.
"""

import statistics
from dataclasses import dataclass

from shared.measure.summary import LoadSummary
from tickbench.checks import is_valid
from tickbench.figures import FIGURES, Figure
from tickbench.results import Results, Run
from tickbench.suite import BLOCKS

NO_FIGURE = "-"


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


def arm_rows(results: Results) -> list[ArmRow]:
    """Return the table, the arms in the suite's order."""
    suite = results.record.suite
    return [_arm_row(arm.name, suite.repeats, results.runs) for arm in suite.parsed_arms()]


def block_runs(arm: str, runs: list[Run], *, again: bool = False) -> list[Run]:
    """Return the runs of an arm in the blocks, of each only the last attempt."""
    last = {(run.block): run for run in runs if (run.part, run.arm, run.again) == (BLOCKS, arm, again)}
    return list(last.values())


def counted_runs(arm: str, runs: list[Run]) -> list[LoadSummary]:
    """Return the summaries that an arm's figures rest on: its valid runs, or all that finished if none is."""
    own = block_runs(arm, runs)
    return [run.load for run in counted(own) if run.load is not None]


def median_words(figure: Figure, runs: list[Run]) -> str:
    """Return the median of a figure over the counted ones of some runs as text."""
    return _cell(figure, [run.load for run in counted(runs) if run.load is not None]).median


def counted(runs: list[Run]) -> list[Run]:
    """Return those that are valid, or all that finished if none is."""
    finished = [run for run in runs if run.load is not None]
    return [run for run in finished if is_valid(run)] or finished


def _arm_row(arm: str, planned: int, runs: list[Run]) -> ArmRow:
    summaries = counted_runs(arm, runs)
    own = block_runs(arm, runs)
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
