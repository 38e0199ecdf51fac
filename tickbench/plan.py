"""In what order the runs of a suite are made, and how long they take. Pure: knows nothing of processes or clocks."""

import random

from msgspec import Struct

from tickbench.arms import Arm
from tickbench.suite import Suite

OVERHEAD_S = 3.0
"""What a run takes beside warm-up and measuring: two interpreters start, users connect, both stop (seen: 2.4 to 6)."""


class PlannedRun(Struct, frozen=True):
    """One run to make: ``number`` counts from 1, ``block`` is the round in which every arm runs once."""

    number: int
    block: int
    arm: Arm


def make_plan(suite: Suite) -> list[PlannedRun]:
    """
    Interleave the arms: A B C, C B A, and so on, so that a machine that drifts favours none.

    Every second block is drawn from the suite's seed, the one after it is its mirror.

    """
    rng = random.Random(suite.seed)  # noqa: S311 - an order, not a secret
    order = suite.parsed_arms()
    plan: list[PlannedRun] = []
    for block in range(suite.repeats):
        if block % 2:
            order = order[::-1]
        else:
            rng.shuffle(order)
        plan += [PlannedRun(len(plan) + index, block + 1, arm) for index, arm in enumerate(order, start=1)]
    return plan


def estimate_s(suite: Suite, runs: int, overhead_s: float = OVERHEAD_S) -> float:
    """How many seconds ``runs`` runs of the suite take."""
    return runs * (suite.warm_up_s + suite.duration_s + overhead_s)
