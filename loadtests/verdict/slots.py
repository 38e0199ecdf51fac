"""Decides which slots the machine spoiled, leaves these out, and has the others joined to one run."""

from collections import Counter
from dataclasses import replace
from statistics import mean
from typing import NamedTuple

from loadtests.account.counts import total
from loadtests.verdict.checks import REASONS
from loadtests.verdict.evidence import evidence_of
from loadtests.verdict.findings import LIMITS, Findings
from loadtests.verdict.joined import joined
from loadtests.verdict.measured_run import MeasuredRun
from shared.measure.histogram import Histogram
from shared.measure.summary import FOR_ANOTHER, SlotFigures

SLOT_LIMITS = replace(LIMITS, steal_percent=LIMITS.slot_steal_percent)


class Slot(NamedTuple):
    """One slot that was measured."""

    run: MeasuredRun
    thrown_s: float
    """How long before it, since it was ordered, nothing was measured."""
    spoiled: dict[str, str]
    """Why it is left out, in words, by the same without figures; empty where it is kept."""
    steal_percent: float | None
    core_gap_ms: float | None


class Slots:
    """The slots of a run so far, in order."""

    def __init__(self) -> None:
        self._warm: Histogram | None = None
        self._slots: list[Slot] = []

    def __len__(self) -> int:
        return len(self._slots)

    def warm_up(self, run: MeasuredRun) -> None:
        """Take the end of a warm-up, to compare the slots with, unless the machine spoiled it."""
        is_spoiled = spoiled_by(evidence_of(run).findings)
        self._warm = None if is_spoiled else total(record.main.tick_lateness for record in run.records)

    def take(self, run: MeasuredRun, thrown_s: float) -> Slot:
        """Take one more, and judge it."""
        found = evidence_of(run).findings
        slot = Slot(run, thrown_s, spoiled_by(found), found.steal_percent, found.core_gap_ms)
        self._slots.append(slot)
        return slot

    def drop(self) -> None:
        """Leave out the last one (there is one), too: the machine spoiled it for another arm."""
        last = self._slots[-1]
        if not last.spoiled:
            self._slots[-1] = last._replace(spoiled={FOR_ANOTHER: FOR_ANOTHER})

    def joined(self) -> MeasuredRun:
        """Return the run that they (one at least) make together: the kept ones or, if there are none, the last one."""
        last = self._slots[-1]
        kept = [slot.run for slot in self._slots if not slot.spoiled]
        steal = [slot.steal_percent for slot in self._slots if slot.steal_percent is not None]
        figures = SlotFigures(
            slot_s=last.run.duration_s,
            made=len(self._slots),
            kept=len(kept),
            thrown_s=round(mean(slot.thrown_s for slot in self._slots), 3),
            left_out=dict(Counter(why for slot in self._slots for why in slot.spoiled)),
            steal_percent=round(mean(steal), 3) if steal else None,
            beside=any(slot.run.beside for slot in self._slots),
        )
        run = joined(kept, last.run, self._warm) if kept else joined([last.run], last.run)
        return replace(run, slots=figures)


def spoiled_by(found: Findings) -> dict[str, str]:
    """Return how the machine spoiled a slot, in words, by the same without figures; empty if it did not."""
    checks = [check for check in REASONS if check.in_short]
    return {check.in_short: words for check in checks if (words := check.objection(found, SLOT_LIMITS))}
