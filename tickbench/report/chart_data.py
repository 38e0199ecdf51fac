"""
Compute what the page draws beside its tables; ``results.json`` has it, and charts are made of it alone.

As everywhere, only runs in which the figure can be trusted count, or all if there is none.
"""

import statistics
from itertools import product

from msgspec import Struct

from shared.measure.histogram import Histogram, HistogramSummary
from shared.measure.summary import LoadSummary
from tickbench.arms import BACKENDS, Arm
from tickbench.compare.runs import Basis, RunIndex
from tickbench.report.decision import is_heavy
from tickbench.report.news import counted_words

LATENESS = "tick_lateness_ms"
STAGES = "stages"
PINGS = "ping_rtt_ms.p99"


class Lateness(Struct, frozen=True):
    """The tick lateness of an arm in the blocks, all counted runs together."""

    arm: str
    is_spoiled: bool
    """It can be trusted in none of the runs."""
    lateness_ms: HistogramSummary


class StallPoint(Struct, frozen=True):
    """A stretch of a run in which others had stopped reading."""

    at_s: float
    """Its middle, in seconds since the others stopped reading."""
    came_percent: float
    """Of the ticks that were due to those who went on reading."""


class Stall(Struct, frozen=True):
    """The time line of one run of an arm in the side with stalled clients."""

    side: str
    arm: str
    is_spoiled: bool
    points: list[StallPoint]


class LoopPing(Struct, frozen=True):
    """Pings beside a heavy tick, of an arm that differs from the defaults by its loop design only."""

    side: str
    backend: str
    mode: str
    is_spoiled: bool
    ping_p99_ms: float
    """The median over the runs."""


def lateness_of(index: RunIndex) -> list[Lateness]:
    """Return the lateness of each arm, in the suite's order; one without a run has a count of 0."""
    found = []
    for arm in index.suite.parsed_arms():
        basis, pooled = Basis.of(index.block_runs(arm.name), LATENESS), Histogram()
        for load in basis.loads:
            pooled.add(Histogram.from_summary(load.tick_lateness_ms))
        found.append(Lateness(arm.name, basis.is_doubtful, pooled.summary()))
    return found


def stalls_of(index: RunIndex) -> list[Stall]:
    """Return the time lines of the first side with stalled clients, one an arm."""
    suite, found = index.suite, []
    sides = [side for side in suite.sides if side.scenario == "stall"][:1]
    for side, arm in product(sides, suite.arms):
        basis = Basis.of(index.side_runs(side.name, arm, side.loads[0]), STAGES)
        load = next((load for load in basis.loads if load.stages), None)
        if load is not None and load.tick_rate_hz:
            points = _stall_points(load, load.tick_rate_hz)
            found.append(Stall(side.name, arm, basis.is_doubtful, points))
    return found


def _stall_points(load: LoadSummary, rate_hz: float) -> list[StallPoint]:
    return [
        StallPoint(
            stage.start_s + stage.duration_s / 2,
            100 * stage.received / (stage.duration_s * rate_hz * max(1, stage.connections)),
        )
        for stage in load.stages
    ]


def loop_pings_of(index: RunIndex) -> list[LoopPing]:
    """Return the pings of the first side with heavy ticks, by loop design."""
    suite, found = index.suite, []
    heavy = [side for side in suite.sides if is_heavy(side)][:1]
    for side, arm in [(each, arm) for each in heavy for arm in suite.arms_of(each)]:
        basis, mode = Basis.of(index.side_runs(side.name, arm.name, side.loads[0]), PINGS), _mode_of(arm)
        pings = [load.ping_rtt_ms.p99 for load in basis.loads if load.ping_rtt_ms.p99 is not None]
        if mode is not None and pings:
            found.append(LoopPing(side.name, arm.backend, mode, basis.is_doubtful, statistics.median(pings)))
    return found


def _mode_of(arm: Arm) -> str | None:
    """Return the loop design of an arm that differs from the defaults by nothing else."""
    settings = dict(arm.settings)
    settings.pop("worker-nice", None)
    mode = settings.pop("mode", "managed")
    return None if settings or arm.backend not in BACKENDS else mode


def limits_of(index: RunIndex) -> dict[str, float]:
    """Return the thresholds that a run is held to, as its generator kept them."""
    return next((run.load.limits for run in index.runs if run.load is not None and run.load.limits), {})


def arrival_sentence(index: RunIndex) -> str:
    """Say where the time of a frame's arrival comes from."""
    read = [run.number for run in index.runs if run.load is not None and run.load.generator.timestamps == "read"]
    if not read:
        return "A frame's arrival is the kernel's receive timestamp."
    if len(read) == sum(run.load is not None for run in index.runs):
        return "A frame's arrival is when the generator read it: the system gave no receive timestamps."
    return (
        "A frame's arrival is the kernel's receive timestamp; but when the generator read it in "
        f"{counted_words(len(read), 'run')}, {read[0]} the first, as the system gave none there."
    )
