"""
What it does to a server that it is stopped and woken (SIGSTOP, SIGCONT) again and again, as an arm in slots is.

``python -m tests.bench.standing [--only asyncio-managed,gevent-process] [--pairs 10]``. For each backend and design so
many pairs of servers of the same kind, fresh in each pair, run at once on the servers' core, half a period apart: one
is stopped and woken ``--stops`` times (20; 200 in ten pairs), the other never. Then both are measured at once, so that
whatever the machine does meanwhile it does to both; which of a pair is stopped is drawn.

Of each of five figures the logarithm of the stopped one's to the other's is one value a pair, and the interval is
Student's over pairs, which are independent, as all their processes are. A line for every design, all designs of a
backend, and all. Then a table says for how long a server is slower after it is woken: what a slot throws away has to be
longer than that.

All designs take 15 minutes; nothing else should run meanwhile, or the whole under ``chrt -f 10``. By then the tail of a
single design is told to some 5 %, and its interval error to 20 %: ``--pairs`` has more of them.
"""

import argparse
import math
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil

from shared.loops.modes import MODES
from tests.conftest import Arm
from tests.support.stamped_reader import Frames, StampedReader
from tickbench.children.commands import python_command
from tickbench.children.processes import Child, Guard, Nursery
from tickbench.compare.trial import wait_until_ready
from tickbench.statistics.verdicts import Ratio, paired_ratio

FLAGS = ("--bots", "10", "--seed", "20", "--speed", "20", "--tick-budget", "0", "--port", "0")
PERIOD_S = 0.05
PHASES = (0.0, 0.5)
"""Of the two servers' ticks, in periods: no tick of one meets a tick of the other."""
CUT_AT = 0.4
"""In periods: when a server is woken for the slot, and its parts end; 20 ms after one tick is due, 5 before another."""
CONNECTIONS = 300
EXTRA = 300
"""Connections that come at the end, to weigh the memory of one."""
WARM_UP_S = 0.5
RUN_S = (0.01, 0.03)
"""How long it runs between two of its stops: by chance, so that these come anywhere within a tick."""
PAUSE_S = 0.005
LAST_PAUSE_S = 0.3
"""That of the last stop: long enough for TCP to notice it, as in a comparison (docs/measuring.md)."""
EDGES_S = (0.0, 0.1, 0.25, 0.4, 0.6, 0.85, 1.85, 2.85, 3.85)
"""Of the slot, since one of the servers was woken; what is before :data:`MEASURED` is thrown away for both."""
MEASURED = EDGES_S.index(0.85)
"""By then 17 ticks were due, and TCP delays its acknowledgements again. From here on the parts have one length: the
99th percentile of a longer one would hang on one burst."""
MARGIN = 1.05
TIMES = ("lateness p50", "lateness p99", "interval error p99", "CPU a frame")
MEMORY = "memory a connection"
FIGURES = (*TIMES, MEMORY)

Logs = dict[str, float]
"""By figure the logarithm of the stopped server's to the other's; one that either lacks is left out."""


@dataclass(frozen=True)
class Server:
    """A server process with all of its group."""

    child: Child
    url: str
    connections: frozenset[int]
    """As the reader numbers them."""
    pids: tuple[int, ...]

    def cpu_us(self) -> float:
        """Return the CPU time of all its processes: clock_gettime(2) of another process's clock."""
        return sum(time.clock_gettime_ns(~pid << 3 | 2) for pid in self.pids) / 1000

    def rss_bytes(self) -> float:
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids)


@dataclass(frozen=True)
class Outcome:
    """What came of one pair."""

    parts: list[Logs]
    """Of the slot, by :data:`EDGES_S`."""
    memory: Logs

    @property
    def logs(self) -> Logs:
        """The figures: the means of those of all measured parts."""
        return mean_of(self.parts[MEASURED:]) | self.memory

    def after_wake(self, part: int) -> Logs:
        """Return what a part of the slot has beyond what is measured."""
        found, measured = self.parts[part], self.logs
        return {name: found[name] - measured[name] for name in found if name in measured}


class Pair:
    """Two servers that run at once: one that is stopped and woken, and one that never is."""

    def __init__(self, stopped: Server, other: Server, reader: StampedReader) -> None:
        self.stopped, self.other = stopped, other
        self.reader = reader

    def stop_often(self, stops: int, chance: random.Random) -> None:
        """Stop the one so many times; after the last it is not woken yet."""
        for left in reversed(range(stops)):
            self.reader.read(chance.uniform(*RUN_S))
            self.stopped.child.stand_still()
            self.reader.read(PAUSE_S if left else LAST_PAUSE_S)
            if left:
                self.stopped.child.wake()

    def measure_slot(self) -> list[Logs]:
        """Wake the one, and return the figures of each part of the slot."""
        self.reader.read(until_next_cut_s(time.time()))
        self.reader.take()
        woken_s = time.time()
        self.stopped.child.wake()
        cpu_us = [self.cpu_us()]
        for edge_s in EDGES_S[1:]:
            self.reader.read(woken_s + edge_s - time.time())
            cpu_us.append(self.cpu_us())
        self.reader.read(CUT_AT * PERIOD_S)
        frames = self.reader.take()
        marks_us = [1e6 * (woken_s + edge_s) for edge_s in EDGES_S]
        parts = []
        for span_us, costs_us in zip(pairwise(marks_us), np.diff(cpu_us, axis=0).tolist(), strict=True):
            due = frames.due_within(*span_us)
            each = zip(self, costs_us, strict=True)
            parts.append(logs_of(*(figures_of(due.of(server.connections), cost_us) for server, cost_us in each)))
        return parts

    def weigh(self) -> Logs:
        """Have more connections come to both, and compare the bytes of one."""
        before = [server.rss_bytes() for server in self]
        for server in self:
            self.reader.connect(server.url, EXTRA)
        self.reader.read(0.5)
        grown = [server.rss_bytes() - bytes_before for server, bytes_before in zip(self, before, strict=True)]
        return logs_of({MEMORY: grown[0] / EXTRA}, {MEMORY: grown[1] / EXTRA})

    def cpu_us(self) -> list[float]:
        return [server.cpu_us() for server in self]

    def __iter__(self) -> Iterator[Server]:
        return iter((self.stopped, self.other))


def until_next_cut_s(now_s: float) -> float:
    """Return the time until :data:`CUT_AT` of a period, which are counted from the epoch."""
    return (CUT_AT * PERIOD_S - now_s) % PERIOD_S


def figures_of(frames: Frames, cpu_us: float) -> dict[str, float]:
    """Return the figures of a time; times in microseconds."""
    if not len(frames.due_us):
        return {}
    late, errors = frames.lateness_us, frames.interval_errors_us(1e6 * PERIOD_S)
    values = [np.percentile(late, 50), np.percentile(late, 99), np.percentile(errors, 99) if len(errors) else 0]
    return dict(zip(TIMES, [*map(float, values), cpu_us / len(late)], strict=True)) | {
        "lateness p90": float(np.percentile(late, 90))
    }


def logs_of(stopped: dict[str, float], other: dict[str, float]) -> Logs:
    """Return the logarithms of the ratios of figures that both have."""
    return {
        name: math.log(stopped[name] / other[name])
        for name in stopped.keys() & other.keys()
        if min(stopped[name], other[name]) > 0
    }


def mean_of(parts: Sequence[Logs]) -> Logs:
    """Return the mean of each figure, over the parts that have it."""
    names = {name for part in parts for name in part}
    return {name: float(np.mean([part[name] for part in parts if name in part])) for name in names}


@contextmanager
def running_pair(arm: Arm, which_stops: int, cores: list[int]) -> Iterator[Pair]:
    """Start two servers of an arm with their connections; the one that is to stop is the first or the second."""
    command = [*python_command(f"backends.{arm.backend}_server"), *FLAGS, "--mode", arm.mode]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        nursery = stack.enter_context(Nursery(stack.enter_context(Guard())))
        reader = stack.enter_context(StampedReader())
        children = [
            nursery.start("server", [*command, "--phase", str(phase)], log=folder / f"{number}.log", cpus=cores[:1])
            for number, phase in enumerate(PHASES)
        ]
        urls = [wait_until_ready(child, None) for child in children]
        connections = [reader.connect(url, CONNECTIONS) for url in urls]
        reader.read(WARM_UP_S)
        servers = [
            Server(child, url, frozenset(of), tuple(pids_of(child)))
            for child, url, of in zip(children, urls, connections, strict=True)
        ]
        yield Pair(servers[which_stops], servers[1 - which_stops], reader)


def pids_of(child: Child) -> list[int]:
    return [child.pid, *(each.pid for each in psutil.Process(child.pid).children(recursive=True))]


def measure_pair(
    arm: Arm, which_stops: int, given: argparse.Namespace, chance: random.Random, cores: list[int]
) -> Outcome:
    """Measure one pair: stops, a slot, memory."""
    with running_pair(arm, which_stops, cores) as pair:
        pair.stop_often(given.stops, chance)
        return Outcome(pair.measure_slot(), pair.weigh())


def verdict_of(ratio: Ratio | None) -> str:
    if ratio is None or ratio.low is None or ratio.high is None:
        return "?"
    if ratio.low >= 1 / MARGIN and ratio.high <= MARGIN:
        return "="
    return "?" if ratio.low <= 1 <= ratio.high else "DIFFERS"


def ratio_of(outcomes: Iterable[Logs], figure: str) -> Ratio | None:
    """Return the ratio with its interval over pairs, those without the figure left out."""
    return paired_ratio([logs[figure] for logs in outcomes if figure in logs])


def show(name: str, outcomes: list[Outcome]) -> None:
    ratios = {figure: ratio_of([each.logs for each in outcomes], figure) for figure in FIGURES}
    words = [f"{figure} {said(ratio)} {verdict_of(ratio)}" for figure, ratio in ratios.items()]
    kinds = {verdict_of(ratio) for ratio in ratios.values()}
    end = {"=": "equivalent within 5 %"}.get("".join(kinds), "not shown to be equivalent within 5 %")
    sys.stdout.write(
        f"{name}, {len(outcomes)} pairs: {'; '.join(words)}: {'a difference' if 'DIFFERS' in kinds else end}\n"
    )
    sys.stdout.flush()


def said(ratio: Ratio | None) -> str:
    return ratio.words if ratio else "unknown"


def show_after_wake(backend: str, outcomes: list[Outcome]) -> None:
    """Say how each part of a slot compares with what is measured."""
    figures = ("lateness p50", "lateness p90", "CPU a frame")
    sys.stdout.write(f"{backend}, woken to not woken, beside the same from {EDGES_S[MEASURED]:g} s on:\n")
    for part, (start_s, end_s) in enumerate(pairwise(EDGES_S[: MEASURED + 1])):
        logs = [each.after_wake(part) for each in outcomes]
        words = [f"{figure} {said(ratio_of(logs, figure))}" for figure in figures]
        sys.stdout.write(f"  {start_s:g} to {end_s:g} s: {'; '.join(words)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="such as asyncio-managed,gevent-process; all by default")
    parser.add_argument("--pairs", type=int, default=10, help="of each")
    parser.add_argument("--stops", type=int, default=20, help="of one of each pair")
    parser.add_argument("--seed", type=int, default=18)
    given = parser.parse_args()
    arms = [Arm(backend, "", mode) for backend in ("asyncio", "gevent") for mode in MODES]
    chosen = [arm for arm in arms if not given.only or f"{arm.backend}-{arm.mode}" in given.only.split(",")]
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    chance = random.Random(given.seed)
    outcomes: dict[Arm, list[Outcome]] = defaultdict(list)
    sides = {arm: drawn_sides(given.pairs, chance) for arm in chosen}
    for number in range(given.pairs):
        for arm in chosen:
            outcomes[arm].append(measure_pair(arm, sides[arm][number], given, chance, cores))
            show(f"{arm.backend} {arm.mode}", outcomes[arm])
    groups = {backend: [arm for arm in chosen if arm.backend == backend] for backend in ("asyncio", "gevent")}
    for name, members in (groups | {"all": chosen}).items():
        if members:
            show(name, [each for arm in members for each in outcomes[arm]])
    for backend, members in groups.items():
        if members:
            show_after_wake(backend, [each for arm in members for each in outcomes[arm]])


def drawn_sides(pairs: int, chance: random.Random) -> list[int]:
    """Draw for each pair which of its two servers is to stop: as often the first as the second."""
    sides = [number % len(PHASES) for number in range(pairs)]
    chance.shuffle(sides)
    return sides


if __name__ == "__main__":
    main()
