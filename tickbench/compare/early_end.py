"""
Decide whether a suite ends after half of its blocks: where those decide every verdict.

Whoever looks, and stops when the verdict pleases, finds what noise makes. So there is one look, at a place that is
fixed before the start, and it is so much stricter (:mod:`tickbench.statistics.looks`). What it says follows from the
suite and the runs of those blocks alone, and a suite that went on is not looked at again.
"""

from itertools import product

import msgspec

from tickbench.compare.block_ratios import absolutes_of, logs_of, logs_with_itself
from tickbench.compare.excluded import why_not_by_shares
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import BLOCKS, Suite
from tickbench.statistics.looks import Spending, all_at_once, at_end, at_look
from tickbench.statistics.verdicts import GUARD_ALPHA, LEAST_BLOCKS, judge


def suite_to_make(index: RunIndex) -> Suite:
    """Return the suite with as many blocks as are to be made: the half of them where that decided every verdict."""
    suite = index.suite
    return msgspec.structs.replace(suite, repeats=suite.blocks_before_look) if has_ended_early(index) else suite


def spending_of(index: RunIndex) -> Spending:
    """Return what of a level the verdicts are held to that are drawn on these runs."""
    suite = index.suite
    if not suite.may_end_early:
        return all_at_once
    share = suite.blocks_before_look / suite.repeats
    return at_look(share) if has_ended_early(index) else at_end(share)


def has_ended_early(index: RunIndex) -> bool:
    """Whether the blocks before the look are made, none behind it, and every verdict is decided by them."""
    suite, own = index.suite, index.counted(BLOCKS)
    if not suite.may_end_early or any(run.block > suite.blocks_before_look for run in own):
        return False
    is_made = len(own) == suite.blocks_before_look * suite.runs_per_block
    return is_made and _decides_all(index)


def _decides_all(index: RunIndex) -> bool:
    """Whether the runs so far decide every verdict, and the arm that runs twice does not differ from itself."""
    suite = index.suite
    assert suite.again is not None  # noqa: S101 - a suite with verdicts names it
    first, *others = suite.compare
    asked = list(product(others, suite.verdicts))
    drawn_on = [list(logs_of(index, figure, first, other).values()) for other, figure in asked]
    itself = [list(logs_with_itself(index, figure, suite.again).values()) for figure in suite.verdicts]
    is_known = all(len(logs) >= LEAST_BLOCKS for logs in itself)
    is_silent = all(guard.winner is None for guard in judge(itself, alpha=GUARD_ALPHA))
    is_unequal = any(why_not_by_shares(index, other) for other in others)
    if not is_known or not is_silent or is_unequal:
        return False
    absolute = [absolutes_of(index, figure, first, other) for other, figure in asked]
    verdicts = judge(drawn_on, spending=at_look(suite.blocks_before_look / suite.repeats), absolute=absolute)
    return all(verdict.kind != "inconclusive" for verdict in verdicts)
