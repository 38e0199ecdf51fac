"""
Make the rows of the table: for each arm, the median of each figure over its runs in the blocks, and the range.

Only runs in which a figure can be trusted count for it; where an arm has none, all that finished do, and the cell says
so.
"""

import statistics
from dataclasses import dataclass

from shared.measure.summary import LoadSummary
from tickbench.compare.figures import FIGURES, Figure
from tickbench.compare.results import Results, Run
from tickbench.compare.suite import BLOCKS
from tickbench.verdict.counting import is_trusted, is_valid

NO_FIGURE = "-"


@dataclass(frozen=True, slots=True)
class Cell:
    """The median of one figure over an arm's runs, and its range, as texts; the range is empty if all are alike."""

    median: str
    range: str = ""
    is_doubtful: bool = False
    """It rests on runs in none of which the figure can be trusted."""


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


def counted(runs: list[Run], figure: str) -> list[LoadSummary]:
    """Return the summaries that a figure rests on: those in which it can be trusted, or all if it can in none."""
    finished = [run for run in runs if run.load is not None]
    chosen = [run for run in finished if is_trusted(run, figure)] or finished
    return [run.load for run in chosen if run.load is not None]


def is_doubtful(runs: list[Run], figure: str) -> bool:
    """Whether a figure is shown though it can be trusted in none of the runs."""
    return any(run.load is not None for run in runs) and not any(is_trusted(run, figure) for run in runs)


def cell(figure: Figure, runs: list[Run]) -> Cell:
    """Return what is shown of a figure over some runs."""
    values = [value for value in map(figure.read, counted(runs, figure.key)) if value is not None]
    if not values:
        return Cell(NO_FIGURE)
    low, high = figure.words(min(values)), figure.words(max(values))
    scatter = "" if low == high else f"{low}\N{EN DASH}{high}"
    return Cell(figure.words(statistics.median(values)), scatter, is_doubtful(runs, figure.key))


def _arm_row(arm: str, planned: int, runs: list[Run]) -> ArmRow:
    own = block_runs(arm, runs)
    return ArmRow(
        arm=arm,
        planned=planned,
        finished=sum(run.load is not None for run in own),
        valid=sum(map(is_valid, own)),
        cells=[cell(figure, own) for figure in FIGURES],
    )
