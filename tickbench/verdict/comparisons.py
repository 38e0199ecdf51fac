"""
Make the comparisons of a suite: verdicts on the named ones, intervals of the others, and the noise of the machine.

Verdicts and intervals are computed in :mod:`tickbench.statistics.verdicts`.
"""

import math
from itertools import product

import msgspec
from msgspec import Struct

from tickbench.compare.block_ratios import absolutes_of, logs_by_block, logs_of, logs_with_itself
from tickbench.compare.early_end import has_ended_early, spending_of, suite_to_make
from tickbench.compare.excluded import ExcludedShare, excluded_shares, why_not_by_shares
from tickbench.compare.figures import BY_KEY, FIGURES, MEMORY
from tickbench.compare.plan import block_estimate_s, next_run, searches_of
from tickbench.compare.runs import RunIndex
from tickbench.compare.search import Capacity
from tickbench.compare.suite import BLOCKS, Suite
from tickbench.statistics.forecast import Forecast, what_would_decide
from tickbench.statistics.verdicts import ALPHA, GUARD_ALPHA, LEAST_BLOCKS, Ratio, Verdict, judge, paired_ratio
from tickbench.verdict.same_work import Work, compare_work


class Comparison(Struct, frozen=True):
    """Two arms, or an arm and itself, in one figure; the ratio is other to first."""

    figure: str
    title: str
    first: str
    other: str
    ratio: Ratio | None
    verdict: Verdict | None = None
    """None where none is drawn."""
    by_block: dict[int, float] = {}
    """The ratio of each block, by its number; one in which either has no figure to be trusted is left out."""
    to_decide: Forecast | None = None
    """Where the verdict is inconclusive, what would decide it; None where that is not known."""
    is_together: bool = False
    """Whether the ratios are of runs that were made at the same time, and not of each arm alone."""
    withheld: str = ""
    """Where other arms have verdicts, why this one has none, in a sentence."""

    @property
    def winner(self) -> str | None:
        """The better arm, if a verdict names one."""
        if self.verdict is None or self.verdict.winner is None:
            return None
        return self.first if self.verdict.winner == "first" else self.other

    @property
    def ratio_words(self) -> str:
        """The ratio and its interval; a dash where there is none."""
        return "-" if self.ratio is None else self.ratio.words

    @property
    def verdict_words(self) -> str:
        """The winner, if there is one, and the verdict without its interval; ``none`` where none is drawn."""
        return "none" if self.verdict is None else f"{self.winner or ''} {self.verdict.short_words}".strip()


class SearchResult(Struct, frozen=True):
    """What one search found of one arm, as far as it is."""

    search: str
    arm: str
    block: int
    capacity: Capacity | None
    """None while it is not over."""
    runs: int
    took_s: float


class Comparisons(Struct, frozen=True):
    """All that is compared in a suite: pairs of arms, figure by figure, and the results of its searches."""

    primary: list[Comparison]
    """Those that the suite names, with their verdicts, unless these are suppressed."""
    suppressed: str | None
    """Why no verdict is drawn, in a sentence."""
    floor: list[Comparison]
    """The arm that ran twice in each block with itself: the noise of this machine."""
    others: list[Comparison]
    """All other arms to the first of the two, with intervals and without verdicts."""
    work: Work
    searches: list[SearchResult]
    excluded: list[ExcludedShare] = []
    """Of each arm that was measured in slots, how many the machine spoiled."""
    ended_early: str = ""
    """That the suite ended after half of its blocks, and how sure its verdicts are then, in a sentence."""


def compare_all(index: RunIndex) -> Comparisons:
    """Return all comparisons of a results folder."""
    floor, work, searches = _floor(index), compare_work(index), search_results(index)
    primary = _primary(index, searches)
    suppressed = _why_suppressed(index, primary, floor)
    if suppressed is None:
        primary, suppressed = _withheld(index, primary, work)
    if suppressed is not None:
        primary = [msgspec.structs.replace(each, verdict=None, to_decide=None, withheld="") for each in primary]
    return Comparisons(
        primary=primary,
        suppressed=suppressed,
        floor=floor,
        others=_others(index),
        work=work,
        searches=searches,
        excluded=excluded_shares(index),
        ended_early=_ended_early(index, primary),
    )


def _withheld(index: RunIndex, primary: list[Comparison], work: Work) -> tuple[list[Comparison], str | None]:
    """
    Return the comparisons, those of some arms without a verdict; and why there is none at all if all arms are such.

    All of them count when the level is divided: which of them have none is not known before.

    """
    others = index.suite.compare[1:]
    why = {other: _why_not_of(index, other, work) for other in others}
    if all(why.values()):
        return primary, next(iter(why.values()))
    return [
        msgspec.structs.replace(each, verdict=None, to_decide=None, withheld=words)
        if (words := why[each.other])
        else each
        for each in primary
    ], None


def search_results(index: RunIndex) -> list[SearchResult]:
    """Return what each search that was begun found."""
    return [
        SearchResult(
            search=state.search.name,
            arm=state.arm.name,
            block=state.block,
            capacity=state.step if isinstance(state.step, Capacity) else None,
            runs=len(state.runs),
            took_s=round(state.spent_s, 1),
        )
        for state in searches_of(index)
        if state.runs
    ]


def _primary(index: RunIndex, searches: list[SearchResult]) -> list[Comparison]:
    suite = index.suite
    if not suite.verdicts:
        return []
    first, *others = suite.compare
    asked = list(product(others, suite.verdicts))
    logs = [
        logs_of(index, key, first, other) if key in BY_KEY else _capacity_logs(searches, key, first, other)
        for other, key in asked
    ]
    verdicts = judge(
        [list(each.values()) for each in logs],
        higher_is_better=[key not in BY_KEY for _, key in asked],
        resolution=[1.0 if key in BY_KEY else _resolution(searches, key) for _, key in asked],
        spending=spending_of(index),
        absolute=[absolutes_of(index, key, first, other) for other, key in asked],
    )
    return [
        Comparison(
            key,
            _title(key),
            first,
            other,
            verdict.ratio,
            verdict,
            _ratios(each),
            _to_decide(suite, key, verdict, each),
            key in BY_KEY and index.is_together(key, first, other),
        )
        for (other, key), verdict, each in zip(asked, verdicts, logs, strict=True)
    ]


def _to_decide(suite: Suite, key: str, verdict: Verdict, logs: dict[int, float]) -> Forecast | None:
    if verdict.kind != "inconclusive" or verdict.ratio is None or key not in BY_KEY:
        return None
    if key == MEMORY and suite.memory_blocks:  # more blocks would not weigh it more often
        return None
    found = what_would_decide(list(logs.values()), 1 - verdict.ratio.confidence)
    if found is None or found.more_blocks is None:
        return found
    return msgspec.structs.replace(found, more_s=found.more_blocks * block_estimate_s(suite))


def _floor(index: RunIndex) -> list[Comparison]:
    suite = index.suite
    if suite.again is None:
        return []
    keys = [key for key in suite.verdicts if key in BY_KEY] or _comparable()
    logs = [logs_with_itself(index, key, suite.again) for key in keys]
    verdicts = judge([list(each.values()) for each in logs], alpha=GUARD_ALPHA)
    return [
        Comparison(
            key,
            _title(key),
            suite.again,
            suite.again,
            paired_ratio(list(each.values())),
            verdict,
            _ratios(each),
            is_together=index.is_together(key, suite.again, suite.again),
        )
        for key, each, verdict in zip(keys, logs, verdicts, strict=True)
    ]


def _others(index: RunIndex) -> list[Comparison]:
    suite = index.suite
    first = suite.compare[0] if suite.compare else suite.arms[0]
    found = []
    for other, key in product([arm for arm in suite.arms if arm != first], _comparable()):
        logs = logs_of(index, key, first, other)
        ratio = paired_ratio(list(logs.values()))
        is_together = index.is_together(key, first, other)
        found.append(Comparison(key, _title(key), first, other, ratio, by_block=_ratios(logs), is_together=is_together))
    return found


def _why_suppressed(index: RunIndex, primary: list[Comparison], floor: list[Comparison]) -> str | None:
    suite = index.suite
    if not suite.verdicts:
        return f"The suite {suite.name} names no comparison to draw a verdict on: a difference may be noise."
    if next_run(index, {BLOCKS, *suite.verdicts}) is not None:
        return (
            "Runs that verdicts rest on are not made yet. How many there are is fixed before the start: whoever looks "
            "before, and stops when the verdict pleases, finds what noise makes."
        )
    if all(each.verdict is None or each.verdict.adjusted_p_value is None for each in primary):
        which = " and ".join(suite.compare) if len(suite.compare) == 2 else f"{suite.compare[0]} and any other"
        return f"In fewer than {LEAST_BLOCKS} blocks the figures of both {which} can be trusted."
    return _why_not_by_floor(suite, floor)


def _why_not_of(index: RunIndex, other: str, work: Work) -> str | None:
    """Return why no verdict is drawn of an arm to the first; None if there are some."""
    return why_not_by_shares(index, other) or _why_not_by_work([index.suite.compare[0], other], work)


def _ended_early(index: RunIndex, primary: list[Comparison]) -> str:
    if not has_ended_early(index) or next_run(index, {BLOCKS}) is not None:  # one of them is to be made again
        return ""
    made, level = suite_to_make(index).repeats, spending_of(index)(ALPHA)
    sure = sorted(100 * each.ratio.confidence for each in primary if each.ratio is not None)
    return (
        f"It ended after {made} of {index.suite.repeats} blocks, as these decide every verdict at a level that allows "
        f"for having looked: {100 * level:.2g} % for all of them together, not {100 * ALPHA:.0f} %; the confidence of "
        f"their intervals is {sure[0]:.2f} to {sure[-1]:.2f} %."
    )


def _why_not_by_floor(suite: Suite, floor: list[Comparison]) -> str | None:
    if called := [each for each in floor if each.winner is not None]:
        found = "; ".join(f"{each.title} {each.verdict.words}" for each in called if each.verdict is not None)
        return (
            f"{suite.again} differs from itself ({found}): here and now the instrument finds differences where there "
            "are none, so no verdict is drawn."
        )
    drawn_on = [each for each in floor if each.figure in suite.verdicts]
    unknown = [each.title for each in drawn_on if each.ratio is None or each.ratio.blocks < LEAST_BLOCKS]
    if unknown:
        return f"How far {suite.again} differs from itself is not known in {', '.join(unknown)}: no verdict is drawn."
    return None


def _why_not_by_work(arms: list[str], work: Work) -> str | None:
    if set(arms) & work.different.keys():
        return f"{work.words} No verdict is drawn."
    if unknown := [arm for arm in arms if arm in work.unknown]:
        return f"Whether {' and '.join(unknown)} did the same work is not known: no verdict is drawn."
    return None


def _ratios(logs: dict[int, float]) -> dict[int, float]:
    return {block: math.exp(log) for block, log in logs.items()}


def _capacity_logs(searches: list[SearchResult], name: str, first: str, other: str) -> dict[int, float]:
    """
    Return the logarithms of the ratios of capacities, by block; none at all if one capacity is only a lower bound.

    To leave out only its block would be biased: the better arm brings the generator to its limit more often.

    """
    own = [each for each in searches if each.search == name and each.arm in (first, other)]
    if any(each.capacity is None or each.capacity.limited_by != "arm" for each in own):
        return {}
    known = {
        (each.block, each.arm): float(each.capacity.connections)
        for each in own
        if each.capacity is not None and each.capacity.connections
    }
    blocks = range(1, 1 + max((block for block, _ in known), default=0))

    def of(arm: str) -> list[list[float]]:
        return [[known[block, arm]] if (block, arm) in known else [] for block in blocks]

    return logs_by_block(of(first), of(other))


def _resolution(searches: list[SearchResult], name: str) -> float:
    """Return how far a ratio of two capacities can be off: each lies between what held and what did not."""
    known = [each.capacity for each in searches if each.search == name and each.capacity is not None]
    return max(
        (each.failed_at / each.connections for each in known if each.failed_at and each.connections), default=1.0
    )


def _comparable() -> list[str]:
    return [figure.key for figure in FIGURES if figure.better]


def _title(key: str) -> str:
    return BY_KEY[key].title if key in BY_KEY else f"capacity ({key})"
