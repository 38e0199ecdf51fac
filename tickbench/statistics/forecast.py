"""Estimate how many more blocks would decide what is inconclusive now, or by how much the scatter has to fall."""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from scipy.special import ndtr, stdtrit

from tickbench.statistics.verdicts import LEAST_BLOCKS, MARGIN

SURE = 0.8
"""Of the comparisons that are said to need so many blocks more, about this share is decided by them."""
MOST_TIMES = 4
"""More than so many times the blocks that were made are not affordable."""


class Forecast(Struct, frozen=True):
    """What would decide a comparison that is inconclusive: named better, or equivalent."""

    more_blocks: int | None
    """More than were made, in a comparison made anew; None if no affordable number would."""
    scatter: float
    """The standard deviation of the logarithms of the blocks' ratios."""
    scatter_share: float
    """As many blocks as were made decide it, wherever the ratio lies, if they scatter by this share of what they do."""
    more_s: float | None = None
    """About how long those more blocks take."""

    @property
    def words(self) -> str:
        """What a user would have to do."""
        now, then = map(_percent, (self.scatter, self.scatter * self.scatter_share))
        quieter = f"a quieter machine, on which blocks scatter by {then} and not by {now}"
        if self.more_blocks is None:
            return f"deciding it takes {quieter}; {MOST_TIMES} times as many blocks would not do"
        time = "" if self.more_s is None else f", {max(1, round(self.more_s / 60))} minutes"
        return f"deciding it takes about {self.more_blocks} blocks more{time}, in a comparison made anew; or {quieter}"


def what_would_decide(logs: Sequence[float], level: float) -> Forecast | None:
    """
    Return what would decide an inconclusive comparison; None where too few blocks are there to tell.

    Args:
        logs: the logarithms of the blocks' ratios.
        level: what its p value is held to.

    They are those of a comparison made anew: to go on with this one until it is decided would be peeking. What is known
    of the ratio is the mean seen, drawn towards 1 as far as it may be chance, as if arms differed by about the margin
    before anything was measured: without this a ratio that scatter made large seems nearly decided. The mean that will
    be seen is taken as normal: what is not known of the ratio, and what the blocks scatter, are its variance. It is
    decided then if the t interval around it leaves out 1, or lies within the margin.

    """
    made = len(logs)
    scatter = float(np.std(logs, ddof=1)) if made >= LEAST_BLOCKS else 0.0
    if not scatter:
        return None
    mean, margin = float(np.mean(logs)), math.log(MARGIN)
    # An interval that is as wide as the margin leaves out 1 or lies within it, wherever its middle is.
    share = margin / 2 / _half_width(made, scatter, level)
    variance = scatter**2 / made
    trust = margin**2 / (margin**2 + variance)
    for blocks in range(made + 1, (1 + MOST_TIMES) * made + 1):
        spread = math.sqrt(trust * variance + scatter**2 / blocks)
        if _decided(trust * mean, spread, _half_width(blocks, scatter, level), margin) >= SURE:
            return Forecast(blocks - made, scatter, share)
    return Forecast(None, scatter, share)


def least_difference(blocks: int, level: float, scatter: float) -> float:
    """
    Return the ratio of two arms that is told from 1 in :data:`SURE` of cases; infinite with too few blocks.

    Args:
        blocks: how many there are to be.
        level: what the p value is held to.
        scatter: the standard deviation of the logarithms of the blocks' ratios.

    """
    if blocks < LEAST_BLOCKS:
        return math.inf
    sure = float(stdtrit(blocks - 1, SURE)) * scatter / math.sqrt(blocks)
    return math.exp(_half_width(blocks, scatter, level) + sure)


def _percent(scatter: float) -> str:
    """Return a standard deviation of logarithms as words."""
    percent = 100 * math.expm1(scatter)
    return f"{percent:.2g} %" if percent < 100 else f"{percent:.0f} %"


def _half_width(blocks: int, scatter: float, level: float) -> float:
    return float(stdtrit(blocks - 1, 1 - level / 2)) * scatter / math.sqrt(blocks)


def _decided(mean: float, spread: float, half: float, margin: float) -> float:
    """Return how likely a normal mean is at least ``half`` away from 0, or at most ``margin - half``."""
    if half <= margin / 2:
        return 1.0
    inner = max(0.0, margin - half)

    def within(bound: float) -> float:
        return float(ndtr((bound - mean) / spread) - ndtr((-bound - mean) / spread))

    return 1 - within(half) + within(inner)
