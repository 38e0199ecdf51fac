"""
The search for capacity: which load to try next, and what the result is when it is over.

It raises the load until an objective fails, goes on in between, and confirms the result. In whole runs it doubles the
load and bisects (the logarithm), and one failure decides. In slots it goes where the figures say that the bound is, up
or down on the same server, and no single slot decides. A load that could not be measured is not one that failed: a
generator at its limit makes the result a lower bound.
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
LONGEST_STRIDE = 8.0
"""In slots a load is raised to so many times itself at most, or lowered to such a part."""
CAUTION = 0.9
"""A rise takes this share of the way (of logarithms) to where the nearest figure would be at its bound."""
FAR_BEYOND = 1.4
"""In slots a figure that is more times its bound counts as so many: where a core is full it says little."""
TRIES: dict[StepOutcome, tuple[int, Limit]] = {
    "failed": (1, "arm"),
    "unclear": (2, "arm"),
    "generator": (1, "generator"),
    "lost": (2, "generator"),
    "spoiled": (3, "machine"),
}
"""After so many runs with this outcome a load is too much (or can't be measured), and what then limits the search."""
TRIES_IN_SLOTS: dict[StepOutcome, tuple[int, Limit]] = {
    "generator": (2, "generator"),
    "lost": TRIES["lost"],
    "spoiled": TRIES["spoiled"],
}
"""The same in slots, which are soon asked again; how often the arm failed is counted apart (:data:`NEEDED_BREAKS`)."""
SAYING_NOTHING: tuple[StepOutcome, ...] = ("lost", "spoiled")
BREAKING: tuple[StepOutcome, ...] = ("failed", "unclear")
"""In slots both count alike, as a load is asked again after either."""
OVERDRAFT = 2.0
"""A search ends at so many times its budget, whatever is confirmed; only confirmations are begun beyond the budget and,
in slots, loads between bounds that are far from each other."""
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
    """At how many times this load the nearest figure would be at its bound, if it grew as the load does."""


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
        outcome: StepOutcome = "unclear" if by_chance else "failed"
        return SearchStep(run.connections, outcome, "; ".join(broken), headroom=_headroom(slo, load))
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
    overdraft_s = OVERDRAFT * search.budget_s
    if bounds.low is None:
        following = bounds.below() if spent_s <= search.budget_s else None
    else:
        ends_s = overdraft_s if bounds.say_little else search.budget_s
        following = bounds.between() if spent_s + _reserve_s(search, steps, spent_s) <= ends_s else None
    if following:
        return following
    if spent_s < overdraft_s and (unconfirmed := bounds.to_confirm()):
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
    return max(load + 1, _rounded_down(load * ratio))


def _rounded_down(connections: float) -> int:
    connections += 1e-9  # 1.1 is not exact
    unit = 10.0 ** (math.floor(math.log10(connections)) - 1) / 2
    return int(connections // unit * unit)


def _reserve_s(search: CapacitySearch, steps: Sequence[SearchStep], spent_s: float) -> float:
    """Estimate how many seconds the next load takes, with the confirmations of what it finds."""
    # In slots the start of the one server is in the mean, and what is found may have been asked already.
    return (NEEDED_HOLDS - (search.slot_s > 0)) * spent_s / len(steps) if steps else 0.0


class _Bounds:
    """What the steps say: the most that held, and the least that did not."""

    def __init__(self, search: CapacitySearch, steps: Sequence[SearchStep]) -> None:
        self.search = search
        self.steps = steps
        self.counts: dict[int, Counter[StepOutcome]] = {}
        for tried in steps:
            self.counts.setdefault(tried.connections, Counter())[tried.outcome] += 1
        self.last = steps[-1].connections if steps else None
        self.holds = {load: counts["held"] for load, counts in self.counts.items() if counts["held"]}
        self.too_much = {load: why for load in self.counts if (why := self._why_too_much(load))}
        broken = [load for load in self.counts if search.slot_s and self._broke(load) and self._lead(load) <= 0]
        self.high = min([*self.too_much, *broken], default=None)
        self.low = max((load for load in self.holds if self.high is None or load < self.high), default=None)

    def to_repeat(self) -> int | None:
        """Return the last load if its runs have not decided it yet; in slots, what failed clearly is left at once."""
        if self.last is None or self.last in self.too_much:
            return None
        if self.search.slot_s and self._broke(self.last) and self._lead(self.last) <= 0:
            return None if self.last not in self.holds and self.steps[-1].outcome == "failed" else self.last
        return None if self.last in self.holds else self.last

    def to_confirm(self) -> int | None:
        """
        Return a bound that was not met often enough, None if there is none.

        That is what held or, in slots, what failed next to it: far from it, it says nothing that counts.

        """
        unsure = [] if self.is_confirmed else [self.low]
        is_by_arm = self.high is not None and self.too_much.get(self.high, "arm") == "arm"
        if self.search.slot_s and self.high is not None and is_by_arm and self.is_near:
            unsure += [self.high] if self._broke(self.high) < self._needed_breaks(self.high) else []
        return self.last if self.last in unsure else next(iter(unsure), None)  # to change the load takes a second

    def _needed_breaks(self, high: int) -> int:
        """Return how often what failed has to; once more if by the figures of what held, it should have held, too."""
        headroom = None if self.low is None else self._headroom(self.low)
        is_doubtful = self.low is not None and headroom is not None and self.low * headroom > high
        return NEEDED_BREAKS + is_doubtful

    @property
    def is_confirmed(self) -> bool:
        """Whether the most that held did so often enough; true where nothing held."""
        return self.low is None or self._lead(self.low) >= NEEDED_HOLDS

    @property
    def is_near(self) -> bool:
        """Whether what failed is so near to what held that nothing in between is of interest."""
        return self.low is None or self.between() is None

    @property
    def say_little(self) -> bool:
        """Whether, in slots, what failed is far from what held: to hear of either again would be of no use."""
        if not self.search.slot_s or self.low is None or self.high is None:
            return False
        return self.high / self.low > self.search.precision**2

    def between(self) -> int | None:
        """Return the next load above what held, None if that is near enough to what did not."""
        assert self.low is not None  # noqa: S101 - it is asked only then
        if self.high is None:
            higher = min(self._higher(self.low), self.search.limit)
            return higher if higher > self.low else None
        ratio, precision = self.high / self.low, self.search.precision
        if ratio <= precision:
            return None
        middle = round_load(math.sqrt(self.low * self.high))
        if self.say_little:
            middle = raised(self.low, min(ratio / precision, max(precision, ratio ** self._way_up())))
        return middle if self.low < middle < self.high else None

    def below(self) -> int:
        """Return the first load or, where none held, one below the least that was too much; 0 if there is none."""
        if self.high is None:
            return self.search.start
        if not self.search.slot_s:
            return self.high // 2
        headroom = self._headroom(self.high) or 1.0
        share = max(1 / LONGEST_STRIDE, headroom) if headroom < 1 / self.search.precision else 1 / DOUBLING
        return _rounded_down(self.high * share) if self.high > 1 else 0

    def result(self) -> Capacity:
        """Return the result as it stands."""
        if self.high is None:
            limited_by: Limit = "limit" if self.low == self.search.limit else "budget"
        else:
            limited_by = self.too_much.get(self.high, "budget")
            if limited_by == "arm" and not (self.is_near and self.is_confirmed):
                limited_by = "budget"  # what fails is far from what holds, or what holds did so too seldom
        if self.low is None:
            return Capacity(None, self.high, limited_by, 0)
        breaks = self._broke(self.low) if self.search.slot_s else 0
        return Capacity(self.low, self.high, limited_by, self.holds[self.low] - 1, breaks)

    def _higher(self, low: int) -> int:
        """Return the next load above one that held, where none failed yet."""
        if not self.search.slot_s:
            return DOUBLING * low  # with a fresh server in any case, going too far costs nothing
        headroom = self._headroom(low)
        stride = DOUBLING if headroom is None else max(1.0, headroom) ** CAUTION
        return raised(low, max(self.search.precision, min(LONGEST_STRIDE, stride)))

    def _way_up(self) -> float:
        """Return which share of the way (of logarithms) from what held to what did not is likely to be the end."""
        assert self.low is not None  # noqa: S101 - both are known
        assert self.high is not None  # noqa: S101 - as above
        held, failed = self._headroom(self.low), self._headroom(self.high)
        if held is None or failed is None or not failed < 1 < held:
            return 0.5  # it broke by another figure, or held with a full core
        below, above = math.log(held), math.log(min(FAR_BEYOND, 1 / failed))
        return below / (below + above)

    def _headroom(self, load: int) -> float | None:
        found = [each.headroom for each in self.steps if each.connections == load and each.headroom is not None]
        return min(found, default=None)

    def _why_too_much(self, load: int) -> Limit | None:
        counts = self.counts[load]
        if self.search.slot_s and self._broke(load) >= NEEDED_BREAKS and self._lead(load) <= 0:
            return "arm"
        for outcome, (tries, limit) in (TRIES_IN_SLOTS if self.search.slot_s else TRIES).items():
            # Runs that say nothing do not undo a load that held once: they only fail to confirm it.
            if counts[outcome] >= tries and not (outcome in SAYING_NOTHING and counts["held"]):
                return limit
        return None

    def _lead(self, load: int) -> int:
        """Return how often a load held; in slots, how much more often than it broke."""
        return self.counts[load]["held"] - (self._broke(load) if self.search.slot_s else 0)

    def _broke(self, load: int) -> int:
        return sum(self.counts[load][outcome] for outcome in BREAKING)
