"""
Make the steps of a search in slots: the load of each arm rises and falls from step to step, on a server that stays.

Each step is one slot and one run. The arms take their steps in turns, and who is not measured stands still. After a
failure or a lost connection an arm gets a fresh server and a fresh generator. A slot that the machine spoiled is made
again in its place, :data:`SLOT_TRIES` times in all.
"""

import tempfile
import time
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from shared.measure.orders import SlotMeasured, SlotOrder, Warmed, WarmOrder
from tickbench.children.processes import Nursery
from tickbench.compare.plan import PlannedRun
from tickbench.compare.runs import Run
from tickbench.compare.standing_arm import StandingArm, start_together
from tickbench.compare.trial import Trial
from tickbench.machine.quiet import wait_until_quiet

SLOT_TRIES = 3
SETTLING_S = 0.5
"""How long a server that is warm runs unmeasured after its load has changed, beside what is thrown away before each
slot; no longer than the search's warm-up, which a fresh one has."""


class RisingArm(NamedTuple):
    """An arm that is there, and what ends its processes."""

    arm: StandingArm
    end: ExitStack


class RisingArms:
    """The arms of one search at a time, each with its load; none of their processes outlives the block."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._search = ("", 0)
        self._arms: dict[str, RisingArm] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """End all arms."""
        self.keep(())

    def keep(self, names: Collection[str]) -> None:
        """End all arms but these."""
        for name in set(self._arms).difference(names):
            self._end(name)

    def step(self, planned: PlannedRun, quiet_wait_s: float) -> Run:
        """Make one step; before a fresh server, wait ``quiet_wait_s`` at most for idle cores."""
        if self._search != (planned.part, planned.block):
            self.leave()
            self._search = planned.part, planned.block
        name, quiet = planned.arm.name, None
        if name not in self._arms:
            quiet = wait_until_quiet(self.trial.measured_cores(), quiet_wait_s, self.trial.tell)
        began = time.monotonic()
        arm = self._measured(planned)
        run = arm.run(quiet, time.monotonic() - began)
        if arm.has_failed or _has_lost(run):
            self._end(name)
        return run

    def _measured(self, planned: PlannedRun) -> StandingArm:
        """Return the arm, with the summary of a slot at this load, or failed."""
        name, unmeasured_s = planned.arm.name, planned.warm_up_s
        if name not in self._arms:
            arm = self._start(planned)
        else:
            arm = self._arms[name].arm
            is_repeated = arm.planned.connections == planned.connections
            unmeasured_s = 0.0 if is_repeated else min(SETTLING_S, unmeasured_s)
            arm.rise(planned)
        if unmeasured_s and not arm.has_failed:
            arm.carry_out(WarmOrder(unmeasured_s), Warmed)
        for attempt in range(1, SLOT_TRIES + 1):
            if arm.has_failed:
                return arm
            again = f", for the {'second' if attempt == 2 else 'third'} time" if attempt > 1 else ""
            self.trial.tell(f"{planned.connections} connections, measuring {planned.slot_s:g} s{again}")
            answer = arm.carry_out(SlotOrder(planned.slot_s), SlotMeasured)
            if answer is not None and not answer.spoiled:
                break
        if not arm.has_failed:
            arm.sum_up()
        return arm

    def _start(self, planned: PlannedRun) -> StandingArm:
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tickbench-")))
            nursery = stack.enter_context(Nursery(self.trial.guard))
            arm = StandingArm(planned, self.trial, nursery, scratch / planned.slug)
            start_together([arm], self.trial.tell)
            self._arms[planned.arm.name] = RisingArm(arm, stack.pop_all())
        return arm

    def _end(self, name: str) -> None:
        if risen := self._arms.pop(name, None):
            risen.end.close()


def _has_lost(run: Run) -> bool:
    """Whether connections are not there: the generator would count them in each slot that follows, too."""
    connections = None if run.load is None else run.load.connections
    return connections is not None and (connections.closed_early > 0 or connections.connected < connections.requested)
