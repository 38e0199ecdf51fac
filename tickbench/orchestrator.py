"""What to run next: goes through a suite's plan, and keeps each run as soon as it ends. Knows nothing of the screen."""

from typing import Protocol

from tickbench.commands import Commands
from tickbench.pinning import Pinning, away_from_server
from tickbench.plan import PlannedRun
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
    suite: Suite, plan: list[PlannedRun], pinning: Pinning, folder: ResultFolder, commands: Commands, observer: Observer
) -> None:
    """Make every run of the plan, in its order. A failed one is kept with its reason, and the next one is made."""
    trial = Trial(suite, pinning, commands, observer.run_is_at)
    with away_from_server(pinning):
        for planned in plan:
            observer.run_began(planned)
            run = trial.run(planned)
            folder.write_run(run, planned.arm.slug)
            observer.run_ended(run)
