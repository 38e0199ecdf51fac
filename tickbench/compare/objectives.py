"""
Judge objectives: held, broken, or not judged where the figure cannot be trusted.

Judged figure by figure: what spoiled the times of a run may have left its counts alone (``Validity.spared``).
"""

import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from shared.measure.histogram import Histogram
from shared.measure.summary import LoadSummary
from tickbench.compare.slo import BROKEN_STATUS, UNTRUSTED_STATUS, Objective, read_figure

Judgement = Literal["held", "broken", "not judged"]
MISSED_BY = ("ticks_came", "reach")
"""Figures that are lower by each tick that did not come."""
LATE_BY = {"tick_lateness_ms": 1, "delivery_ms": 1, "interval_error_ms": 2}
"""Histograms that a late tick raises, and how many values of each are from one such tick."""
STYLES: dict[Judgement, str] = {"held": "green", "broken": "red", "not judged": "yellow"}


class Judged(Struct, frozen=True):
    """One objective, the value of its figure (None: not measured), and the outcome."""

    objective: Objective
    value: float | None
    outcome: Judgement
    why: str = ""
    """Why it was not judged; empty if judged, or if no run can be trusted."""

    @property
    def words(self) -> str:
        """The value and the bound, as the end of a sentence about the outcome."""
        found = "unknown" if self.value is None else f"{self.value:.6g}"
        bound = f"{self.objective.operator} {self.objective.bound:g}"
        end = {
            "held": f"which is {bound}",
            "broken": f"not {bound}",
            "not judged": f"{self.why or 'which cannot be trusted'}; {bound} was asked for",
        }
        return f"{self.objective.figure} is {found}, {end[self.outcome]}"


def judge_run(slo: Sequence[Objective], load: LoadSummary) -> list[Judged]:
    """Judge each objective by one run."""
    return [judge_median(objective, [load]) for objective in slo]


def judge_median(objective: Objective, loads: Sequence[LoadSummary]) -> Judged:
    """Judge an objective by the median over the runs in which its figure can be trusted."""
    trusted = [load for load in loads if not load.validity.spoiled_by(objective.figure)]
    read = [read_figure(load, objective.figure) for load in trusted or loads]
    values = [value for value in read if value is not None]
    value = statistics.median(values) if values else None
    if not trusted:
        return Judged(objective, value, "not judged")
    if objective.complaint_of(value) is None:
        return Judged(objective, value, "held")
    if all(rests_on_one_tick(objective, load) for load in trusted):
        due_times = max(load.frames.due_times or 0 for load in trusted)
        return Judged(
            objective, value, "not judged", f"by one tick of {due_times}, which may be chance: measure longer"
        )
    return Judged(objective, value, "broken")


def rests_on_one_tick(objective: Objective, load: LoadSummary) -> bool:
    """
    Return whether a run breaks an objective by a single tick, however many clients got it late or not at all.

    Of 40 ticks a single late one is the p99, and a single one that did not come is 2.5 % of all. Never for the maximum,
    which asks for the worst tick by name, nor for a run of an older schema, which does not count missed ticks.

    """
    due_times, missed = load.frames.due_times, load.frames.due_times_missed
    if not due_times or missed is None:
        return False
    if objective.figure in MISSED_BY:
        return missed == 1
    name, _, percentile = objective.figure.partition(".")
    if name not in LATE_BY or not percentile.startswith("p"):
        return False
    histogram = Histogram.from_summary(getattr(load, name))
    if not histogram.count:
        return False
    (within,) = histogram.counts_up_to([max(0, round(objective.bound * 1000))])
    late_ticks = (histogram.count - within) / histogram.count * due_times
    return late_ticks < LATE_BY[name] * 1.5


def status_of(judged: Sequence[Judged]) -> int:
    """Return the exit status: 4 if one is broken, else 3 if one could not be judged, else 0."""
    outcomes = {each.outcome for each in judged}
    if "broken" in outcomes:
        return BROKEN_STATUS
    return UNTRUSTED_STATUS if "not judged" in outcomes else 0
