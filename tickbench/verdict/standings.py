"""
Say where each arm stands beside the first that is compared, by verdicts alone.

An arm is only ever set beside the first, so two that are both ahead of it are not put in an order.
"""

from typing import Literal

from msgspec import Struct

from tickbench.verdict.comparisons import Comparison, Comparisons

Place = Literal["ahead", "trade", "level", "open", "behind", "unknown"]


class Standing(Struct, frozen=True):
    """What the verdicts say of one arm beside the first."""

    arm: str
    better: list[Comparison]
    worse: list[Comparison]
    alike: list[Comparison]
    undecided: list[Comparison]
    withheld: str = ""
    """Why there are no verdicts on it."""

    @property
    def place(self) -> Place:
        """
        Where it stands.

        ``ahead``: better in something and worse in nothing; ``trade``: both; ``behind``: worse in something and better
        in nothing; ``level``: equivalent in everything; ``open``: the verdicts leave something open, and say neither;
        ``unknown``: there are none.

        """
        if self.better:
            return "trade" if self.worse else "ahead"
        if self.worse:
            return "behind"
        if self.alike and not self.undecided:
            return "level"
        return "open" if self.alike or self.undecided else "unknown"


def standings_of(comparisons: Comparisons) -> list[Standing]:
    """Return where each arm stands that has verdicts or was to have some, in the suite's order."""
    return [_standing(arm, comparisons) for arm in dict.fromkeys(each.other for each in comparisons.primary)]


def _standing(arm: str, comparisons: Comparisons) -> Standing:
    own = [each for each in comparisons.primary if each.other == arm]
    judged = [each for each in own if each.verdict is not None]
    known = [each for each in judged if each.verdict is not None and each.verdict.adjusted_p_value is not None]
    return Standing(
        arm,
        better=[each for each in judged if each.winner == arm],
        worse=[each for each in judged if each.winner not in (None, arm)],
        alike=[each for each in judged if each.verdict is not None and each.verdict.kind == "equivalent"],
        undecided=[each for each in judged if each.verdict is not None and each.verdict.kind == "inconclusive"]
        if known
        else [],
        withheld=next((each.withheld for each in own if each.withheld), "") or _why_unknown(known, comparisons),
    )


def _why_unknown(known: list[Comparison], comparisons: Comparisons) -> str:
    if known:
        return ""
    return comparisons.suppressed or "too few blocks have figures of it that can be trusted."
