"""
How strict two looks at the same blocks are, so that both together err no oftener than one: alpha spending.

Whoever tests at half of the blocks at 5 %, and again at the end, finds what noise makes in 8 % of suites. Here a level
is spent over the blocks instead, most of it at the end (Lan and DeMets, "Discrete sequential boundaries for clinical
trials", Biometrika 70 (1983), with their spending function after O'Brien and Fleming): at half of the blocks 5 % are
0.3 %, and at the end 4.9 %. They hold for normal statistics; applied to p values of t, as in Jennison and Turnbull,
"Group sequential methods" (2000), section 4.4, they are kept nearly exactly (docs/comparing.md has the simulation).

With Holm over several figures each level that a figure is held to is spent like this: Ye, Li, Liu and Yao, "A group
sequential Holm procedure with multiple primary endpoints", Statistics in Medicine 32 (2013).
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

Spending = Callable[[float], float]
"""Makes of a level that is to be kept over all looks, two-sided, the one that a p value is held to at one of them."""


def all_at_once(alpha: float) -> float:
    """Spend a level where nobody looks before the end."""
    return alpha


def at_look(share: float) -> Spending:
    """Return the spending of a look before the end; ``share`` is that of the blocks that are made by then."""
    return lambda alpha: _first_level(alpha, share)


def at_end(share: float) -> Spending:
    """Return the spending at the end, after one look at this share of the blocks."""
    return lambda alpha: _last_level(alpha, share)


def _first_level(alpha: float, share: float) -> float:
    """Return 2 - 2 Phi(z / sqrt(share)) of each side, z being the normal quantile of 1 - (alpha / 2) / 2."""
    return 4 * float(ndtr(float(ndtri(alpha / 4)) / math.sqrt(share)))


@lru_cache(maxsize=64)
def _last_level(alpha: float, share: float) -> float:
    """Return the level of which a side is crossed at the end, and was not at the look, in what is left of alpha / 2."""
    first = _first_level(alpha, share) / 2
    bound = -float(ndtri(first))
    # The statistic at the end is sqrt(share) times the one at the look, plus what the other blocks add by themselves.
    looks = np.linspace(-8.0, bound, 4_001)
    density = np.exp(-(looks**2) / 2) / math.sqrt(2 * math.pi)
    low, high = 0.0, 8.0
    for _ in range(50):
        middle = (low + high) / 2
        crosses = ndtr((math.sqrt(share) * looks - middle) / math.sqrt(1 - share))
        if np.trapezoid(density * crosses, looks) > alpha / 2 - first:
            low = middle
        else:
            high = middle
    return 2 * float(ndtr(-high))
