"""Medians of repeats and how far they can be trusted. Knows nothing of what was timed."""

import math
import statistics

from msgspec import Struct

CONFIDENCE = 0.95


class Estimate(Struct, frozen=True):
    """The median of some repeats, and the interval that holds that of all repeats in 95 of 100 such samples."""

    median: float
    low: float
    high: float


def estimate(values: list[float]) -> Estimate:
    """
    Estimate the median of what ``values``, six or more, are a sample of; with fewer the interval is their range.

    The interval lies between order statistics, by the binomial law of how many values lie below the median
    (Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2): nothing is assumed of their distribution.
    """
    ordered = sorted(values)
    outside = _values_outside(len(ordered))
    return Estimate(statistics.median(ordered), ordered[outside], ordered[-1 - outside])


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Return the ratio of each repeat: what both had in common, such as a noisy minute, falls out of it."""
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def _values_outside(count: int) -> int:
    """Return how many of ``count`` ordered values may lie outside of the interval, at each end."""
    tail, outside = 0.0, 0
    while outside < (count - 1) // 2:
        tail += math.comb(count, outside) / 2**count  # the chance that at most `outside` values lie below the median
        if 2 * tail > 1 - CONFIDENCE:
            break
        outside += 1
    return max(0, outside - 1)
