"""Time fan-outs and timers on all arms, in turns, and make figures and ratios of what was timed."""

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from shared.measure.blocks import ClockBlock, FanoutBlock, turns
from shared.system.packages import DISTRIBUTIONS
from tickbench.bench.children import BenchChild
from tickbench.bench.ratios import RatioEstimate, estimate, estimate_difference, ratios
from tickbench.children.processes import Nursery
from tickbench.machine.pinning import Pinning

TEXT_BYTES = 430
"""Length of a frame's text: that of ten snakes."""
TICKS_A_BLOCK = 10

PEER = "picows on uvloop"
ARMS: dict[str, tuple[str, ...]] = {
    "asyncio": ("backends.asyncio_server.bench", "--loop", "asyncio"),
    "asyncio:loop=uvloop": ("backends.asyncio_server.bench", "--loop", "uvloop"),
    "gevent": ("backends.gevent_server.bench", "--loop", "libev"),
    "gevent:loop=libuv": ("backends.gevent_server.bench", "--loop", "libuv"),
    "gevent:fanout=library": ("backends.gevent_server.bench", "--fanout", "library"),
}
"""Arm to its command. gevent's library writer has a greenlet a connection, so it is a server of its own."""
FANOUT_WAYS: dict[str, tuple[str, ...]] = {
    "asyncio": ("raw", "frame-once", "library", "recording"),
    "asyncio:loop=uvloop": ("raw", "frame-once", "library"),
    "gevent": ("raw", "frame-once", "recording"),
    "gevent:loop=libuv": ("raw", "frame-once"),
    "gevent:fanout=library": ("raw", "library"),
}
NEEDS = {
    "asyncio": ("aiohttp",),
    "asyncio:loop=uvloop": ("aiohttp", "uvloop"),
    "gevent": ("gevent", "geventwebsocket", "flask"),
    "gevent:loop=libuv": ("gevent", "geventwebsocket", "flask", "_cffi_backend"),
    "gevent:fanout=library": ("gevent", "geventwebsocket", "flask"),
    PEER: ("picows", "uvloop"),  # for developers only
}
"""The modules that an arm imports and that may not be installed."""
CLOCK_ARMS = ["asyncio", "asyncio:loop=uvloop", "gevent", "gevent:loop=libuv"]
CLOCK_WAYS = ["time.sleep", "timerfd", "loop"]
CLOCK_RATES_HZ = (20, 60)
BUSY_CONNECTIONS = 500

TimedAct = Callable[[], None]
Case = tuple[str, int, int]
"""Arm, ticks a second, connections."""


class FanoutFigure(Struct, frozen=True):
    """One way to send, on one arm: microseconds a connection, and the ratios of the repeats' medians."""

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


def lacking(parts: Sequence[str]) -> dict[str, str]:
    """Return the arms of these parts that cannot be timed, each with the package that it lacks."""
    arms = [*ARMS, PEER] if "fanout" in parts else CLOCK_ARMS if "timer" in parts else []
    lacks = {arm: [package for package in NEEDS.get(arm, ()) if find_spec(package) is None] for arm in arms}
    return {arm: DISTRIBUTIONS.get(packages[0], packages[0]) for arm, packages in lacks.items() if packages}


def fanout_arms() -> dict[str, tuple[str, ...]]:
    """Return the arms whose fan-outs are timed, picows among them, each with its command."""
    arms = {**ARMS, PEER: ("tickbench.bench.peer",)}
    return {arm: command for arm, command in arms.items() if arm not in lacking(["fanout"])}


@contextmanager
def bench_children(
    arms: dict[str, tuple[str, ...]], pinning: Pinning, scratch: Path, readers: int
) -> Iterator[dict[str, BenchChild]]:
    """Start one bench for each arm; end them all with the block."""
    with Nursery() as nursery:
        yield {arm: BenchChild(nursery, pinning, scratch, bench, readers) for arm, bench in arms.items()}


def measure_fanout(
    pinning: Pinning, scratch: Path, connections: int, repeats: int, step: TimedAct
) -> list[FanoutFigure]:
    """
    Time every way to send, ``repeats`` blocks an arm, in turns; ``step`` is called after each block.

    An arm's ways take turns tick by tick: what is compared most closely is timed within milliseconds of each other.

    Raises:
        RunFailedError: a bench could not be started, or broke off.

    """
    arms, ways = fanout_arms(), {**FANOUT_WAYS, PEER: ("broadcast",)}
    us: dict[tuple[str, str], list[list[float]]] = {(arm, way): [] for arm in arms for way in ways[arm]}
    blocks = {arm: FanoutBlock(list(ways[arm]), TICKS_A_BLOCK, TEXT_BYTES) for arm in arms}
    with bench_children(arms, pinning, scratch, connections) as children:
        for arm, block in blocks.items():  # not counted: it fills caches
            children[arm].time(block)
        for arm in turns(list(arms), repeats):
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
    arms = {arm: ARMS[arm] for arm in CLOCK_ARMS if arm not in lacking(["timer"])}
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
    ours, raw, peer = medians_us[arm, way], medians_us.get((arm, "raw")), medians_us.get((PEER, "broadcast"))
    return FanoutFigure(
        arm,
        way,
        us[arm, way],
        estimate(ours),
        estimate(ratios(ours, raw)) if raw and way != "raw" else None,
        estimate(ratios(ours, peer)) if peer and way != "raw" and arm != PEER else None,
    )


def _clock_figure(case: Case, way: str, late: dict[str, list[list[float]]]) -> ClockFigure:
    arm, rate_hz, connections = case
    waits_us = list(itertools.chain.from_iterable(late[way]))
    beyond_us = estimate_difference(late[way], late["time.sleep"], lambda values: percentile(values, 99))
    return ClockFigure(
        arm, way, rate_hz, connections, late[way], percentile(waits_us, 50), percentile(waits_us, 99), beyond_us
    )
