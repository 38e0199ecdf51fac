"""
Make the rows of the table: for each arm, the median of each figure over its runs in the blocks, and the range.

Only runs in which a figure can be trusted count for it; where an arm has none, all that finished do, and the cell says
so (:class:`tickbench.compare.runs.Basis`).
"""

import statistics
from dataclasses import dataclass

from tickbench.compare.figures import FIGURES, Figure
from tickbench.compare.runs import Basis, Run, RunIndex

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


def arm_rows(index: RunIndex) -> list[ArmRow]:
    """Return the table, the arms in the suite's order."""
    return [_arm_row(arm.name, index) for arm in index.suite.parsed_arms()]


def cell(figure: Figure, runs: list[Run]) -> Cell:
    """Return what is shown of a figure over some runs."""
    basis = Basis.of(runs, figure.key)
    values = [value for value in map(figure.read, basis.loads) if value is not None]
    if not values:
        return Cell(NO_FIGURE)
    low, high = figure.words(min(values)), figure.words(max(values))
    scatter = "" if low == high else f"{low}\N{EN DASH}{high}"
    return Cell(figure.words(statistics.median(values)), scatter, basis.is_doubtful)


def _arm_row(arm: str, index: RunIndex) -> ArmRow:
    own = index.block_runs(arm)
    return ArmRow(
        arm=arm,
        planned=index.suite.repeats,
        finished=sum(run.load is not None for run in own),
        valid=sum(run.is_valid for run in own),
        cells=[cell(figure, own) for figure in FIGURES],
    )
