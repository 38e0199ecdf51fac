"""Make the runs of a comparison one after the other, as the plan decides, and write each to disk when it ends."""

from typing import Protocol

from tickbench.children.commands import Commands
from tickbench.children.interrupts import uninterrupted
from tickbench.compare.plan import PlannedRun, estimate_s, next_run
from tickbench.compare.results import ResultFolder
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.trial import Trial
from tickbench.compare.unfit_machine import quiet_wait_s, wait_s
from tickbench.machine.pinning import Pinning, away_from_server
from tickbench.machine.quiet import wait_until_idle


class Observer(Protocol):
    """What :func:`run_all` reports its progress to."""

    def run_began(self, planned: PlannedRun) -> None:
        """Hear that a run begins."""

    def run_is_at(self, words: str) -> None:
        """Hear what the run is doing now."""

    def run_ended(self, run: Run) -> None:
        """Hear what became of the run; it is on disk already."""

    def waits(self, most_s: float) -> None:
        """Hear that the runs so far show an unfit machine, and how many seconds it is waited for at most."""


def run_all(index: RunIndex, pinning: Pinning, folder: ResultFolder, commands: Commands, observer: Observer) -> bool:
    """
    Make every run that ``index`` lacks; return False if it stopped because the machine cannot measure.

    A failed run is kept with its reason, and the next one is made. What comes next depends only on the suite and on the
    runs that are on disk. Where the last runs show that the machine cannot measure, a short comparison stops; a long
    one waits once for idle cores, and stops if the next runs are spoiled as well.

    """
    trial = Trial(pinning, commands, observer.run_is_at)
    has_waited = False
    with away_from_server(pinning):
        while planned := next_run(index):
            observer.run_began(planned)
            run = trial.run(planned, quiet_wait_s(index))
            with uninterrupted():  # an interrupt must not lose what was measured
                folder.write_run(run, planned.slug)
            index = index.adding(run)
            observer.run_ended(run)
            has_waited = has_waited and run.is_spoiled
            if index.is_unfit and next_run(index) is not None:
                if has_waited or not _wait(index, trial, observer):
                    return False
                has_waited = True
    return True


def _wait(index: RunIndex, trial: Trial, observer: Observer) -> bool:
    """Wait for the machine to be fit again; return whether it is worth another try."""
    most_s = wait_s(estimate_s(RunIndex(index.suite)))
    if not most_s:
        return False
    observer.waits(most_s)
    return wait_until_idle(trial.measured_cores(), most_s, observer.run_is_at)
