"""Make the runs of a comparison, blocks in slots or one after the other, as the plan decides, and write what ends."""

from collections.abc import Sequence
from typing import Protocol

from tickbench.children.commands import Commands
from tickbench.children.interrupts import uninterrupted
from tickbench.children.processes import Guard
from tickbench.compare.block import block_order, run_block
from tickbench.compare.plan import PlannedRun, estimate_s, next_runs, still_searched
from tickbench.compare.results import ResultFolder
from tickbench.compare.rising_arms import RisingArms
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import BLOCKS
from tickbench.compare.trial import Trial
from tickbench.compare.unfit_machine import quiet_wait_s
from tickbench.compare.unfit_machine import wait_s as unfit_wait_s
from tickbench.machine.pinning import Pinning, away_from_server
from tickbench.machine.quiet import wait_until_idle


class Observer(Protocol):
    """What :func:`run_all` reports its progress to."""

    def run_began(self, planned: PlannedRun) -> None:
        """Hear that a run begins."""

    def block_began(self, planned: Sequence[PlannedRun]) -> None:
        """Hear that a block in slots begins: its runs."""

    def run_is_at(self, words: str) -> None:
        """Hear what the run, or the block, is doing now."""

    def run_ended(self, *runs: Run) -> None:
        """Hear what became of the run, or of those of the block; they are on disk already."""

    def waits(self, most_s: float) -> None:
        """Hear that the runs so far show an unfit machine, and how many seconds it is waited for at most."""


def run_all(index: RunIndex, pinning: Pinning, folder: ResultFolder, commands: Commands, observer: Observer) -> bool:
    """
    Make every run that ``index`` lacks; return False if it stopped because the machine cannot measure.

    A failed run is kept with its reason, and the next one is made. What comes next depends only on the suite and on the
    runs that are on disk. Where the last runs show that the machine cannot measure, a short comparison stops; a long
    one waits once for idle cores, and stops if the next runs are spoiled as well.

    """
    has_waited = False
    with (
        away_from_server(pinning),
        Guard() as guard,
        RisingArms(Trial(pinning, commands, observer.run_is_at, guard)) as rising,
    ):
        while planned := next_runs(index):
            runs = _make(planned, index, rising, observer)
            with uninterrupted():  # an interrupt must not lose what was measured
                for run, plan in zip(runs, planned, strict=True):
                    folder.write_run(run, plan.slug)
            index = index.adding(*runs)
            observer.run_ended(*runs)
            rising.keep(still_searched(index, planned[0]))
            has_waited = has_waited and any(run.is_spoiled for run in runs)
            if index.is_unfit and next_runs(index):
                if has_waited or not _wait(index, rising.trial, observer):
                    return False
                has_waited = True
    return True


def _make(planned: Sequence[PlannedRun], index: RunIndex, rising: RisingArms, observer: Observer) -> list[Run]:
    first, wait_s = planned[0], quiet_wait_s(index)
    if first.slot_s and first.part == BLOCKS:
        observer.block_began(planned)
        order = block_order([each for each in planned if each.part == BLOCKS], index.suite.seed)
        return run_block(planned, order, rising.trial, wait_s)
    observer.run_began(first)
    return [rising.step(first, wait_s) if first.slot_s else rising.trial.run(first, wait_s)]


def _wait(index: RunIndex, trial: Trial, observer: Observer) -> bool:
    """Wait for the machine to be fit again; return whether it is worth another try."""
    most_s = unfit_wait_s(estimate_s(RunIndex(index.suite)))
    if not most_s:
        return False
    observer.waits(most_s)
    return wait_until_idle(trial.measured_cores(), most_s, observer.run_is_at)
