"""
Lay out the plots of a comparison's noise: a figure a plot, an arm a row, a block a dot.

Places are percentages of a plot's width, so that the page draws them as wide as it has room for, sharp at any zoom.
Each plot has a scale of its own, logarithmic: on one for all, what differs tenfold would leave no room to the others.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct

from tickbench.compare.figures import BY_KEY
from tickbench.compare.suite import BLOCKS
from tickbench.report.decision import BLOCK_FIGURES
from tickbench.report.document import Document
from tickbench.statistics.verdicts import MARGIN, times_words
from tickbench.verdict.comparisons import Comparison

LEAST_SCALE, MOST_SCALE = 1.25, 5.0
"""The scale ends between these, and between what they are the reciprocals of; what lies beyond is drawn at its end."""
ROOM = 1.04
"""Factor by which the scale goes on beyond the outermost dot."""
TICKS = (1, 0.5, 2, 0.25, 4, 0.8, 1.25, 0.9, 1.1, 0.67, 1.5, 3)
"""The ratios that the scale names, as far as there is room; the first of them first."""
TICK_DISTANCE, TICK_MARGIN = 7.0, 2.5
"""The least between two ticks, and between one and an end of the scale, in percent of the width."""
FIRST_DOT, LAST_DOT = 6.0, 22.0
"""Where the dots of the first and the last block are in a row, in pixels from its top: a drift is a slope."""
NOT_THERE = "-"


class Row(Struct, frozen=True):
    """One comparison of a plot; places are in percent of the width."""

    name: str
    """The arm that is set beside the first."""
    comparison: Comparison
    dots: list[tuple[float, float]]
    """Of each block its place, and its height in pixels from the top of the row."""
    interval: tuple[float, float, float] | None
    """Its lower end, the mean and the upper end; None with fewer than two blocks."""
    beyond: list[float]
    """The ends of the scale, 0 and 100, beyond which there is something."""
    ratios: str
    """The ratio of each block, in their order."""


class Plot(Struct, frozen=True):
    """One figure: the arms beside the first, the best first, and last the arm that was set beside itself."""

    figure: str
    title: str
    rows: list[Row]
    floor: tuple[float, ...]
    """The interval of the arm beside itself: its ends on the scale; empty where none is known."""
    ticks: list[tuple[float, float]]
    """Ratios that the scale names, and their places."""
    band: tuple[float, float]
    """The ends of what is equivalent."""
    line: float
    """The place of the ratio 1."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale of ratios."""

    low: float
    high: float

    @classmethod
    def of(cls, comparisons: Iterable[Comparison]) -> "Scale":
        """Return the scale on which the blocks and intervals have room."""
        shown = [1.0, *(value for each in comparisons for value in _drawn(each))]
        low = max(1 / MOST_SCALE, min(1 / LEAST_SCALE, min(shown) / ROOM))
        return cls(low, min(MOST_SCALE, max(LEAST_SCALE, max(shown) * ROOM)))

    def place(self, ratio: float) -> float:
        """Return where a ratio is, in percent of the width; one beyond the scale at its end."""
        inside = min(self.high, max(self.low, ratio))
        return round(100 * math.log(inside / self.low) / math.log(self.high / self.low), 2)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """The ratios that are named, and their places."""
        chosen: dict[float, float] = {}
        for ratio in TICKS:
            place = self.place(ratio)
            is_free = all(abs(place - other) >= TICK_DISTANCE for other in chosen.values())
            if is_free and TICK_MARGIN <= place <= 100 - TICK_MARGIN:
                chosen[ratio] = place
        return sorted(chosen.items())


class Noise(Struct, frozen=True):
    """All plots of a document."""

    first: str
    """The arm that the others are set beside."""
    plots: list[Plot]

    @property
    def has_at_once(self) -> bool:
        """Whether ratios are of arms that ran at the same time."""
        return any(row.comparison.is_together for plot in self.plots for row in plot.rows)


def noise_of(document: Document) -> Noise:
    """Return the plots of the figures that the decision table has from the blocks, and of those with a verdict."""
    found = document.comparisons
    keys = dict.fromkeys([*BLOCK_FIGURES, *(each.figure for each in [*found.primary, *found.floor])])
    made = max((run.block for run in document.runs if run.part == BLOCKS), default=0)
    plots = [_plot(key, rows, made if key in BY_KEY else 0) for key in keys if (rows := _sorted_rows(document, key))]
    first = next((each.first for each in [*found.primary, *found.others, *found.floor]), "")
    return Noise(first, plots)


def is_itself(comparison: Comparison) -> bool:
    """Whether an arm is set beside itself."""
    return comparison.first == comparison.other


def _sorted_rows(document: Document, key: str) -> list[Comparison]:
    """Return a figure's comparisons, the best arm first, the arm beside itself last; none if nothing is known."""
    found = document.comparisons
    judged = [each for each in found.primary if each.figure == key]
    taken = {each.other for each in judged}
    own = judged + [each for each in found.others if each.figure == key and each.other not in taken]
    known = [each for each in own if each.ratio is not None]
    sign = 1 if key in BY_KEY else -1  # of a capacity more is better
    known.sort(key=lambda each: sign * each.ratio.ratio if each.ratio is not None else 0.0)
    floor = [each for each in found.floor if each.figure == key]
    rows = [*known, *(each for each in own if each.ratio is None), *floor]
    return rows if any(each.ratio is not None for each in rows) else []


def _plot(key: str, rows: list[Comparison], made: int) -> Plot:
    """Return the plot of a figure of so many blocks, or of as many as there are ratios of."""
    scale, last = Scale.of(rows), rows[-1]
    blocks = max([made, *(block for each in rows for block in each.by_block)])
    interval = _interval(last, scale) if is_itself(last) else None
    return Plot(
        figure=key,
        title=last.title,
        rows=[_row(each, blocks, scale) for each in rows],
        floor=(interval[0], interval[2]) if interval else (),
        ticks=scale.ticks,
        band=(scale.place(1 / MARGIN), scale.place(MARGIN)),
        line=scale.place(1),
    )


def _row(each: Comparison, blocks: int, scale: Scale) -> Row:
    step = (LAST_DOT - FIRST_DOT) / max(1, blocks - 1)
    drawn = _drawn(each)
    return Row(
        name=each.other,
        comparison=each,
        dots=[(scale.place(ratio), round(FIRST_DOT + step * (block - 1), 1)) for block, ratio in each.by_block.items()],
        interval=_interval(each, scale),
        beyond=[0.0] * any(ratio < scale.low for ratio in drawn) + [100.0] * any(ratio > scale.high for ratio in drawn),
        ratios=", ".join(
            times_words(each.by_block[block]) if block in each.by_block else NOT_THERE for block in range(1, blocks + 1)
        ),
    )


def _interval(each: Comparison, scale: Scale) -> tuple[float, float, float] | None:
    ratio = each.ratio
    if ratio is None or ratio.low is None or ratio.high is None:
        return None
    return scale.place(ratio.low), scale.place(ratio.ratio), scale.place(ratio.high)


def _drawn(each: Comparison) -> list[float]:
    ends = [] if each.ratio is None else [each.ratio.low, each.ratio.high]
    return [*each.by_block.values(), *(end for end in ends if end is not None)]
