"""
The search for capacity: which load to try next, and what the result is when it is over.

It raises the load until an objective fails, bisects (the logarithm) in between, and confirms the result. In whole runs
it doubles the load, and one failure decides. In slots a load that rises goes on with the same server and one that
falls needs a fresh one: steps get smaller as the figures near their bounds, and no single slot decides. A load that
could not be measured is not one that failed: a generator at its limit makes the result a lower bound.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from shared.measure.summary import LoadSummary
from tickbench.compare.objectives import LATE_BY, rests_on_one_tick
from tickbench.compare.runs import Run
from tickbench.compare.slo import Objective, complaints, parse_slo, read_figure
from tickbench.compare.suite import CapacitySearch

Limit = Literal["arm", "generator", "machine", "budget", "limit"]
StepOutcome = Literal["held", "failed", "unclear", "generator", "lost", "spoiled"]
"""
What came of a load. ``unclear``: the figures cannot be trusted, or there are none, which the arm may have caused; or a
single tick broke the objective, which may be chance. ``generator``: it was at its limit. ``lost``: there are no
figures, since it failed. ``spoiled``: by the machine.
"""

NEEDED_HOLDS = 3
"""A capacity holds once to be found, and twice more to be confirmed; in slots so much more often than it broke."""
NEEDED_BREAKS = 2
"""In slots a load is too much when it broke so many times, and at least as often as it held."""
DOUBLING = 2
LONGEST_STRIDE = 4.0
"""In slots a load is raised to so many times itself at most."""
CAUTION = 0.75
"""A rise takes this share of the way (of logarithms) to where the nearest figure would be at its bound."""
TRIES: dict[StepOutcome, tuple[int, Limit]] = {
    "failed": (1, "arm"),
    "unclear": (2, "arm"),
    "generator": (1, "generator"),
    "lost": (2, "generator"),
    "spoiled": (3, "machine"),
}
"""After so many runs with this outcome a load is too much (or can't be measured), and what then limits the search."""
SAYING_NOTHING: tuple[StepOutcome, ...] = ("lost", "spoiled")
BREAKING: tuple[StepOutcome, ...] = ("failed", "unclear")
"""In slots both count alike, as a load is asked again after either."""
OVERDRAFT = 2.0
"""A search ends at so many times its budget, whatever is confirmed."""
FULL_CORE_PERCENT = 97.0
"""A server that takes so much of its one core is at its limit, whatever the generator was at."""
SKIPPED_PERCENT = 1.0
LEAST_SKIPPED = 2
"""So is one that skips such a share of its ticks, and so many; a single one may be chance."""


class SearchStep(Struct, frozen=True):
    """One load that was tried, and what came of it."""

    connections: int
    outcome: StepOutcome
    words: str = ""
    """Why it did not hold."""
    headroom: float | None = None
    """How many times this load would be too much, by the figures of one that held, if they grew as it does."""


class Capacity(Struct, frozen=True):
    """The most connections at which an objective held, and what ended the search for more."""

    connections: int | None
    """The most that held; None if none did."""
    failed_at: int | None
    """The least that did not hold, or could not be measured."""
    limited_by: Limit
    """What ended the search; unless it is the arm, the capacity is only a lower bound."""
    confirmations: int
    """How often it held besides the first time."""
    breaks: int = 0
    """How often it did not hold, in slots."""

    @property
    def figure(self) -> str:
        """The result at a glance: ``2,800``, or ``>= 2,800`` where it is a lower bound."""
        if self.connections is None:
            return f"under {self.failed_at:,}" if self.limited_by == "arm" else "unknown"
        return f"{self.connections:,}" if self.limited_by == "arm" else f">= {self.connections:,}"

    @property
    def held_words(self) -> str:
        """How often it held: ``held 3 times``, or ``held 5 times of 6``; empty if nothing did."""
        if self.connections is None:
            return ""
        of_all = f" of {self.confirmations + 1 + self.breaks}" if self.breaks else ""
        return f"held {self.confirmations + 1} times{of_all}"

    @property
    def limit_words(self) -> str:
        """What ended the search: ``not 3,300``, or ``generator-limited``."""
        if self.limited_by == "arm":
            return f"not {self.failed_at:,}" if self.connections is not None else ""
        beyond = f"not {self.failed_at:,}; " if self.limited_by == "budget" and self.failed_at is not None else ""
        return f"{beyond}{self.limited_by}-limited"

    @property
    def words(self) -> str:
        """Both: ``2,800 (not 3,300)``, or ``>= 2,800 (generator-limited)``."""
        return f"{self.figure} ({self.limit_words})" if self.limit_words else self.figure


def steps_of(search: CapacitySearch, runs: Sequence[Run]) -> list[SearchStep]:
    """Return what came of the runs of one search, by run number."""
    return [judge_step(search, run) for run in sorted(runs, key=lambda run: run.number)]


def judge_step(search: CapacitySearch, run: Run) -> SearchStep:
    """Say whether one run held the objective, and if not, for what reason."""
    load = run.load
    if load is None:
        return SearchStep(
            run.connections, "lost" if run.fault == "generator" else "unclear", run.reason or "the run failed"
        )
    slo = parse_slo(search.slo)
    broken = complaints(slo, load)
    by_chance = bool(broken) and all(rests_on_one_tick(each, load) for each in slo if each.complaint(load))
    if load.connections.connected < load.connections.requested:
        by_chance = False
        broken.append(f"{load.connections.connected} of {load.connections.requested} connected")
    if run.is_spoiled:
        return SearchStep(run.connections, "spoiled", "; ".join(run.by_machine))
    if broken and (load.validity.ok or is_at_its_end(load)):
        return SearchStep(run.connections, "unclear" if by_chance else "failed", "; ".join(broken))
    if load.validity.generator:
        return SearchStep(run.connections, "generator", "; ".join(load.validity.generator))
    if not load.validity.ok:
        return SearchStep(run.connections, "unclear", "; ".join([*load.validity.reasons, *broken]))
    return SearchStep(run.connections, "held", headroom=_headroom(slo, load))


def _headroom(slo: Sequence[Objective], load: LoadSummary) -> float | None:
    """Return how far the latenesses are from their bounds, and the server's one core from being full, as a ratio."""
    found = [
        each.bound / value
        for each in slo
        if each.figure.partition(".")[0] in LATE_BY and (value := read_figure(load, each.figure))
    ]
    if _has_one_core(load) and load.server.cpu_percent:
        found.append(FULL_CORE_PERCENT / load.server.cpu_percent)
    return min(found, default=None)


def is_at_its_end(load: LoadSummary) -> bool:
    """Whether the server's own figures say that it cannot keep up: they do not depend on the generator."""
    ticks = load.server.ticks
    if ticks is None:  # it does not report them
        return False
    has_full_core = _has_one_core(load) and (load.server.cpu_percent or 0) >= FULL_CORE_PERCENT
    skipped = ticks.skipped_ticks
    return has_full_core or skipped >= max(LEAST_SKIPPED, SKIPPED_PERCENT / 100 * (ticks.count + skipped))


def _has_one_core(load: LoadSummary) -> bool:
    return load.machine.cpus_server is not None and len(load.machine.cpus_server) == 1


def next_step(search: CapacitySearch, steps: Sequence[SearchStep], spent_s: float) -> int | Capacity:
    """Return the number of connections to try next, or what is known if the search is over."""
    bounds = _Bounds(search, steps)
    if pending := bounds.to_repeat():
        return pending
    if bounds.low is None:
        if bounds.high is None:
            return search.start
        return bounds.result() if spent_s > search.budget_s else bounds.high // 2 or bounds.result()
    may_go_on = spent_s + _reserve_s(steps, spent_s) <= search.budget_s
    if may_go_on and (between := bounds.between()):
        return between
    if spent_s < OVERDRAFT * search.budget_s and (unconfirmed := bounds.to_confirm()):
        return unconfirmed
    return bounds.result()


def round_load(connections: float) -> int:
    """Round to two digits: more are of no use, and a load that is tried again is the same."""
    if connections < 10:
        return max(1, round(connections))
    unit = 10 ** (math.floor(math.log10(connections)) - 1)
    return int(round(connections / unit) * unit)


def raised(load: int, ratio: float) -> int:
    """Return a load that is ``ratio`` times another, rounded down to halves of the second digit, and more than it."""
    connections = load * ratio + 1e-9  # 1.1 is not exact
    unit = 10.0 ** (math.floor(math.log10(connections)) - 1) / 2
    return max(load + 1, int(connections // unit * unit))


def _reserve_s(steps: Sequence[SearchStep], spent_s: float) -> float:
    """Estimate how many seconds the next load takes, with the confirmations of what it finds."""
    return NEEDED_HOLDS * spent_s / len(steps) if steps else 0.0


class _Bounds:
    """What the steps say: the most that held, and the least that did not."""

    def __init__(self, search: CapacitySearch, steps: Sequence[SearchStep]) -> None:
        self.search = search
        self.steps = steps
        self.counts: dict[int, Counter[StepOutcome]] = {}
        for tried in steps:
            self.counts.setdefault(tried.connections, Counter())[tried.outcome] += 1
        self.holds = {load: counts["held"] for load, counts in self.counts.items() if counts["held"]}
        self.too_much = {load: why for load in self.counts if (why := self._why_too_much(load))}
        self.high = min(self.too_much, default=None)
        self.low = max((load for load in self.holds if self.high is None or load < self.high), default=None)

    def to_repeat(self) -> int | None:
        """Return the last load if its runs have not decided it yet."""
        last = self.steps[-1].connections if self.steps else None
        return None if last in {*self.holds, *self.too_much} else last

    def to_confirm(self) -> int | None:
        """Return a bound that was not met often enough: what held or, in slots, what failed; None if both were."""
        if not self.is_confirmed:
            return self.low
        if self.search.slot_s and self.high is not None and self.too_much[self.high] == "arm":
            return self.high if _breaks(self.counts[self.high]) <= NEEDED_BREAKS else None
        return None

    @property
    def is_confirmed(self) -> bool:
        """Whether the most that held did so often enough; true where nothing held."""
        return self.low is None or self._lead(self.low) >= NEEDED_HOLDS

    def between(self) -> int | None:
        """Return the next load above what held, None if that is near enough to what did not."""
        assert self.low is not None  # noqa: S101 - it is asked only then
        if self.high is None:
            higher = min(self._higher(self.low), self.search.limit)
            return higher if higher > self.low else None
        if self.high <= self.low * self.search.precision:
            return None
        middle = round_load(math.sqrt(self.low * self.high))
        return middle if self.low < middle < self.high else None

    def result(self) -> Capacity:
        """Return the result as it stands."""
        if self.high is None:
            limited_by: Limit = "limit" if self.low == self.search.limit else "budget"
        else:
            limited_by = self.too_much[self.high]
            is_near = self.low is None or self.between() is None
            if limited_by == "arm" and not (is_near and self.is_confirmed):
                limited_by = "budget"  # what fails is far from what holds, or what holds did so too seldom
        if self.low is None:
            return Capacity(None, self.high, limited_by, 0)
        breaks = _breaks(self.counts[self.low]) if self.search.slot_s else 0
        return Capacity(self.low, self.high, limited_by, self.holds[self.low] - 1, breaks)

    def _higher(self, low: int) -> int:
        """Return the next load above one that held, where none failed yet."""
        if not self.search.slot_s:
            return DOUBLING * low  # with a fresh server in any case, going too far costs nothing
        found = [each.headroom for each in self.steps if each.connections == low and each.headroom is not None]
        stride = min(found) ** CAUTION if found else DOUBLING
        return raised(low, max(self.search.precision, min(LONGEST_STRIDE, stride)))

    def _why_too_much(self, load: int) -> Limit | None:
        counts = self.counts[load]
        if self.search.slot_s and _breaks(counts) >= NEEDED_BREAKS and self._lead(load) <= 0:
            return "arm"
        for outcome, (tries, limit) in TRIES.items():
            if self.search.slot_s and outcome in BREAKING:
                continue
            # Runs that say nothing do not undo a load that held once: they only fail to confirm it.
            if counts[outcome] >= tries and not (outcome in SAYING_NOTHING and counts["held"]):
                return limit
        return None

    def _lead(self, load: int) -> int:
        """Return how often a load held; in slots, how much more often than it broke."""
        counts = self.counts[load]
        return counts["held"] - (_breaks(counts) if self.search.slot_s else 0)


def _breaks(counts: Counter[StepOutcome]) -> int:
    return sum(counts[outcome] for outcome in BREAKING)
