"""
What became of objectives: held, broken, or not to be judged, since the figure cannot be trusted. Pure.

Judged figure by figure: what spoiled the times of a run may have left its counts alone (``Validity.spared``).
"""

import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from shared.measure.summary import LoadSummary
from tickbench.slo import BROKEN_STATUS, UNTRUSTED_STATUS, Objective, read_figure

Outcome = Literal["held", "broken", "not judged"]
STYLES: dict[Outcome, str] = {"held": "green", "broken": "red", "not judged": "yellow"}


class Judged(Struct, frozen=True):
    """One objective, what the figure was, and what that makes of it."""

    objective: Objective
    value: float | None
    outcome: Outcome

    @property
    def words(self) -> str:
        """What it was, and what was asked for."""
        found = "unknown" if self.value is None else f"{self.value:.6g}"
        bound = f"{self.objective.operator} {self.objective.bound:g}"
        end = {
            "held": f"which is {bound}",
            "broken": f"not {bound}",
            "not judged": f"which cannot be trusted; {bound} was asked for",
        }
        return f"{self.objective.figure} is {found}, {end[self.outcome]}"


def judge_run(slo: Sequence[Objective], load: LoadSummary) -> list[Judged]:
    """Return what one run makes of each objective."""
    return [judge_median(objective, [load]) for objective in slo]


def judge_median(objective: Objective, loads: Sequence[LoadSummary]) -> Judged:
    """Return what the median of several runs makes of an objective: of those in which its figure can be trusted."""
    trusted = [load for load in loads if not load.validity.spoiled_by(objective.figure)]
    read = [read_figure(load, objective.figure) for load in trusted or loads]
    values = [value for value in read if value is not None]
    value = statistics.median(values) if values else None
    if not trusted:
        return Judged(objective, value, "not judged")
    return Judged(objective, value, "held" if objective.complaint_of(value) is None else "broken")


def status_of(judged: Sequence[Judged]) -> int:
    """Return the exit status: 4 if one is broken, else 3 if one could not be judged, else 0."""
    outcomes = {each.outcome for each in judged}
    if "broken" in outcomes:
        return BROKEN_STATUS
    return UNTRUSTED_STATUS if "not judged" in outcomes else 0
