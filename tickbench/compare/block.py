"""
Measure a block in slots: all its arms side by side, one at a time, the others standing still.

All are started together; then each has its slots, in the order of :mod:`tickbench.compare.slot_order`, and right before
its first one its warm-up, whose end that slot is compared with; at last each weighs and writes what it has. A slot that
the machine spoiled is made again in its place, whosever it is, as long as no more than half as many were made again as
have been due so far (calm times save up for a burst, and noise that does not end is shared by all arms),
:data:`SLOT_TRIES` times in all at most. An arm that fails leaves its slots out, and the others go on.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from math import ceil

from shared.measure.orders import SlotMeasured, SlotOrder, Warmed, WarmOrder
from tickbench.children.processes import Nursery
from tickbench.compare.plan import PlannedRun
from tickbench.compare.runs import Run
from tickbench.compare.standing_arm import StandingArm, start_together
from tickbench.compare.trial import Trial
from tickbench.errors import RunFailedError
from tickbench.files import scratch_folder
from tickbench.machine.quiet import wait_until_quiet

SPARE_SHARE = 0.5
"""How many slots of a block may be made in place of spoiled ones, as a share of those that were due so far."""
SLOT_TRIES = 5
"""How often one slot is made at most: bursts of 10 s are waited out so, and longer noise costs the slot."""


def run_block(planned: Sequence[PlannedRun], order: Sequence[int], trial: Trial, quiet_wait_s: float) -> list[Run]:
    """
    Wait ``quiet_wait_s`` at most for idle cores, then make the runs of a block; return them in their order.

    Args:
        planned: a run for each arm, all with the same slots.
        order: the places in ``planned`` whose slots come one after the other.

    """
    quiet = wait_until_quiet(trial.measured_cores(), quiet_wait_s, trial.tell)
    began = time.monotonic()
    with suppress(RunFailedError), ExitStack() as stack:  # whose process does not end, even killed, has noted it
        scratch = stack.enter_context(scratch_folder())
        nursery = stack.enter_context(Nursery(trial.guard))
        arms = [StandingArm(each, trial, nursery, scratch / str(place)) for place, each in enumerate(planned)]
        start_together(arms, trial.tell)
        _measure(arms, order, trial)
        for arm in _alive(arms):
            trial.tell(f"{arm.name}, ending")
            arm.finish()
    share_s = (time.monotonic() - began) / len(arms)
    return [arm.run(quiet, share_s) for arm in arms]


def _measure(arms: Sequence[StandingArm], order: Sequence[int], trial: Trial) -> None:
    again, warm = 0, set[int]()
    for number, place in enumerate(order, start=1):
        arm = arms[place]
        if place not in warm and arm.planned.warm_up_s and not arm.has_failed:
            trial.tell(f"{arm.name}, warm-up {arm.planned.warm_up_s:g} s")
            arm.carry_out(WarmOrder(arm.planned.warm_up_s), Warmed)
        warm.add(place)
        for tries in range(1, SLOT_TRIES + 1):
            if arm.has_failed:
                break
            words = f", {again} made again" if again else ""
            trial.tell(f"{arm.name}, slot {number} of {len(order)}{words}")
            answer = arm.carry_out(SlotOrder(arm.planned.slot_s), SlotMeasured)
            is_done = answer is None or not answer.spoiled
            if is_done or tries == SLOT_TRIES or again >= ceil(SPARE_SHARE * number):
                break
            again += 1


def _alive(arms: Sequence[StandingArm]) -> list[StandingArm]:
    return [arm for arm in arms if not arm.has_failed]
