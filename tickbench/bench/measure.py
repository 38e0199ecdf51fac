"""Time fan-outs and timers on all arms, in turns, and make figures and ratios of what was timed."""

import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from shared.measure.blocks import ClockBlock, FanoutBlock, turns
from tickbench.bench.arms import CLOCK_ARMS, PEER, PEER_WAYS, bench_command, lacking
from tickbench.bench.children import BenchChild
from tickbench.bench.ratios import RatioEstimate, estimate, estimate_difference, ratios
from tickbench.children.processes import Nursery
from tickbench.machine.pinning import Pinning

TEXT_BYTES = 430
"""Length of a frame's text: that of ten snakes."""
TICKS_A_BLOCK = 10

CLOCK_WAYS = ["time.sleep", "timerfd", "loop"]
CLOCK_RATES_HZ = (20, 60)
BUSY_CONNECTIONS = 500

TimedAct = Callable[[], None]
Case = tuple[str, int, int]
"""Arm, ticks a second, connections."""


class FanoutFigure(Struct, frozen=True):
    """One way to send, on one arm: microseconds a connection; to raw the ratios of its ticks, to picows of medians."""

    arm: str
    way: str
    us: list[list[float]]
    """Microseconds a connection of each tick, by repeat."""
    cost_us: RatioEstimate
    to_raw: RatioEstimate | None
    to_peer: RatioEstimate | None


class ClockFigure(Struct, frozen=True):
    """One way to wait, on one arm: how late it ended, in microseconds, beside ``time.sleep``."""

    arm: str
    way: str
    rate_hz: float
    connections: int
    """How many got a frame after each wait; 0: an idle process."""
    late_us: list[list[float]]
    """Microseconds of each wait, by repeat."""
    p50_us: float
    p99_us: float
    p99_beyond_sleep_us: RatioEstimate


@contextmanager
def bench_children(
    arms: Iterable[str], pinning: Pinning, scratch: Path, readers: int
) -> Iterator[dict[str, BenchChild]]:
    """Start one bench for each arm; end them all with the block."""
    with Nursery() as nursery:
        yield {arm: BenchChild(nursery, pinning, scratch, arm, bench_command(arm, readers), readers) for arm in arms}


def measure_fanout(
    pinning: Pinning,
    scratch: Path,
    ways: Mapping[str, Sequence[str]],
    connections: int,
    repeats: int,
    step: TimedAct,
) -> list[FanoutFigure]:
    """
    Time all ``ways`` to send, by arm, ``repeats`` blocks an arm, in turns; ``step`` is called after each block.

    An arm's ways take turns tick by tick: what is compared most closely is timed within milliseconds of each other.

    Raises:
        RunFailedError: a bench could not be started, or broke off.

    """
    us: dict[tuple[str, str], list[list[float]]] = {(arm, way): [] for arm in ways for way in ways[arm]}
    blocks = {arm: FanoutBlock(list(ways[arm]), TICKS_A_BLOCK, TEXT_BYTES) for arm in ways}
    with bench_children(ways, pinning, scratch, connections) as children:
        for arm, block in blocks.items():  # not counted: it fills caches
            children[arm].time(block)
        for arm in turns(list(ways), repeats):
            for way, ticks_us in children[arm].time(blocks[arm]).us.items():
                us[arm, way].append(ticks_us)
            step()
    return [_fanout_figure(arm, way, us) for arm, way in us]


def measure_clocks(pinning: Pinning, scratch: Path, ticks: int, repeats: int, step: TimedAct) -> list[ClockFigure]:
    """
    Time every way to wait, in turns tick by tick, ``ticks`` of each a repeat; ``step`` is called after each repeat.

    Raises:
        RunFailedError: a bench could not be started, or broke off.

    """
    arms = [arm for arm in CLOCK_ARMS if arm not in lacking(CLOCK_ARMS)]
    cases = list(itertools.product(arms, CLOCK_RATES_HZ, (0, BUSY_CONNECTIONS)))
    late: dict[Case, dict[str, list[list[float]]]] = {case: {way: [] for way in CLOCK_WAYS} for case in cases}
    with bench_children(arms, pinning, scratch, BUSY_CONNECTIONS) as children:
        for number, case in enumerate(turns(cases, repeats), 1):
            arm, rate_hz, connections = case
            timed = children[arm].time(ClockBlock(CLOCK_WAYS, ticks, rate_hz, connections, TEXT_BYTES))
            for way, us in timed.us.items():
                late[case][way].append(us)
            if number % len(cases) == 0:
                step()
    return [_clock_figure(case, way, late[case]) for case in cases for way in CLOCK_WAYS]


def percentile(values: list[float], percent: float) -> float:
    """Return the least value that ``percent`` of them do not exceed (nearest rank, as HdrHistogram counts)."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def _fanout_figure(arm: str, way: str, us: dict[tuple[str, str], list[list[float]]]) -> FanoutFigure:
    medians_us = {key: [statistics.median(ticks_us) for ticks_us in repeats] for key, repeats in us.items()}
    ours, raw, peer = medians_us[arm, way], us.get((arm, "raw")), medians_us.get((PEER, *PEER_WAYS))
    return FanoutFigure(
        arm,
        way,
        us[arm, way],
        estimate(ours),
        estimate(tick_ratios(us[arm, way], raw)) if raw and way != "raw" else None,
        estimate(ratios(ours, peer)) if peer and way != "raw" and arm != PEER else None,
    )


def tick_ratios(ours: list[list[float]], raw: list[list[float]]) -> list[float]:
    """
    Return of each repeat the median of the ratios of ticks that were sent one after the other.

    A core that others use as well sends at two speeds, half as fast again for a while: within one tick and the next it
    seldom changes, within the ten of a repeat it does, and then medians of either way are of one speed or the other.
    """
    return [statistics.median(ratios(*both)) for both in zip(ours, raw, strict=True)]


def _clock_figure(case: Case, way: str, late: dict[str, list[list[float]]]) -> ClockFigure:
    arm, rate_hz, connections = case
    waits_us = list(itertools.chain.from_iterable(late[way]))
    beyond_us = estimate_difference(late[way], late["time.sleep"], lambda values: percentile(values, 99))
    return ClockFigure(
        arm, way, rate_hz, connections, late[way], percentile(waits_us, 50), percentile(waits_us, 99), beyond_us
    )
