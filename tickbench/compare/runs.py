"""
A run as it is kept, and which runs of a comparison count: of each that was planned the last attempt, of a search all.

What was tried before is kept, and :attr:`Run.words` says of each attempt what was wrong with it. The last one counts,
whether its figures please or not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, Literal, NamedTuple, Self

from msgspec import Struct

from shared.measure.summary import LoadSummary
from tickbench.compare.figures import BY_KEY, MEMORY
from tickbench.compare.suite import BLOCKS, TOGETHER, Suite
from tickbench.machine.quiet import Quiet

Mark = Literal["valid", "doubtful", "failed", "superseded"]
InForce = dict[str, float | bool | str | None]
"""Defaults of a framework, by name."""
RunKey = tuple[str, int, str, bool, int]
"""What identifies a run that was planned, whatever its number and attempt: part, block, arm, again, connections."""


def run_key(part: str, group: int, block: int, arm: str, again: bool, connections: int) -> RunKey:
    """Return what identifies a run; the groups of those at once are as parts of their own."""
    return f"{part} {group}" if group else part, block, arm, again, connections


class ChildRecord(Struct, frozen=True, kw_only=True):
    """A process of a run: how it was started and how it ended."""

    command: list[str]
    exit_status: int | None
    """Negative if a signal ended it; None: it went on, with the next step of a search in slots, or alone after it ran
    together with others."""
    was_killed: bool
    """It did not end in time when asked to."""
    log_tail: list[str]


class Run(Struct, frozen=True, kw_only=True, tag_field="schema", tag="tickbench.run/1"):
    """One run: finished, with the summary of its load, or failed, with the reason."""

    number: int
    part: str = BLOCKS
    """``blocks``, ``together``, or the name of a side or a search."""
    block: int
    """The round in which every arm of its part runs once."""
    arm: str
    again: bool = False
    """It is the second run of its arm in the block: with the first it shows what noise looks like."""
    group: int = 0
    """Of runs that were made at the same time: in which group of them it was."""
    attempt: int = 1
    """More than 1: the machine spoiled the one before."""
    scenario: str = ""
    connections: int = 0
    """As many as were asked for."""
    quiet: Quiet | None = None
    """How busy the machine was right before."""
    outcome: Literal["finished", "failed"]
    reason: str | None = None
    """Why it failed, in one sentence."""
    slots_planned: int = 0
    """How many slots it was to have, beside those that were made again; 0: a whole run."""
    fault: Literal["server", "generator"] | None = None
    """Who failed; None if nobody did."""
    started_at: str
    took_s: float
    cpus_server: list[int] | None
    cpus_generator: list[int] | None
    server: ChildRecord | None = None
    generator: ChildRecord | None = None
    server_settings: dict[str, Any] | None = None
    """What the server says it was set to, in ``/stats``."""
    in_force: InForce | None = None
    """What the server says of its framework's own defaults that it leaves in force, in ``/stats``."""
    load: LoadSummary | None = None

    @property
    def key(self) -> RunKey:
        """Which of the planned runs it is."""
        return run_key(self.part, self.group, self.block, self.arm, self.again, self.connections)

    @property
    def is_valid(self) -> bool:
        """Whether its numbers can be trusted."""
        return self.load is not None and self.load.validity.ok and not self.is_short

    @property
    def is_short(self) -> bool:
        """Whether the machine spoiled so many slots that not even half of those planned were kept, or none."""
        slots = self.load.slots if self.load is not None else None
        return slots is not None and (not slots.kept or 2 * slots.kept < self.slots_planned)

    @property
    def by_machine(self) -> list[str]:
        """How the machine spoiled it: why it cannot be trusted, or why not even half of its slots were kept."""
        if self.load is None:
            return []
        slots = self.load.slots
        return list(
            slots.left_out if slots is not None and self.is_short and slots.left_out else self.load.validity.machine
        )

    @property
    def is_spoiled(self) -> bool:
        """Whether the machine has, whatever else is wrong with it."""
        return bool(self.by_machine)

    def is_trusted(self, figure: str) -> bool:
        """Whether one figure, by its name in the summary, can be trusted: also of a run that is not valid."""
        if self.is_short and figure != MEMORY:  # which is weighed behind the slots
            return False
        return self.load is not None and not self.load.validity.spoiled_by(figure)

    @property
    def words(self) -> str:
        """Valid, with which warnings, not valid and why, or failed and why."""
        if self.load is None:
            return f"failed: {self.reason or 'no reason was kept'}"
        validity = self.load.validity
        notes = "; ".join([*validity.warnings, *self._notes()])
        if not self.is_valid:
            warnings = f"; warning: {notes}" if notes else ""
            return f"not valid: {'; '.join(self._reasons()) or 'no reason was given'}{warnings}"
        return f"valid, with a warning: {notes}" if notes else "valid"

    def _reasons(self) -> Iterator[str]:
        assert self.load is not None  # noqa: S101 - it finished
        yield from self.load.validity.reasons
        if self.is_short and (slots := self.load.slots) is not None and slots.kept:
            yield f"the machine left {slots.kept} of the {self.slots_planned} slots that it was to have"

    def _notes(self) -> Iterator[str]:
        if self.quiet is not None and not self.quiet.is_quiet:
            busy, waited_s = self.quiet.busy_percent, self.quiet.waited_s
            yield f"it began with a core {busy:.0f} % busy, after {waited_s:.0f} s of waiting"
        if self.server is not None and self.server.was_killed:
            yield "the server did not stop when asked to and was killed"
        elif self.server is not None and self.server.exit_status not in (0, None):
            yield f"the server stopped with exit status {self.server.exit_status}"


@dataclass(frozen=True, slots=True)
class Basis:
    """What a figure rests on: the runs in which it can be trusted, or all that finished if it can in none."""

    loads: list[LoadSummary]
    is_doubtful: bool
    """It can be trusted in none of them."""

    @classmethod
    def of(cls, runs: Sequence[Run], figure: str) -> Self:
        """Choose among runs by the name that a figure has in the summary."""
        trusted = [run.load for run in runs if run.load is not None and run.is_trusted(figure)]
        finished = [run.load for run in runs if run.load is not None]
        return cls(trusted or finished, is_doubtful=bool(finished) and not trusted)


class TicksMet(NamedTuple):
    """How late the last arm of those that ran together was, in milliseconds."""

    p99_ms: float
    """In the middle block."""
    share_ms: float
    """What each has of a period."""

    @property
    def words(self) -> str:
        """The same, without a full stop."""
        return (
            f"of those that ran at once ticks met, as one in a hundred frames of the latest came {self.p99_ms:.1f} ms "
            f"after its tick was due, and each has {self.share_ms:.1f} ms (fewer arms or connections would do)"
        )


class RunIndex:
    """The runs of a suite that were made, and which of them count."""

    def __init__(self, suite: Suite, runs: Sequence[Run] = ()) -> None:
        self.suite = suite
        self.runs = sorted(runs, key=lambda run: run.number)
        """All of them, by number."""
        self.made_together = self._group()
        """The same, each on its own, but those of a block in slots together."""
        self.waived, self.unfit_runs = self._find_waived()
        """
        The numbers of the runs that led to a stop: they do not count as attempts. And the runs that led to the last
        stop, if they are the last of all.

        They are kept, and made again as if they had not been tried: they were spoiled by the machine, whatever the arm.
        """
        self._attempts: dict[RunKey, list[Run]] = {}
        for run in self.runs:
            self._attempts.setdefault(run.key, []).append(run)

    def adding(self, *runs: Run) -> "RunIndex":
        """Return the index with these runs more."""
        return RunIndex(self.suite, [*self.runs, *runs])

    def last(self, key: RunKey) -> Run | None:
        """Return the attempt at a planned run that counts, which is the last; None if there is none."""
        attempts = self._attempts.get(key)
        return attempts[-1] if attempts else None

    def tries(self, key: RunKey) -> int:
        """Return how often a planned run was tried."""
        return sum(run.number not in self.waived for run in self._attempts.get(key, ()))

    def counted(self, part: str) -> list[Run]:
        """Return the runs of the blocks, or of a side, that count."""
        return [attempts[-1] for attempts in self._attempts.values() if attempts[-1].part == part]

    def block_runs(self, arm: str, *, again: bool = False) -> list[Run]:
        """Return the runs of an arm in the blocks that count, one a block."""
        return [run for run in self.counted(BLOCKS) if (run.arm, run.again) == (arm, again)]

    def group_of(self, figure: str, arm: str, other: str) -> int | None:
        """Return in which group two arms ran at once that their ratio is of; None: it is of each alone."""
        if figure in BY_KEY and BY_KEY[figure].is_alone:
            return None
        groups = enumerate(self.suite.groups)
        return next((each for each, names in groups if {arm, other} <= {*names} and each not in self.met), None)

    def is_together(self, figure: str, arm: str, other: str) -> bool:
        """Whether a ratio is of runs made at the same time."""
        return self.group_of(figure, arm, other) is not None

    def runs_for_ratio(self, figure: str, arm: str, other: str, *, again: bool = False) -> list[Run]:
        """Return the runs of ``arm``, one a block, that its ratio to ``other`` rests on."""
        group = self.group_of(figure, arm, other)
        own = self.counted(BLOCKS) if group is None else [run for run in self.counted(TOGETHER) if run.group == group]
        return [run for run in own if (run.arm, run.again) == (arm, again)]

    @cached_property
    def met(self) -> dict[int, TicksMet]:
        """
        The groups in which ticks of arms that ran together met, each of which has an equal share of a period.

        An arm whose ticks last longer makes the next one wait, which is then measured with what it waits for. It is
        decided by all blocks, and for all of them: one that is left out as its figures are large would leave a ratio
        of the others that is too good. The median of the blocks counts, since a burst of noise is no tick.

        """
        latest: dict[int, dict[int, float]] = {}
        shares: dict[int, list[float]] = {}
        for run in self.counted(TOGETHER):
            if run.load is None or run.load.tick_lateness_ms.p99 is None or not run.load.tick_rate_hz:
                continue
            own = latest.setdefault(run.group, {})
            own[run.block] = max(own.get(run.block, 0.0), run.load.tick_lateness_ms.p99)
            shares.setdefault(run.group, []).append(1000 / run.load.tick_rate_hz / self.suite.number_at_once)
        return {
            group: TicksMet(median(own.values()), min(shares[group]))
            for group, own in latest.items()
            if median(own.values()) > min(shares[group])
        }

    @property
    def ticks_met(self) -> TicksMet | None:
        """That ticks met in every group, so that no ratio is of arms that ran at once; None if not."""
        groups = range(len(self.suite.groups))
        return next(iter(self.met.values())) if groups and all(group in self.met for group in groups) else None

    def lacking(self) -> list[str]:
        """Return the arms of which no run in the blocks finished."""
        return [arm for arm in self.suite.arms if all(run.load is None for run in self.block_runs(arm))]

    def side_runs(self, side: str, arm: str, connections: int) -> list[Run]:
        """Return the runs of an arm in a side at one load that count, one a block."""
        return [run for run in self.counted(side) if (run.arm, run.connections) == (arm, connections)]

    def search_runs(self, search: str, block: int, arm: str) -> list[Run]:
        """Return the runs of one search of one arm, by number."""
        own = [run for run in self.runs if (run.part, run.block, run.arm) == (search, block, arm)]
        return [run for run in own if run.number not in self.waived]

    def mark(self, run: Run) -> Mark:
        """Say whether a run counts, and what it is worth; ``superseded``: it was made again."""
        if run is not self.last(run.key) and run.part not in {search.name for search in self.suite.searches}:
            return "superseded"
        if run.load is None:
            return "failed"
        return "valid" if run.is_valid else "doubtful"

    @property
    def is_unfit(self) -> bool:
        """Whether the last runs show that the machine cannot measure: they led to a stop."""
        return bool(self.unfit_runs)

    def _group(self) -> list[list[Run]]:
        groups: list[list[Run]] = []
        for run in self.runs:
            in_block = run.part in (BLOCKS, TOGETHER) and run.slots_planned
            before = groups[-1][0] if groups and in_block else None
            if before is not None and (before.part, before.block, before.attempt) == (BLOCKS, run.block, run.attempt):
                groups[-1].append(run)
            else:
                groups.append([run])
        return groups

    def _find_waived(self) -> tuple[set[int], list[Run]]:
        """
        Find the runs that led to a stop: their numbers, and those of the last stop if nothing was made since.

        That is ``stop_after`` spoiled ones in a row; of blocks in slots the whole blocks, in a row, that have so many,
        those that were made at the same time being one.
        None if no run is made again.

        """
        found: set[int] = set()
        streak: list[Run] = []
        if not self.suite.stop_after or self.suite.max_attempts == 1:
            return found, streak
        for runs in self.made_together:
            if streak and streak[-1].number in found:
                streak = []
            streak = [*streak, *runs] if any(run.is_spoiled for run in runs) else []
            spoiled = [run for run in streak if run.is_spoiled]
            at_once = {(run.block, run.attempt, run.group) for run in spoiled if run.part == TOGETHER}
            if sum(run.part != TOGETHER for run in spoiled) + len(at_once) >= self.suite.stop_after:
                found.update(run.number for run in streak)
        return found, streak if streak and streak[-1].number in found else []
