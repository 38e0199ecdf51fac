"""
Whether all arms did the same work: step by step, the same commands. Pure; knows nothing of how they were taken down.

With bots alone and no input a room's commands depend on its seed only. A due time that a server skips is no step, so
steps are counted and not due times.
"""

from collections.abc import Sequence

from msgspec import Struct

from shared.measure.summary import StepDigests
from tickbench.results import Run
from tickbench.suite import BLOCKS, Suite

NONE_CAME = "-"
MAX_SHIFT = 10
"""Steps by which two runs are shifted against each other at most."""
SCENARIOS = ("steady", "idle", "stall", "storm", "spike", "staircase", "churn")
"""In which nobody sends what the rules listen to."""


class Work(Struct, frozen=True):
    """What was found."""

    steps: int
    """As many were compared, over all pairs of runs."""
    different: dict[str, str]
    """By arm: in how many of its steps it told something else than the first arm, in words."""
    unknown: list[str]
    """Arms of which no run tells what its steps said."""

    @property
    def words(self) -> str:
        """The result in a sentence."""
        if not self.steps:
            return "Whether all arms did the same work was not compared."
        if not self.different:
            unknown = f" (not known of {', '.join(self.unknown)})" if self.unknown else ""
            return f"All arms sent the same commands, step by step, in {self.steps:,} compared steps{unknown}."
        found = "; ".join(f"{arm}: {words}" for arm, words in self.different.items())
        return f"The arms did not do the same work: {found}."


def compare_work(suite: Suite, runs: Sequence[Run]) -> Work:
    """Compare the steps of all runs in the blocks with those of the first one that has some."""
    own = [run for run in runs if run.part == BLOCKS and run.load is not None]
    told = [(run.arm, steps_of(run.load.steps)) for run in own if run.load is not None and run.load.steps is not None]
    known = {arm for arm, _ in told}
    unknown = [arm for arm in suite.arms if arm not in known]
    if suite.scenario not in SCENARIOS or len(told) < 2:
        return Work(0, {}, unknown)
    (reference_arm, reference), *others = told
    counts = {arm: [0, 0] for arm in dict.fromkeys(arm for arm, _ in others)}
    for arm, steps in others:
        compared, wrong = differing(reference, steps)
        counts[arm][0] += compared
        counts[arm][1] += wrong
    for run in own:
        if run.load is not None and run.load.steps is not None and run.load.steps.conflicting:
            counts.setdefault(run.arm, [0, 0])[1] += run.load.steps.conflicting
    different = {
        arm: f"{wrong:,} of {compared:,} steps say something else than those of {reference_arm}"
        for arm, (compared, wrong) in counts.items()
        if wrong
    }
    return Work(sum(compared for compared, _ in counts.values()), different, unknown)


def steps_of(digests: StepDigests) -> list[str]:
    """Return the digests of the steps, one after the other: what was skipped was none."""
    return [word for word in digests.crc32.split(" ") if word != NONE_CAME]


def differing(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """
    Return how many steps both have, and in how many of them they differ.

    Whoever is first in a room may miss its first steps, and the first due times may be skipped, so that n does not tell
    which step it was: they are laid beside each other where they agree best.

    """
    best = (0, 0)
    for shift in range(-MAX_SHIFT, MAX_SHIFT + 1):
        pairs = list(zip(one[max(0, -shift) :], other[max(0, shift) :], strict=False))
        alike = sum(mine == its for mine, its in pairs)
        if alike > best[0] - best[1] or not best[0]:
            best = len(pairs), len(pairs) - alike
    return best
