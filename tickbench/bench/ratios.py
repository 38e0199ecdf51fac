"""Estimate medians, ratios and differences of repeats, with confidence intervals."""

import math
import random
import statistics
from collections.abc import Callable, Iterable

from msgspec import Struct
from scipy.special import bdtrik  # of the binomial distribution; scipy.stats takes a second to import

CONFIDENCE = 0.95
RESAMPLES = 1000


class RatioEstimate(Struct, frozen=True):
    """A figure over some repeats, with its 95 % confidence interval."""

    median: float
    low: float
    high: float


def estimate(values: list[float]) -> RatioEstimate:
    """
    Estimate the median of what ``values`` are a sample of; with fewer than six the interval is their range.

    The interval lies between order statistics, by the binomial law of how many values lie below the median
    (Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2): nothing is assumed of their distribution.
    """
    ordered = sorted(values)
    outside = max(0, math.ceil(bdtrik((1 - CONFIDENCE) / 2, len(ordered), 0.5)) - 1)
    return RatioEstimate(statistics.median(ordered), ordered[outside], ordered[-1 - outside])


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Return the ratio of each repeat: what slowed both, such as a noisy minute, cancels out."""
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def estimate_difference(
    ours: list[list[float]], theirs: list[list[float]], statistic: Callable[[list[float]], float]
) -> RatioEstimate:
    """
    Estimate how far a statistic of all values of ``ours`` lies above that of ``theirs``.

    Each list holds one repeat; those with the same index were taken in turns. The interval is that of 95 % of 1,000
    resamples of whole repeats, of both sides together (the percentile bootstrap: Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13), since the values within a repeat are not independent.
    """

    def difference(places: Iterable[int]) -> float:
        chosen = list(places)
        our, their = ([value for place in chosen for value in side[place]] for side in (ours, theirs))
        return statistic(our) - statistic(their)

    count = len(ours)
    chance = random.Random(0)  # noqa: S311 # the same figures give the same interval
    resampled = sorted(difference(chance.choices(range(count), k=count)) for _ in range(RESAMPLES))
    outside = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return RatioEstimate(difference(range(count)), resampled[outside], resampled[-1 - outside])
