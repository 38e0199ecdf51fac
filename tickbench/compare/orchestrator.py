"""Make the runs of a comparison one after the other, as the plan decides, and write each to disk when it ends."""

from collections.abc import Sequence
from typing import Protocol

from tickbench.children.commands import Commands
from tickbench.children.interrupts import uninterrupted
from tickbench.compare.patience import is_spoiled, is_unfit, quiet_wait_s, wait_s
from tickbench.compare.plan import PlannedRun, estimate_s, next_run
from tickbench.compare.results import ResultFolder, Run
from tickbench.compare.suite import Suite
from tickbench.compare.trial import Trial
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

    def waits(self, runs: Sequence[Run], most_s: float) -> None:
        """Hear that the machine is unfit, and how many seconds it is waited for at most."""


def run_all(
    suite: Suite,
    made: Sequence[Run],
    pinning: Pinning,
    folder: ResultFolder,
    commands: Commands,
    observer: Observer,
) -> bool:
    """
    Make every run that ``made`` lacks; return False if it stopped because the machine cannot measure.

    A failed run is kept with its reason, and the next one is made. What comes next depends only on the suite and on the
    runs that are on disk. Where the last runs show that the machine cannot measure, a short comparison stops; a long
    one waits once for idle cores, and stops if the next runs are spoiled as well.

    """
    runs = list(made)
    trial = Trial(pinning, commands, observer.run_is_at)
    has_waited = False
    with away_from_server(pinning):
        while planned := next_run(suite, runs):
            observer.run_began(planned)
            run = trial.run(planned, quiet_wait_s(suite, runs))
            with uninterrupted():  # an interrupt must not lose what was measured
                folder.write_run(run, planned.slug)
            runs.append(run)
            observer.run_ended(run)
            has_waited = has_waited and is_spoiled(run)
            if is_unfit(suite, runs) and next_run(suite, runs) is not None:
                if has_waited or not _wait(suite, runs, trial, observer):
                    return False
                has_waited = True
    return True


def _wait(suite: Suite, runs: Sequence[Run], trial: Trial, observer: Observer) -> bool:
    """Wait for the machine to be fit again; return whether it is worth another try."""
    most_s = wait_s(estimate_s(suite))
    if not most_s:
        return False
    observer.waits(runs, most_s)
    return wait_until_idle(trial.measured_cores(), most_s, observer.run_is_at)
