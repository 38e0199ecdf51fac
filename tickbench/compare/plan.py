"""
Decide what to run next, in which order, and how long the rest takes, from the suite and the runs that were made.

Nothing else counts, so a comparison that was interrupted goes on as if it had not been.
"""

import random
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from math import ceil

import msgspec
from msgspec import Struct

from shared.measure.load_time import DEFAULT_SPAWN_RATE, load_time_s
from tickbench.arms import Arm
from tickbench.compare.at_once import phases
from tickbench.compare.early_end import suite_to_make
from tickbench.compare.runs import Run, RunIndex, RunKey, run_key
from tickbench.compare.search import Capacity, next_step, steps_of
from tickbench.compare.suite import BLOCKS, TOGETHER, CapacitySearch, Flags, Part, Suite

OVERHEAD_S = 4.0
"""What a run takes besides ramp, warm-up and measuring: two interpreters start, both stop (seen: 3.2 to 5)."""
BLOCK_OVERHEAD_S = 2.0
"""The same of a run in a block in slots, in which all interpreters start at once (seen: 1.4, and 1 for the end)."""
SLOT_OVERHEAD_S = 0.95
"""What a slot takes besides what is measured: its first 17 ticks are thrown away, and the last frames waited for."""
LEAST_REPEATS = 3
REPEATS_SHARE = 0.5
"""How many runs may be made in place of spoiled ones, as a share of the runs of blocks and sides."""


class PlannedRun(Struct, frozen=True):
    """One run to make: ``number`` counts from 1, ``block`` is the round in which every arm runs once."""

    number: int
    part: str
    """``blocks``, ``together``, or the name of a side or a search."""
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
    slot_s: float = 0.0
    """Of a run whose window is cut into slots; 0: a whole run."""
    beside: int = 0
    """How many other runs of its part and block are made at the same time."""
    group: int = 0
    """Of runs that are made at the same time: in which group of them it is."""
    attempt: int = 1

    @property
    def slots(self) -> int:
        """How many slots it is to have; 0: a whole run."""
        return round(self.duration_s / self.slot_s) if self.slot_s else 0

    @property
    def key(self) -> RunKey:
        """What identifies it, whatever its number and attempt."""
        return run_key(self.part, self.group, self.block, self.arm.name, self.again, self.connections)

    @property
    def slug(self) -> str:
        """Its part and its arm as a part of a file name."""
        return f"{self.part}-{self.arm.slug}{'-again' if self.again else ''}"


class SearchState(Struct, frozen=True):
    """How far one search of one arm is."""

    search: CapacitySearch
    block: int
    arm: Arm
    runs: list[Run]
    spent_s: float
    step: int | Capacity
    """The connections to try next, or what it found if it is over."""


def next_run(index: RunIndex, parts: Collection[str] | None = None) -> PlannedRun | None:
    """Return the first of the :func:`next_runs`; None if all are made."""
    return next(iter(next_runs(index, parts)), None)


def next_runs(index: RunIndex, parts: Collection[str] | None = None) -> list[PlannedRun]:
    """
    Return what to make next, none if all is made: blocks first, then sides, then searches.

    That is one run, but all runs of a block in slots: it is made again as a whole if the machine spoiled one of them,
    and if not all of them were written.

    With ``parts``, only runs of these are considered.

    """
    suite, fixed = index.suite, list(fixed_runs(suite_to_make(index)))
    number = index.runs[-1].number + 1 if index.runs else 1
    repeats_left = most_repeats(suite) - sum(max(0, index.tries(planned.key) - 1) for planned in fixed)
    for together in _made_together(fixed):
        if parts is not None and together[0].part not in parts:
            continue
        last = [index.last(planned.key) for planned in together]
        made = [run for run in last if run is not None]
        attempt = max((run.attempt for run in made), default=0)
        is_whole = [run.attempt for run in made] == [attempt] * len(together)
        tried = max(index.tries(planned.key) for planned in together)
        may_repeat = tried < suite.max_attempts and (repeats_left >= len(together) or not tried)
        if not is_whole or (any(run.is_spoiled for run in made) and may_repeat):
            return [
                msgspec.structs.replace(planned, number=number + place, attempt=attempt + 1)
                for place, planned in enumerate(together)
            ]
    if (state := _next_search(index, parts)) is None or not isinstance(state.step, int):
        return []
    planned = _planned(suite, state.search, state.search.name, state.block, state.arm, state.step)
    return [msgspec.structs.replace(planned, number=number)]


def _made_together(fixed: Sequence[PlannedRun]) -> Iterator[list[PlannedRun]]:
    """Yield each run, but the runs of a block in slots together."""
    for _, runs in groupby(enumerate(fixed), lambda pair: pair[1].block if pair[1].slot_s else -pair[0]):
        yield [planned for _, planned in runs]


def most_repeats(suite: Suite) -> int:
    """Return how many runs may be made again in all since the machine spoiled them."""
    return max(LEAST_REPEATS, ceil(REPEATS_SHARE * len(list(fixed_runs(suite)))))


def fixed_runs(suite: Suite) -> Iterator[PlannedRun]:
    """
    Yield the runs of blocks and sides, in their order, without numbers.

    Blocks are interleaved: A B C, C B A, and so on, so that a machine that drifts favours no arm. The order of odd
    blocks is drawn from the suite's seed; each even block mirrors the one before. In slots it is only that in which the
    arms of a block are started and written.

    """
    rng = random.Random(suite.seed)  # noqa: S311 - an order, not a secret
    order = [(arm, False) for arm in suite.parsed_arms()]
    order += [(arm, True) for arm, _ in order if arm.name == suite.again]
    for block in range(1, suite.repeats + 1):
        order = _next_order(order, block, rng)
        source = suite if block <= (suite.memory_blocks or suite.repeats) else _without_memory(suite)
        yield from _block_runs(suite, source, block, order)
    for side in suite.sides:
        arms = suite.arms_of(side)
        for block in range(1, side.repeats + 1):
            for connections in side.loads:
                rng.shuffle(arms)
                for arm in arms:
                    yield _planned(suite, side, side.name, block, arm, connections)


def _block_runs(suite: Suite, source: Suite, block: int, order: Sequence[tuple[Arm, bool]]) -> Iterator[PlannedRun]:
    """Yield the runs of a block: of each arm alone, then those that are made at the same time on the same servers."""
    groups = suite.groups
    placed = phases(groups, suite.again, block, suite.seed) if groups else []
    flags: dict[tuple[str, bool], Flags] = {run: {"phase": phase} for each in placed for run, phase in each.items()}
    for arm, again in order:
        phase = flags.get((arm.name, again), {})
        planned = _planned(suite, source, BLOCKS, block, arm, suite.connections, again=again, server=phase)
        # Who ran together is warm by then.
        yield msgspec.structs.replace(planned, warm_up_s=0.0) if phase else planned
    for number, own in enumerate(placed):
        for arm, again in order:
            if (arm.name, again) not in own:
                continue
            planned = _planned(
                suite,
                _without_memory(suite),
                TOGETHER,
                block,
                arm,
                suite.connections,
                again=again,
                server=flags[arm.name, again],
            )
            yield msgspec.structs.replace(planned, duration_s=suite.together_s, beside=len(own) - 1, group=number)


def estimate_s(index: RunIndex) -> float:
    """Estimate how many seconds the remaining runs take, if searches use their budgets and no run is repeated."""
    left_s = sum(
        run_estimate_s(planned) for planned in fixed_runs(suite_to_make(index)) if not index.tries(planned.key)
    )
    return left_s + _searches_estimate_s(index)


def time_left_s(index: RunIndex) -> float:
    """Estimate the same by the pace so far, with repeated runs and the waits before runs."""
    plans = {planned.key: run_estimate_s(planned) for planned in fixed_runs(suite_to_make(index))}
    own = [runs for runs in index.made_together if runs[0].key in plans]
    expected_s = sum(plans[key] for key in {run.key for runs in own for run in runs})
    spent_s = sum(run.took_s for runs in own for run in runs)
    spent_s += sum(runs[0].quiet.waited_s for runs in own if runs[0].quiet is not None)
    pace = spent_s / expected_s if expected_s else 1.0
    left_s = sum(estimate_s for key, estimate_s in plans.items() if not index.tries(key))
    left_s += sum(plans.get(planned.key, 0.0) for planned in next_runs(index) if index.tries(planned.key))
    return left_s * pace + _searches_estimate_s(index)


def place_of(suite: Suite, planned: PlannedRun | Run) -> tuple[int, int] | None:
    """Return the run's place and their number, among the runs fixed before the start; None for one of a search."""
    keys = [each.key for each in fixed_runs(suite)]
    return (keys.index(planned.key) + 1, len(keys)) if planned.key in keys else None


def _searches_estimate_s(index: RunIndex) -> float:
    return sum(
        max(state.search.budget_s - state.spent_s, _step_estimate_s(state.search))
        for state in searches_of(index)
        if isinstance(state.step, int)
    )


def _step_estimate_s(search: CapacitySearch) -> float:
    return OVERHEAD_S + (search.slot_s or search.warm_up_s + search.duration_s)


def block_estimate_s(suite: Suite) -> float:
    """Estimate how many seconds a block takes."""
    own = [planned for planned in fixed_runs(suite) if planned.part in (BLOCKS, TOGETHER)]
    return sum(run_estimate_s(planned) for planned in own) / suite.repeats


def run_estimate_s(planned: PlannedRun) -> float:
    """Estimate how many seconds one run takes; of those that are made at once, its share."""
    if planned.beside:
        measured_s = planned.duration_s + planned.slots * SLOT_OVERHEAD_S
        return (planned.warm_up_s + measured_s) / (planned.beside + 1)
    return (BLOCK_OVERHEAD_S if planned.slots else OVERHEAD_S) + load_time_s(
        planned.connections,
        spawn_rate=float(planned.load.get("spawn-rate", DEFAULT_SPAWN_RATE)),
        warm_up_s=planned.warm_up_s,
        duration_s=planned.duration_s + planned.slots * SLOT_OVERHEAD_S,
        extra_connections=int(planned.load.get("memory", 0)),
    )


def _without_memory(suite: Suite) -> Suite:
    return msgspec.structs.replace(suite, load={name: flag for name, flag in suite.load.items() if name != "memory"})


def _next_order(order: list[tuple[Arm, bool]], block: int, rng: random.Random) -> list[tuple[Arm, bool]]:
    if block % 2 == 0:
        return order[::-1]
    drawn = order[:]
    rng.shuffle(drawn)
    return drawn


def _planned(
    suite: Suite,
    source: Part,
    part: str,
    block: int,
    arm: Arm,
    connections: int,
    *,
    again: bool = False,
    server: Flags | None = None,
) -> PlannedRun:
    slot_s = _slot_s(source, arm)
    return PlannedRun(
        number=0,
        part=part,
        block=block,
        arm=arm,
        again=again,
        scenario=source.scenario,
        connections=connections,
        duration_s=_duration_s(source, slot_s),
        warm_up_s=source.warm_up_s,
        load=source.load,
        server=suite.server | source.server | (server or {}),
        slot_s=slot_s,
    )


def _duration_s(source: Part, slot_s: float) -> float:
    if isinstance(source, Suite):
        return source.alone_s
    return slot_s if isinstance(source, CapacitySearch) and slot_s else source.duration_s


def _slot_s(source: Part, arm: Arm) -> float:
    """Return how long the slots of a run are; 0 where it is a whole one."""
    if isinstance(source, Suite):
        return source.slot_s if source.in_slots else 0.0
    return source.slot_s if isinstance(source, CapacitySearch) and arm.may_stand_still else 0.0


def _next_search(index: RunIndex, parts: Collection[str] | None) -> SearchState | None:
    """
    Return the search that makes the next step, None if all are over.

    In slots the arms take turns, the order of each round drawn from the suite's seed; else each is searched to its end.

    """
    on = [each for each in searches_of(index) if isinstance(each.step, int)]
    on = [each for each in on if parts is None or each.search.name in parts]
    if not on or not on[0].search.slot_s:
        return on[0] if on else None
    name, block = on[0].search.name, on[0].block

    def turn(state: SearchState) -> tuple[int, float]:
        place = f"{index.suite.seed}/{name}/{block}/{len(state.runs)}/{state.arm.name}"
        return len(state.runs), random.Random(place).random()  # noqa: S311 - an order, not a secret

    return min((each for each in on if (each.search.name, each.block) == (name, block)), key=turn)


def still_searched(index: RunIndex, planned: PlannedRun) -> list[str]:
    """Return the arms whose search goes on, of those that are searched together with a run."""
    own = [each for each in searches_of(index) if (each.search.name, each.block) == (planned.part, planned.block)]
    return [each.arm.name for each in own if isinstance(each.step, int)]


def searches_of(index: RunIndex) -> Iterator[SearchState]:
    """Yield how far each search of each arm is, the arms in an order drawn from the seed."""
    for search in index.suite.searches:
        rng = random.Random(f"{index.suite.seed}/{search.name}")  # noqa: S311 - an order, not a secret
        for block in range(1, search.repeats + 1):
            arms = index.suite.arms_of(search)
            rng.shuffle(arms)
            for arm in arms:
                runs = index.search_runs(search.name, block, arm.name)
                spent_s = sum(run.took_s for run in runs)
                step = next_step(search, steps_of(search, runs), spent_s)
                yield SearchState(search, block, arm, runs, spent_s, step)
