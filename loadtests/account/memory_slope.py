"""
Computes the memory per connection from the memory (RSS) of a process at growing numbers of connections.

It is no quotient of growth and connections: the first connections use what importing and compiling left free on the
heap, the next what closed connections left free. It is the mean slope of several steps without the extreme ones: a
table that doubles makes a step large, free heap makes one small.
"""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from shared.measure.summary import MemoryFigures

STEPS = 10
TRIMMED = 2
"""Steps that are left out at each end of their order: a fifth."""
T_95_PERCENT = 2.571
"""Of Student's t with as many degrees of freedom as steps are left, less one: 5."""
WIDEST_PERCENT = 10.0
"""
Half the 95 % interval in percent of the value; where it is wider, the value counts as not known.

Our servers give 1 to 7 %, and about 10 % where 3,000 connections leave them no time (in some steps tables double):
there the limit is passed now and then. Where free heap took in some of the steps it is 20 %.
"""


class Plateau(NamedTuple):
    """Connections and memory of a process while nobody came or went."""

    connections: int
    rss_bytes: int


class Weight(NamedTuple):
    """Bytes per connection, None where they can't be known, and how they were found."""

    value: float | None
    figures: MemoryFigures


class Slope(NamedTuple):
    """Bytes a connection, with the 95 % interval."""

    value: float
    low: float
    high: float


def slope_of(plateaus: Sequence[Plateau]) -> Slope:
    """
    Return the mean of the steps' slopes, a fifth of them trimmed at each end, with its interval.

    Trimmed mean and its standard error, by the winsorised deviation: Tukey and McLaughlin, 1963; Yuen, 1974.

    """
    steps = sorted(
        (after.rss_bytes - before.rss_bytes) / (after.connections - before.connections)
        for before, after in pairwise(plateaus)
    )
    kept = steps[TRIMMED : len(steps) - TRIMMED]
    winsorised = [kept[0]] * TRIMMED + kept + [kept[-1]] * TRIMMED
    mean = statistics.fmean(kept)
    error = statistics.stdev(winsorised) * math.sqrt(len(steps)) / len(kept)
    half = T_95_PERCENT * error
    return Slope(mean, mean - half, mean + half)


def memory_figures(plateaus: Sequence[Plateau], why_not: str = "", widest_percent: float = WIDEST_PERCENT) -> Weight:
    """Return bytes per connection, None if they can't be known or ``why_not`` says why not; and how they were found."""
    noted = [(plateau.connections, plateau.rss_bytes) for plateau in plateaus]
    if not why_not and len(plateaus) <= STEPS:
        why_not = "too few steps were made"
    pairs = pairwise(plateaus)
    if not why_not and any(after.connections <= before.connections for before, after in pairs):
        why_not = "as many left as came"
    if why_not:
        return Weight(None, MemoryFigures(plateaus=noted, why_not=why_not))
    value, low, high = slope_of(plateaus)
    if value <= 0:
        return Weight(None, MemoryFigures(plateaus=noted, why_not="the more came, the less memory was held"))
    if high - value > value * widest_percent / 100:
        words = f"steps of memory that differ too much: {low / 1024:.1f} to {high / 1024:.1f} KiB a connection"
        return Weight(None, MemoryFigures(plateaus=noted, why_not=words))
    return Weight(value, MemoryFigures(low_bytes=low, high_bytes=high, plateaus=noted))
