"""
What to run next, in which order, and how long it takes: decided by the suite and by the runs that were made.

Nothing else is asked, so a comparison that was broken off goes on as if it had not been. Pure: knows nothing of
processes or clocks.
"""

import random
from collections.abc import Collection, Iterator, Sequence

import msgspec
from msgspec import Struct

from tickbench.arms import Arm
from tickbench.commands import ramp_s
from tickbench.results import Run
from tickbench.search import next_step, probes_of
from tickbench.suite import BLOCKS, Flags, Search, Side, Suite

OVERHEAD_S = 4.0
"""What a run takes beside ramp, warm-up and measuring: two interpreters start, both stop (seen: 3.2 to 5)."""
Slot = tuple[str, int, str, bool, int]


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
        """What it is a run of, whatever its number and attempt."""
        return self.part, self.block, self.arm.name, self.again, self.connections

    @property
    def slug(self) -> str:
        """Its part and its arm as a part of a file name."""
        return f"{self.part}-{self.arm.slug}{'-again' if self.again else ''}"


def next_run(suite: Suite, runs: Sequence[Run], parts: Collection[str] | None = None) -> PlannedRun | None:
    """
    Return the next run to make, None if all are made: blocks first, then sides, then searches.

    ``parts``: of these alone.

    """
    number = max((run.number for run in runs), default=0) + 1
    latest = {slot_of(run): run for run in sorted(runs, key=lambda run: run.number)}
    for planned in fixed_runs(suite):
        if parts is not None and planned.part not in parts:
            continue
        made = latest.get(planned.slot)
        if made is None:
            return msgspec.structs.replace(planned, number=number)
        if is_spoiled(made) and made.attempt < suite.max_attempts:
            return msgspec.structs.replace(planned, number=number, attempt=made.attempt + 1)
    for search, block, arm in searches_of(suite):
        if parts is not None and search.name not in parts:
            continue
        own = runs_of_search(runs, search, block, arm)
        step = next_step(search, probes_of(search, own), sum(run.took_s for run in own))
        if isinstance(step, int):
            return _probe(suite, search, block, arm, step, number)
    return None


def runs_of_search(runs: Sequence[Run], search: Search, block: int, arm: Arm) -> list[Run]:
    """Return the runs of one search of one arm."""
    return [run for run in runs if (run.part, run.block, run.arm) == (search.name, block, arm.name)]


def slot_of(run: Run) -> Slot:
    """Return what a run is a run of."""
    return run.part, run.block, run.arm, run.again, run.connections


def is_spoiled(run: Run) -> bool:
    """Whether the machine is to blame that the run cannot be trusted, whatever else there is against it."""
    return run.load is not None and bool(run.load.validity.machine)


def fixed_runs(suite: Suite) -> Iterator[PlannedRun]:
    """
    Yield the runs of blocks and sides, in their order, without numbers.

    Blocks are interleaved: A B C, C B A, and so on, so that a machine that drifts favours none. Every second one is
    drawn from the suite's seed, the one after it is its mirror.

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
    """How many seconds the runs that are left take, about: searches all that they may, and no run twice."""
    made = {slot_of(run) for run in runs}
    left_s = sum(run_estimate_s(planned) for planned in fixed_runs(suite) if planned.slot not in made)
    for search, block, arm in searches_of(suite):
        own = runs_of_search(runs, search, block, arm)
        spent_s = sum(run.took_s for run in own)
        if isinstance(next_step(search, probes_of(search, own), spent_s), int):
            left_s += max(search.budget_s - spent_s, OVERHEAD_S + search.warm_up_s + search.duration_s)
    return left_s


def run_estimate_s(planned: PlannedRun) -> float:
    """How many seconds one run takes, about."""
    return OVERHEAD_S + ramp_s(planned.connections, planned.load) + planned.warm_up_s + planned.duration_s


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


def searches_of(suite: Suite) -> Iterator[tuple[Search, int, Arm]]:
    """Yield each search to make with its block and arm, the arms in an order of the seed."""
    for search in suite.searches:
        rng = random.Random(f"{suite.seed}/{search.name}")  # noqa: S311 - an order, not a secret
        for block in range(1, search.repeats + 1):
            arms = suite.arms_of(search)
            rng.shuffle(arms)
            yield from ((search, block, arm) for arm in arms)


def _probe(suite: Suite, search: Search, block: int, arm: Arm, connections: int, number: int) -> PlannedRun:
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
