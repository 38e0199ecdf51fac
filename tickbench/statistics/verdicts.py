"""
Judge the difference between two arms: ratios with intervals, and verdicts that guard against noise.

The unit is the block, in which both arms ran once, shortly after one another: what the machine did in that minute
affected both, so what is averaged is the ratio of the two, as logarithms.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct, structs
from scipy.special import stdtr, stdtrit  # Student's t; scipy.stats has the same, and takes a second to import

from tickbench.statistics.looks import Spending, all_at_once

ALPHA = 0.05
"""How often all verdicts of a suite together may name a winner where there is none."""
GUARD_ALPHA = 0.01
"""How often an arm may be found to differ from itself where it does not: rarer, since it voids a whole suite."""
MARGIN = 1.10
"""Two arms whose ratio is surely nearer to 1 than this are equivalent, whichever is ahead."""
LEAST_BLOCKS = 3
"""With fewer there is no verdict."""
TINY = 1e-9
"""Differences of logarithms below this are rounding errors."""


class Ratio(Struct, frozen=True):
    """The ratio of two arms, other to first, over the blocks that both have a valid run in."""

    blocks: int
    ratio: float
    """Geometric mean."""
    low: float | None
    """Of the interval at ``confidence``; None with fewer than two blocks."""
    high: float | None
    confidence: float
    p_value: float | None
    """Two-sided, that the ratio is 1."""

    @property
    def words(self) -> str:
        """The ratio and its interval."""
        alone = self.low is None or self.high is None
        interval = "one alone" if alone else f"{times_words(self.low)} to {times_words(self.high)}"
        return f"{times_words(self.ratio)} times [{interval}]"

    def inverted(self) -> "Ratio":
        """Return that of first to other."""
        low, high = (None if end is None else 1 / end for end in (self.high, self.low))
        return structs.replace(self, ratio=1 / self.ratio, low=low, high=high)


class Absolute(NamedTuple):
    """What two arms differ by in each block, and what is too little to matter, in the figure's own unit."""

    differences: Sequence[float]
    """Other less first, of each block."""
    negligible: float
    words: str
    """The latter with its unit."""


class Verdict(Struct, frozen=True):
    """Which of two arms is better in a figure, if either surely is, or that they are as good as equal."""

    kind: Literal["better", "equivalent", "inconclusive"]
    winner: Literal["first", "other"] | None
    """The better arm."""
    ratio: Ratio | None
    """At the confidence at which it was judged; None without a block that can be compared."""
    adjusted_p_value: float | None
    """By Holm."""
    within: str = f"{100 * (MARGIN - 1):.0f} %"
    """Of two that are equivalent: within what."""

    @property
    def short_words(self) -> str:
        """The verdict in words without its interval, for where that stands beside it."""
        if self.kind == "better" and self.ratio is not None:
            return f"better by {times_words(max(self.ratio.ratio, 1 / self.ratio.ratio))} times"
        return f"equivalent within {self.within}" if self.kind == "equivalent" else self.kind

    @property
    def words(self) -> str:
        """The verdict in words, the factor as worse to better."""
        if self.ratio is None:
            return "inconclusive: no block has a valid run of both"
        if self.kind == "better":
            return f"better by {(self.ratio.inverted() if self.winner == 'other' else self.ratio).words}"
        return f"{self.short_words} {self.ratio.words}"


def times_words(ratio: float | None) -> str:
    """Return a ratio with three digits; one that is only nearly 1 does not read as 1."""
    if ratio is None:
        return "-"
    words = f"{ratio:,.0f}" if ratio >= 999.5 else f"{ratio:.3g}"  # else it had an exponent
    return "1.00" if words == "1" and ratio != 1 else words


def log_ratios(first: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> list[float]:
    """
    Return the logarithm of other to first for each block that has both.

    Args:
        first: for each block the values of the first arm: none, one, or two where it ran twice; then their mean counts.
        other: the same of the other arm, as many blocks.

    A value that is not above 0 has no logarithm: its block is left out.

    """
    pairs = zip(first, other, strict=True)
    return [_mean_log(theirs) - _mean_log(ours) for ours, theirs in pairs if _is_usable(ours) and _is_usable(theirs)]


def paired_ratio(logs: Sequence[float], confidence: float = 1 - ALPHA) -> Ratio | None:
    """
    Return the ratio with the paired t interval on the logarithms; None without a block.

    Student's t with one degree of freedom less than blocks: Student, "The probable error of a mean", Biometrika 6
    (1908); as in any textbook.

    """
    if not logs:
        return None
    blocks, mean = len(logs), float(np.mean(logs))
    if blocks < 2:
        return Ratio(blocks, math.exp(mean), None, None, confidence, None)
    error = float(np.std(logs, ddof=1)) / math.sqrt(blocks)
    return _interval(blocks, mean, error, blocks - 1, confidence)


def holm(
    p_values: Sequence[float], alpha: float = ALPHA, spending: Spending = all_at_once
) -> list[tuple[float, float]]:
    """
    Return for each p value the adjusted one, and the level that it is held to.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979): the
    k-th smallest of m is held to alpha / (m - k + 1), and when one fails, so do all that are larger, held to its level.
    Where there are two looks, what is spent of that level at this one takes its place
    (:mod:`tickbench.statistics.looks`). An adjusted p value is below ``alpha`` where the level is kept.

    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    result = [(1.0, alpha)] * len(p_values)
    adjusted, failed_at = 0.0, None
    for rank, index in enumerate(order):
        here = spending(alpha / (len(p_values) - rank))
        adjusted = max(adjusted, min(1.0, alpha / here * p_values[index]))
        level = failed_at or here
        if p_values[index] > level and failed_at is None:
            failed_at = level
        result[index] = adjusted, level
    return result


def judge(
    comparisons: Sequence[Sequence[float]],
    *,
    higher_is_better: Sequence[bool] = (),
    resolution: Sequence[float] = (),
    alpha: float = ALPHA,
    spending: Spending = all_at_once,
    absolute: Sequence[Absolute | None] = (),
) -> list[Verdict]:
    """
    Return the verdicts on several comparisons, of which all together err no oftener than ``alpha``.

    What the ratios leave open may be decided by the differences: two arms are equivalent, too, if the interval of what
    they differ by, at the same confidence, lies within what is negligible (D. J. Schuirmann, A comparison of the two
    one-sided tests procedure and the power approach for assessing the equivalence of average bioavailability, Journal
    of Pharmacokinetics and Biopharmaceutics 15, 1987). That names no winner, and takes none away.

    Args:
        comparisons: the logarithms of the blocks' ratios, other to first, of each. One without enough blocks gets no
            verdict, and counts as one of them.
        higher_is_better: of each; without it, lower is better in all.
        resolution: of each, the factor by which a ratio may be off since its figures are only known so far, such as a
            capacity that lies between two loads that were tried; the interval is that much wider. Without it, 1.
        alpha: see above.
        spending: what of a level is spent at this look, where there are two.
        absolute: of each, its differences; None, or none at all: they decide nothing.

    """
    signs = higher_is_better or [False] * len(comparisons)
    factors = resolution or [1.0] * len(comparisons)
    found = [paired_ratio(logs) for logs in comparisons]
    p_values = [1.0 if each is None or not _is_enough(each) else each.p_value or 0.0 for each in found]
    levels = holm(p_values, alpha, spending)
    judged = zip(comparisons, found, levels, signs, factors, strict=True)
    verdicts = [
        _verdict(logs, each, adjusted, level, higher=higher, factor=factor)
        for logs, each, (adjusted, level), higher, factor in judged
    ]
    differences = absolute or [None] * len(comparisons)
    return [
        _by_differences(verdict, each, level)
        for verdict, each, (_, level) in zip(verdicts, differences, levels, strict=True)
    ]


def welch_ratio(first: Sequence[float], other: Sequence[float], confidence: float = 1 - ALPHA) -> Ratio | None:
    """
    Return the ratio of two sets of runs that were not made side by side, with Welch's interval on the logarithms.

    Welch, "The generalization of Student's problem when several different population variances are involved",
    Biometrika 34 (1947). ``blocks`` is the smaller number of runs.

    """
    ours, theirs = (np.log([value for value in values if value > 0]) for values in (first, other))
    if not len(ours) or not len(theirs):
        return None
    mean, runs = float(np.mean(theirs) - np.mean(ours)), min(len(ours), len(theirs))
    if runs < 2:
        return Ratio(runs, math.exp(mean), None, None, confidence, None)
    parts = [float(np.var(logs, ddof=1)) / len(logs) for logs in (ours, theirs)]
    error = math.sqrt(sum(parts))
    if error < TINY:
        return _interval(runs, mean, error, 1, confidence)
    shares = [part / sum(parts) for part in parts]
    freedom = 1 / sum(share**2 / (len(logs) - 1) for share, logs in zip(shares, (ours, theirs), strict=True))
    return _interval(runs, mean, error, freedom, confidence)


def _verdict(
    logs: Sequence[float], found: Ratio | None, adjusted: float, level: float, *, higher: bool, factor: float
) -> Verdict:
    if found is None or not _is_enough(found):
        return Verdict("inconclusive", None, found, None)
    ratio = _widened(paired_ratio(logs, 1 - level), factor)
    assert ratio is not None  # noqa: S101 - it has blocks
    assert ratio.low is not None  # noqa: S101 - at least two
    assert ratio.high is not None  # noqa: S101 - as before
    if ratio.low >= 1 / MARGIN and ratio.high <= MARGIN:
        return Verdict("equivalent", None, ratio, adjusted)
    if ratio.low <= 1 + TINY and ratio.high >= 1 - TINY:
        return Verdict("inconclusive", None, ratio, adjusted)
    first_is_better = (ratio.ratio > 1) is not higher
    return Verdict("better", "first" if first_is_better else "other", ratio, adjusted)


def _by_differences(verdict: Verdict, absolute: Absolute | None, level: float) -> Verdict:
    """Return the verdict, or that two arms are equivalent that their ratio does not tell apart."""
    if absolute is None or verdict.kind != "inconclusive" or verdict.adjusted_p_value is None:
        return verdict
    blocks = len(absolute.differences)
    if blocks < LEAST_BLOCKS:
        return verdict
    error = float(np.std(absolute.differences, ddof=1)) / math.sqrt(blocks)
    most = abs(float(np.mean(absolute.differences))) + float(stdtrit(blocks - 1, 1 - level / 2)) * error
    return (
        structs.replace(verdict, kind="equivalent", within=absolute.words) if most <= absolute.negligible else verdict
    )


def _widened(ratio: Ratio | None, factor: float) -> Ratio | None:
    if ratio is None or ratio.low is None or ratio.high is None:
        return ratio
    return structs.replace(ratio, low=ratio.low / factor, high=ratio.high * factor)


def _interval(blocks: int, mean: float, error: float, freedom: float, confidence: float) -> Ratio:
    """Return the t interval around a mean of logarithms with its standard error."""
    if error < TINY:  # no block differs from another, but for rounding
        is_one = abs(mean) < TINY
        return Ratio(blocks, math.exp(mean), math.exp(mean), math.exp(mean), confidence, 1.0 if is_one else 0.0)
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    p_value = 2 * float(stdtr(freedom, -abs(mean) / error))
    return Ratio(blocks, math.exp(mean), math.exp(mean - half), math.exp(mean + half), confidence, p_value)


def _is_enough(found: Ratio) -> bool:
    return found.blocks >= LEAST_BLOCKS


def _is_usable(values: Sequence[float]) -> bool:
    return bool(values) and all(value > 0 and math.isfinite(value) for value in values)


def _mean_log(values: Sequence[float]) -> float:
    return float(np.mean(np.log(values)))
