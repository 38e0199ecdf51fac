"""Makes one run after the other, as the plan decides, and keeps each when it ends. Knows nothing of the screen."""

from collections.abc import Sequence
from typing import Protocol

from tickbench.commands import Commands
from tickbench.interrupts import uninterrupted
from tickbench.pinning import Pinning, away_from_server
from tickbench.plan import PlannedRun, next_run
from tickbench.results import ResultFolder, Run
from tickbench.suite import Suite
from tickbench.trial import Trial


class Observer(Protocol):
    """Whoever shows how far the comparison is."""

    def run_began(self, planned: PlannedRun) -> None:
        """Hear that a run begins."""

    def run_is_at(self, words: str) -> None:
        """Hear what the run is about now."""

    def run_ended(self, run: Run) -> None:
        """Hear what became of the run; it is on disk already."""


def run_all(
    suite: Suite,
    made: Sequence[Run],
    pinning: Pinning,
    folder: ResultFolder,
    commands: Commands,
    observer: Observer,
) -> None:
    """
    Make every run that ``made`` lacks. A failed one is kept with its reason, and the next one is made.

    What comes next depends on nothing but the suite and the runs before, as they are on disk.

    """
    runs = list(made)
    trial = Trial(suite, pinning, commands, observer.run_is_at)
    with away_from_server(pinning):
        while planned := next_run(suite, runs):
            observer.run_began(planned)
            run = trial.run(planned)
            with uninterrupted():  # what is measured is kept
                folder.write_run(run, planned.slug)
            runs.append(run)
            observer.run_ended(run)
