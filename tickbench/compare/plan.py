"""
Decide what to run next, in which order, and how long the rest takes, from the suite and the runs that were made.

Nothing else counts, so a comparison that was interrupted goes on as if it had not been.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from math import ceil

import msgspec
from msgspec import Struct

from tickbench.arms import Arm
from tickbench.children.commands import memory_s, ramp_s
from tickbench.compare.patience import is_spoiled, waived
from tickbench.compare.results import Run
from tickbench.compare.search import next_step, probes_of
from tickbench.compare.suite import BLOCKS, CapacitySearch, Flags, Side, Suite

OVERHEAD_S = 4.0
"""What a run takes besides ramp, warm-up and measuring: two interpreters start, both stop (seen: 3.2 to 5)."""
LEAST_REPEATS = 3
REPEATS_SHARE = 0.5
"""How many runs may be made in place of spoiled ones, as a share of the runs of blocks and sides."""
Slot = tuple[str, int, str, bool, int]
"""Part, block, arm, again, connections."""


class PlannedRun(Struct, frozen=True):
    """One run to make: ``number`` counts from 1, ``block`` is the round in which every arm runs once."""

    number: int
    part: str
    """``blocks``, or the name of a side or a search."""
    block: int
    arm: Arm
    again: bool
    """It is the second run of this arm in its block."""
    scenario: str
    connections: int
    duration_s: float
    warm_up_s: float
    load: Flags
    server: Flags
    attempt: int = 1

    @property
    def slot(self) -> Slot:
        """What identifies it, whatever its number and attempt."""
        return self.part, self.block, self.arm.name, self.again, self.connections

    @property
    def slug(self) -> str:
        """Its part and its arm as a part of a file name."""
        return f"{self.part}-{self.arm.slug}{'-again' if self.again else ''}"


def next_run(suite: Suite, runs: Sequence[Run], parts: Collection[str] | None = None) -> PlannedRun | None:
    """
    Return the next run to make, None if all are made: blocks first, then sides, then searches.

    With ``parts``, only runs of these are considered.

    """
    number = max((run.number for run in runs), default=0) + 1
    latest = {slot_of(run): run for run in sorted(runs, key=lambda run: run.number)}
    tries, fixed = _tries(suite, runs), list(fixed_runs(suite))
    repeats_left = most_repeats(suite) - sum(max(0, tries[planned.slot] - 1) for planned in fixed)
    for planned in fixed:
        if parts is not None and planned.part not in parts:
            continue
        made = latest.get(planned.slot)
        if made is None:
            return msgspec.structs.replace(planned, number=number)
        tried = tries[planned.slot]
        may_repeat = tried < suite.max_attempts and (repeats_left > 0 or not tried)
        if is_spoiled(made) and may_repeat:
            return msgspec.structs.replace(planned, number=number, attempt=made.attempt + 1)
    for search, block, arm in searches_of(suite):
        if parts is not None and search.name not in parts:
            continue
        own = runs_of_search(suite, runs, search, block, arm)
        step = next_step(search, probes_of(search, own), sum(run.took_s for run in own))
        if isinstance(step, int):
            return _probe(suite, search, block, arm, step, number)
    return None


def most_repeats(suite: Suite) -> int:
    """Return how many runs may be made again in all since the machine spoiled them."""
    return max(LEAST_REPEATS, ceil(REPEATS_SHARE * len(list(fixed_runs(suite)))))


def _tries(suite: Suite, runs: Sequence[Run]) -> Counter[Slot]:
    """Return how often each run was tried, not counting the tries that led to a stop (:func:`waived`)."""
    left_out = waived(suite, runs)
    return Counter(slot_of(run) for run in runs if run.number not in left_out)


def runs_of_search(suite: Suite, runs: Sequence[Run], search: CapacitySearch, block: int, arm: Arm) -> list[Run]:
    """Return the runs of one search of one arm, without those that led to a stop (:func:`waived`)."""
    left_out = waived(suite, runs)
    own = [run for run in runs if (run.part, run.block, run.arm) == (search.name, block, arm.name)]
    return [run for run in own if run.number not in left_out]


def slot_of(run: Run) -> Slot:
    """Return the slot of the planned run that ``run`` made."""
    return run.part, run.block, run.arm, run.again, run.connections


def fixed_runs(suite: Suite) -> Iterator[PlannedRun]:
    """
    Yield the runs of blocks and sides, in their order, without numbers.

    Blocks are interleaved: A B C, C B A, and so on, so that a machine that drifts favours no arm. The order of odd
    blocks is drawn from the suite's seed; each even block mirrors the one before.

    """
    rng = random.Random(suite.seed)  # noqa: S311 - an order, not a secret
    order = [(arm, False) for arm in suite.parsed_arms()]
    order += [(arm, True) for arm, _ in order if arm.name == suite.again]
    for block in range(1, suite.repeats + 1):
        order = _next_order(order, block, rng)
        for arm, again in order:
            yield _fixed(suite, suite, BLOCKS, block, arm, suite.connections, again=again)
    for side in suite.sides:
        arms = suite.arms_of(side)
        for block in range(1, side.repeats + 1):
            for connections in side.loads:
                rng.shuffle(arms)
                for arm in arms:
                    yield _fixed(suite, side, side.name, block, arm, connections)


def estimate_s(suite: Suite, runs: Sequence[Run] = ()) -> float:
    """Estimate how many seconds the remaining runs take, if searches use their budgets and no run is repeated."""
    made = _tries(suite, runs)
    left_s = sum(run_estimate_s(planned) for planned in fixed_runs(suite) if not made[planned.slot])
    return left_s + _searches_estimate_s(suite, runs)


def time_left_s(suite: Suite, runs: Sequence[Run]) -> float:
    """Estimate the same by the pace so far, with repeated runs and the waits before runs."""
    plans = {planned.slot: run_estimate_s(planned) for planned in fixed_runs(suite)}
    own = [run for run in runs if slot_of(run) in plans]
    expected_s = sum(plans[slot] for slot in {slot_of(run) for run in own})
    spent_s = sum(run.took_s + (run.quiet.waited_s if run.quiet is not None else 0) for run in own)
    pace = spent_s / expected_s if expected_s else 1.0
    made = _tries(suite, runs)
    following = next_run(suite, runs)
    left_s = sum(estimate_s for slot, estimate_s in plans.items() if not made[slot])
    if following is not None and made[following.slot] and following.slot in plans:
        left_s += plans[following.slot]  # the next run repeats it
    return left_s * pace + _searches_estimate_s(suite, runs)


def place_of(suite: Suite, planned: PlannedRun) -> tuple[int, int] | None:
    """Return the run's place and their number, among the runs fixed before the start; None for one of a search."""
    slots = [each.slot for each in fixed_runs(suite)]
    return (slots.index(planned.slot) + 1, len(slots)) if planned.slot in slots else None


def _searches_estimate_s(suite: Suite, runs: Sequence[Run]) -> float:
    left_s = 0.0
    for search, block, arm in searches_of(suite):
        own = runs_of_search(suite, runs, search, block, arm)
        spent_s = sum(run.took_s for run in own)
        if isinstance(next_step(search, probes_of(search, own), spent_s), int):
            left_s += max(search.budget_s - spent_s, OVERHEAD_S + search.warm_up_s + search.duration_s)
    return left_s


def run_estimate_s(planned: PlannedRun) -> float:
    """Estimate how many seconds one run takes."""
    beside_s = OVERHEAD_S + ramp_s(planned.connections, planned.load) + memory_s(planned.load)
    return beside_s + planned.warm_up_s + planned.duration_s


def _next_order(order: list[tuple[Arm, bool]], block: int, rng: random.Random) -> list[tuple[Arm, bool]]:
    if block % 2 == 0:
        return order[::-1]
    drawn = order[:]
    rng.shuffle(drawn)
    return drawn


def _fixed(
    suite: Suite, source: Suite | Side, part: str, block: int, arm: Arm, connections: int, *, again: bool = False
) -> PlannedRun:
    return PlannedRun(
        number=0,
        part=part,
        block=block,
        arm=arm,
        again=again,
        scenario=source.scenario,
        connections=connections,
        duration_s=source.duration_s,
        warm_up_s=source.warm_up_s,
        load=source.load,
        server=suite.server | source.server,
    )


def searches_of(suite: Suite) -> Iterator[tuple[CapacitySearch, int, Arm]]:
    """Yield each search to make with its block and arm, the arms in an order drawn from the seed."""
    for search in suite.searches:
        rng = random.Random(f"{suite.seed}/{search.name}")  # noqa: S311 - an order, not a secret
        for block in range(1, search.repeats + 1):
            arms = suite.arms_of(search)
            rng.shuffle(arms)
            yield from ((search, block, arm) for arm in arms)


def _probe(suite: Suite, search: CapacitySearch, block: int, arm: Arm, connections: int, number: int) -> PlannedRun:
    return PlannedRun(
        number=number,
        part=search.name,
        block=block,
        arm=arm,
        again=False,
        scenario=search.scenario,
        connections=connections,
        duration_s=search.duration_s,
        warm_up_s=search.warm_up_s,
        load=search.load,
        server=suite.server | search.server,
    )
