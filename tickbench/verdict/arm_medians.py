"""
Sum up a figure over an arm's runs, as tables show it: the median, and the range.

Only runs in which the figure can be trusted count for it; where there is none, all that finished do, and the cell says
so (:class:`tickbench.compare.runs.Basis`).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tickbench.compare.figures import Figure
from tickbench.compare.runs import Basis, Run

NO_FIGURE = "-"


@dataclass(frozen=True, slots=True)
class MedianCell:
    """The median of one figure over an arm's runs, and its range, as texts; the range is empty if all are alike."""

    median: str
    range: str = ""
    is_doubtful: bool = False
    """It rests on runs in none of which the figure can be trusted."""


def cell(figure: Figure, runs: Sequence[Run]) -> MedianCell:
    """Return what is shown of a figure over some runs."""
    basis = Basis.of(runs, figure.key)
    values = [value for value in map(figure.read, basis.loads) if value is not None]
    if not values:
        return MedianCell(NO_FIGURE)
    low, high = figure.words(min(values)), figure.words(max(values))
    scatter = "" if low == high else f"{low}\N{EN DASH}{high}"
    return MedianCell(figure.words(statistics.median(values)), scatter, basis.is_doubtful)
