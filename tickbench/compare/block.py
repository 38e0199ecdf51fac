"""
Measure a block in slots: all its arms side by side, one at a time, the others standing still.

All are started together. First those that verdicts are about run at once, if the suite has a ``together_s``: what the
machine does in a slot, it does to all of them, so their ratios scatter least (L. Bulej et al., Duet benchmarking:
improving measurement accuracy in the cloud, ICPE 2020). Then each arm has its slots alone, in the order of
:mod:`tickbench.compare.slot_order`, and right before its first one its warm-up, whose end that slot is compared with;
at last each weighs and writes what it has. A slot that the machine spoiled is made again in its place, whosever it is,
as long as no more than half as many were made again as have been due so far (calm times save up for a burst, and noise
that does not end is shared by all arms), :data:`SLOT_TRIES` times in all at most. An arm that fails leaves its slots
out, and the others go on.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from itertools import groupby
from math import ceil

from shared.measure.orders import DropOrder, Dropped, SlotMeasured, SlotOrder, Warmed, WarmOrder
from tickbench.children.processes import Nursery
from tickbench.compare.plan import PlannedRun
from tickbench.compare.runs import Run
from tickbench.compare.slot_order import slot_order
from tickbench.compare.standing_arm import StandingArm, carry_out_together, start_together
from tickbench.compare.suite import BLOCKS
from tickbench.compare.trial import Trial
from tickbench.errors import RunFailedError
from tickbench.files import scratch_folder
from tickbench.machine.quiet import Quiet, wait_until_quiet

SPARE_SHARE = 0.5
"""How many slots of a block may be made in place of spoiled ones, as a share of those that were due so far."""
SLOT_TRIES = 5
"""How often one slot is made at most: bursts of 10 s are waited out so, and longer noise costs the slot."""


def run_block(planned: Sequence[PlannedRun], order: Sequence[int], trial: Trial, quiet_wait_s: float) -> list[Run]:
    """
    Wait ``quiet_wait_s`` at most for idle cores, then make the runs of a block; return them in their order.

    Args:
        planned: a run for each arm alone, all with the same slots, then those that are made together.
        order: the places in ``planned`` whose slots come one after the other.

    """
    alone = [each for each in planned if each.part == BLOCKS]
    at_once = planned[len(alone) :]
    quiet = wait_until_quiet(trial.measured_cores(), quiet_wait_s, trial.tell)
    began, together = time.monotonic(), list[Run]()
    with suppress(RunFailedError), ExitStack() as stack:  # whose process does not end, even killed, has noted it
        scratch = stack.enter_context(scratch_folder())
        nursery = stack.enter_context(Nursery(trial.guard))
        arms = [StandingArm(each, trial, nursery, scratch / str(place)) for place, each in enumerate(alone)]
        start_together(arms, trial.tell)
        for _, group in groupby(at_once, lambda each: each.group):
            together += _run_together(arms, list(group), trial, quiet)
        _measure(arms, order, trial)
        for arm in _alive(arms):
            trial.tell(f"{arm.name}, ending")
            arm.finish()
    share_s = (time.monotonic() - began - sum(run.took_s for run in together)) / len(arms)
    return [*(arm.run(quiet, share_s) for arm in arms), *together]


def block_order(planned: Sequence[PlannedRun], seed: int) -> list[int]:
    """Return the places in ``planned``, the runs of a block, whose slots come one after the other."""
    # Arms have the same numbers in every block, whatever the order of its runs: else no block would mirror another.
    places = sorted(range(len(planned)), key=lambda place: (planned[place].arm.name, planned[place].again))
    first = planned[0]
    return [places[arm] for arm in slot_order(len(planned), first.slots, first.block, seed)]


def _run_together(
    arms: Sequence[StandingArm], planned: Sequence[PlannedRun], trial: Trial, quiet: Quiet | None
) -> list[Run]:
    """Make the runs whose arms run at once, and give the arms their own runs back."""
    by_key = {(arm.planned.arm.name, arm.planned.again): arm for arm in arms}
    own = [by_key[each.arm.name, each.again] for each in planned]
    alone = [arm.planned for arm in own]
    began = time.monotonic()
    for arm, each in zip(own, planned, strict=True):
        arm.rise(each)
    _measure_together(own, trial)
    for arm in _alive(own):
        arm.sum_up()
    share_s = (time.monotonic() - began) / max(1, len(own))
    runs = [arm.run(quiet, share_s) for arm in own]
    for arm, each in zip(own, alone, strict=True):
        arm.rise(each)
    return runs


def _measure_together(arms: Sequence[StandingArm], trial: Trial) -> None:
    pids = {arm.name: arm.pids for arm in _alive(arms)}
    if not pids:
        return

    def beside(arm: StandingArm) -> list[int]:
        return [pid for name, own in pids.items() if name != arm.name for pid in own]

    first = arms[0].planned
    if first.warm_up_s:
        trial.tell(f"together, warm-up {first.warm_up_s:g} s")
        alive = _alive(arms)
        carry_out_together(alive, [WarmOrder(first.warm_up_s, beside=beside(arm)) for arm in alive], Warmed)

    def slot(words: str) -> bool:
        trial.tell(f"together, {words}")
        alive = _alive(arms)
        answers = carry_out_together(
            alive, [SlotOrder(first.slot_s, beside=beside(arm)) for arm in alive], SlotMeasured
        )
        # What the others did while one failed is no slot of the same moments, either.
        is_kept = all(answer is not None and not answer.spoiled for answer in answers)
        for arm, answer in zip(alive, answers, strict=True):
            if not is_kept and answer is not None and not answer.spoiled:
                arm.carry_out(DropOrder(), Dropped)
        return is_kept

    _make_slots([slot] * first.slots)


def _measure(arms: Sequence[StandingArm], order: Sequence[int], trial: Trial) -> None:
    warm = set[int]()

    def slot_of(place: int) -> Callable[[str], bool]:
        arm = arms[place]

        def slot(words: str) -> bool:
            if place not in warm and arm.planned.warm_up_s and not arm.has_failed:
                trial.tell(f"{arm.name}, warm-up {arm.planned.warm_up_s:g} s")
                arm.carry_out(WarmOrder(arm.planned.warm_up_s), Warmed)
            warm.add(place)
            if arm.has_failed:
                return True
            trial.tell(f"{arm.name}, {words}")
            answer = arm.carry_out(SlotOrder(arm.planned.slot_s), SlotMeasured)
            return answer is None or not answer.spoiled

        return slot

    _make_slots([slot_of(place) for place in order])


def _make_slots(slots: Sequence[Callable[[str], bool]]) -> None:
    """Make slots in order, each again that says that it was spoiled, as far as there are any to spare."""
    again = 0
    for number, slot in enumerate(slots, start=1):
        for tries in range(1, SLOT_TRIES + 1):
            words = f", {again} made again" if again else ""
            is_kept = slot(f"slot {number} of {len(slots)}{words}")
            if is_kept or tries == SLOT_TRIES or again >= ceil(SPARE_SHARE * number):
                break
            again += 1


def _alive(arms: Iterable[StandingArm]) -> list[StandingArm]:
    return [arm for arm in arms if not arm.has_failed]
