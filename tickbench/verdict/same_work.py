"""
Check that all arms did the same work: that their servers sent the same commands, step by step.

With bots alone and no input a room's commands depend on its seed only. A due time that a server skips is no step, so
steps are counted and not due times; where ticks came to nobody, a due time may have been either. Without bots a step
says nothing but the padding that was asked for, which servers with rules of their own can do, too: then it is said that
this is all that was compared.
"""

from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct

from shared.measure.summary import LoadSummary, StepDigests
from tickbench.arms import BACKENDS, parse_arm
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import Suite

NONE_CAME = "-"
MAX_SHIFT = 10
"""Steps by which two runs are shifted against each other at most."""
SCENARIOS = ("steady", "idle", "stall", "storm", "spike", "staircase", "churn", "deploy", "failover")
"""Scenarios in which no client sends anything that the rules react to."""


class Work(Struct, frozen=True):
    """Whether the servers of all arms sent the same commands, step by step."""

    steps: int
    """How many were compared, over all pairs of runs."""
    different: dict[str, str]
    """By arm: in how many of its steps it sent something else than the first arm, in words."""
    unknown: list[str]
    """Arms of which no step could be compared; empty in a scenario in which steps need not be alike."""
    load: str = ""
    """What there was to be the same, or why nothing had to be, as the end of a sentence; empty where bots played."""
    advice: str = ""
    """What to do about an arm that sent something else, in a sentence."""

    @property
    def words(self) -> str:
        """The result in a sentence."""
        if not self.steps:
            return f"Whether all arms did the same work was not compared{self.load}."
        if not self.different:
            unknown = f" (not known of {', '.join(self.unknown)})" if self.unknown else ""
            return (
                f"All arms sent the same commands, step by step, in {self.steps:,} compared steps{unknown}{self.load}."
            )
        found = "; ".join(f"{arm}: {words}" for arm, words in self.different.items())
        return f"The arms did not do the same work: {found}.{self.advice}"


def compare_work(index: RunIndex) -> Work:
    """Compare the steps of all runs in the blocks with those of a run of the first arm that is compared."""
    suite = index.suite
    first = suite.compare[0] if suite.compare else suite.arms[0]
    if suite.scenario not in SCENARIOS:
        return Work(0, {}, [], "; those who came played, each by chance")
    told = [(arm, load) for arm in suite.arms for load in _loads(index, arm)]
    own = [load for arm, load in told if arm == first]
    reference = next((load for load in own if not has_lost_ticks(load)), own[0] if own else None)
    if reference is None:
        return Work(0, {}, list(suite.arms))
    counts: dict[str, tuple[int, int]] = {}
    for arm, load in told:
        compared, wrong = (0, 0)
        if load is not reference:
            compared, wrong = differing(steps_of(reference.steps), steps_of(load.steps, gaps=has_lost_ticks(load)))
        before = counts.get(arm, (0, 0))
        counts[arm] = before[0] + compared, before[1] + wrong + load.steps.conflicting
    different = {
        arm: f"{wrong:,} of {compared:,} steps say something else than those of {first}"
        for arm, (compared, wrong) in counts.items()
        if wrong
    }
    unknown = [arm for arm in suite.arms if arm != first and not counts.get(arm, (0, 0))[0]]
    compared_steps = sum(compared for compared, _ in counts.values())
    return Work(compared_steps, different, unknown, _load_words(suite), _advice(suite, different))


def _loads(index: RunIndex, arm: str) -> list[Any]:
    """Return the loads of an arm's runs in the blocks whose steps are known."""
    own = [*index.block_runs(arm), *index.block_runs(arm, again=True)]
    return [run.load for run in own if run.load is not None and run.load.steps is not None]


def has_lost_ticks(load: LoadSummary) -> bool:
    """Whether ticks did not come: at a due time without a frame to anybody there may have been a step all the same."""
    return load.ticks_came is None or load.ticks_came < 1


def _load_words(suite: Suite) -> str:
    if suite.server.get("bots"):
        return ""
    pad_bytes = int(suite.server.get("pad", 0))
    padding = f", {pad_bytes:,} bytes of padding" if pad_bytes else ""
    return f"; nobody played and there were no bots: a frame was its tick{padding} and nothing else"


def _advice(suite: Suite, different: Collection[str]) -> str:
    are_ours = all(parse_arm(arm, suite.commands).backend in BACKENDS for arm in different)
    if are_ours or not suite.server.get("bots"):
        return ""
    return " A server that cannot replay the bots is compared without them, with bots = 0 and a pad."


def steps_of(digests: StepDigests, *, gaps: bool = False) -> list[str]:
    """Return the digests of the steps in order, without the due times that were skipped, or with a gap for each."""
    return [word for word in digests.crc32.split(" ") if gaps or word != NONE_CAME]


def differing(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """
    Return how many steps both have, and in how many of them they differ; ``other`` may have gaps.

    The first client of a room may miss its first steps, and the first due times may be skipped, so n does not tell
    which step it was: the two are aligned where they agree best.

    """
    first = next((place for place, word in enumerate(other) if word != NONE_CAME), 0)
    best = (0, 0)
    for shift in range(-MAX_SHIFT, MAX_SHIFT + 1):
        compared, alike = _alike(one[max(0, -shift) :], other[first + max(0, shift) :])
        if alike > best[0] - best[1] or not best[0]:
            best = compared, compared - alike
    return best


def _alike(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """Return how many steps of both are beside each other, and how many alike; in a gap of ``other`` may be one."""
    place = compared = alike = gaps = 0
    for word in other:
        if word == NONE_CAME:
            gaps += 1
            continue
        # As few steps as will do are taken to be in the gaps since the last one that was alike.
        within = range(place, min(place + gaps + 1, len(one)))
        place = next((step for step in within if one[step] == word), place)
        if place >= len(one):
            break
        compared += 1
        if one[place] == word:
            alike += 1
            gaps = 0
        place += 1
    return compared, alike
