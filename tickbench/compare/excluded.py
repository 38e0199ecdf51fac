"""
How many of its slots the machine spoiled for each arm, and whether two arms lost more unequal shares than chance has.

Steal comes to a core that wants to run, so a hungrier arm is stolen from more often; of that one the calmer moments
would be compared with all moments of the other.
"""

from collections import Counter
from itertools import product

from msgspec import Struct

from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import BLOCKS, TOGETHER
from tickbench.statistics.verdicts import LEAST_BLOCKS, paired_ratio

SHARES_ALPHA = 0.05
"""How often shares may be found to differ where they do not: at most so often a suite on a noisy machine is in vain."""


class ExcludedShare(Struct, frozen=True):
    """How many slots of an arm were left out, over all blocks."""

    arm: str
    made: int
    kept: int
    slot_s: float
    thrown_s: float
    """Of each slot, after the arm was woken: the mean."""
    left_out: dict[str, int]
    """How many were spoiled by what; one may be by several."""
    part: str = BLOCKS
    """``together``: of its slots at the same time with others."""

    @property
    def percent(self) -> float:
        """The excluded share."""
        return 100 * (1 - self.kept / self.made)

    @property
    def words(self) -> str:
        """The excluded share in words."""
        return f"{self.percent:.1f} % of {self.made:,} slots"


def excluded_shares(index: RunIndex) -> list[ExcludedShare]:
    """
    Return the excluded share of each arm that was measured in slots, over all its runs in the blocks.

    Those of a block that was made again, too: what counts of an arm was chosen among all of them.

    """
    found = []
    for part, arm in product((BLOCKS, TOGETHER), index.suite.arms):
        runs = _runs(index, arm, part)
        slots = [run.load.slots for run in runs if run.load is not None and run.load.slots is not None]
        if made := sum(each.made for each in slots):
            left_out = sum((Counter(each.left_out) for each in slots), Counter[str]())
            found.append(
                ExcludedShare(
                    arm,
                    made,
                    kept=sum(each.kept for each in slots),
                    slot_s=slots[0].slot_s,
                    thrown_s=round(sum(each.made * each.thrown_s for each in slots) / made, 3),
                    left_out=dict(left_out.most_common()),
                    part=part,
                )
            )
    return found


def why_not_by_shares(index: RunIndex, other: str | None = None) -> str | None:
    """
    Say that an arm (the second of those that are compared) and the first lost unequal shares of their slots.

    None if that may be chance. Of the slots that their verdict rests on: those of arms that run together are left out
    for all of them or for none.

    By the paired t test on the differences of the shares in a block (Student, as for the ratios): spoiled slots come in
    clusters, which a test that counts slots would take for evidence. Of several pairs each is held to its part of the
    level.

    """
    if not index.suite.compare:
        return None
    first, second, *more = index.suite.compare
    other = other or second
    group = index.group_of("tick_lateness_ms.p50", first, other)
    part = BLOCKS if group is None else TOGETHER
    ours, theirs = (_shares_by_block(index, arm, part, group or 0) for arm in (first, other))
    found = paired_ratio([theirs[block] - ours[block] for block in ours.keys() & theirs.keys()])
    alpha = SHARES_ALPHA / (1 + len(more))
    if found is None or found.p_value is None or found.blocks < LEAST_BLOCKS or found.p_value > alpha:
        return None
    words = " and ".join(
        f"{each.words} of {each.arm}"
        for each in excluded_shares(index)
        if each.arm in (first, other) and each.part == part
    )
    return (
        f"The machine spoiled {words}, which is more than chance ({100 * (1 - SHARES_ALPHA):.0f} %): what is left are "
        "calmer moments of one than of the other, so no verdict is drawn."
    )


def _runs(index: RunIndex, arm: str, part: str) -> list[Run]:
    return [run for run in index.runs if run.part == part and run.arm == arm]


def _shares_by_block(index: RunIndex, arm: str, part: str, group: int) -> dict[int, float]:
    """Return the excluded share of each block, over both runs of an arm that runs twice and all attempts."""
    made, kept = Counter[int](), Counter[int]()
    for run in _runs(index, arm, part):
        if run.group == group and run.load is not None and run.load.slots is not None:
            made[run.block] += run.load.slots.made
            kept[run.block] += run.load.slots.kept
    return {block: 1 - kept[block] / slots for block, slots in made.items() if slots}
