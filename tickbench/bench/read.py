"""Time how all arms read: small messages that are answered, in turns, and the figures made of what was timed."""

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from shared.measure.blocks import turns
from tickbench.bench.arms import BARE, PEER
from tickbench.bench.children import ReadChild
from tickbench.bench.ratios import RatioEstimate, estimate, ratios
from tickbench.bench.talkers import ReadBlock
from tickbench.children.processes import Nursery
from tickbench.machine.pinning import Pinning

CONNECTIONS = 50
LOADS = {
    "alone": ReadBlock(rate_hz=1000, at_once=1, burst=1, seconds=1.0),
    "together": ReadBlock(rate_hz=10_000, at_once=CONNECTIONS, burst=2, seconds=1.0),
}
"""
Messages that come one by one to a server that sleeps: what is timed is, above all, its being woken. And those that come
all at once, two in a packet: what is timed is the code that reads and answers.
"""


ByCase = dict[tuple[str, str], list[float]]
"""By arm and load, one value a repeat."""


class ReadFigure(Struct, frozen=True):
    """One arm under one load: what a message costs the server, and how soon it is answered; medians of the repeats."""

    arm: str
    load: str
    cpu_us: list[float]
    """The server's CPU time a message, by repeat."""
    latency_us: list[float]
    """From the sending of a packet to the arrival of the last of its answers: the median, by repeat."""
    per_second: float
    """Messages that were answered in a second: the median of the repeats."""
    cost_us: RatioEstimate
    cost_to_bare: RatioEstimate | None
    cost_to_peer: RatioEstimate | None
    answered_us: RatioEstimate
    answered_to_bare: RatioEstimate | None
    answered_to_peer: RatioEstimate | None


def measure_read(
    pinning: Pinning, scratch: Path, commands: Mapping[str, list[str]], repeats: int, step: Callable[[], None]
) -> list[ReadFigure]:
    """
    Have each arm, which its command serves, read under each load, ``repeats`` times, in turns; each turn is a ``step``.

    All serve from the beginning, each with its connections; one at a time runs, and the others stand still.

    Raises:
        RunFailedError: an arm could not be started, or broke off.

    """
    cpu_us: ByCase = {(arm, load): [] for load in LOADS for arm in commands}
    latency_us: ByCase = {key: [] for key in cpu_us}
    per_second: ByCase = {key: [] for key in cpu_us}
    with Nursery() as nursery:
        children = {
            arm: ReadChild(nursery, pinning, scratch, arm, command, CONNECTIONS) for arm, command in commands.items()
        }
        for arm in turns(list(commands), repeats):
            for load, timed in zip(LOADS, children[arm].time(list(LOADS.values())), strict=True):
                cpu_us[arm, load].append(timed.cpu_us)
                latency_us[arm, load].append(statistics.median(timed.latency_us))
                per_second[arm, load].append(timed.per_second)
            step()
    return [_figure(key, cpu_us, latency_us, statistics.median(per_second[key])) for key in cpu_us]


def _figure(key: tuple[str, str], cpu_us: ByCase, latency_us: ByCase, per_second: float) -> ReadFigure:
    arm, load = key

    def to(other: str, us: ByCase) -> RatioEstimate | None:
        is_other = arm != other and (other, load) in us and arm != BARE
        return estimate(ratios(us[arm, load], us[other, load])) if is_other else None

    return ReadFigure(
        arm,
        load,
        cpu_us[arm, load],
        latency_us[arm, load],
        per_second,
        estimate(cpu_us[arm, load]),
        to(BARE, cpu_us),
        to(PEER, cpu_us),
        estimate(latency_us[arm, load]),
        to(BARE, latency_us),
        to(PEER, latency_us),
    )
