"""
What it does to a server that it is stopped and woken (SIGSTOP, SIGCONT) again and again, as an arm in slots is.

``python -m tests.bench.standing [--only asyncio-managed,gevent-process] [--rounds 2]``. For each backend and design two
servers of the same kind, both fresh, share the server's core: one is stopped and woken ``--stops`` times (200), the
other runs for as long without a stop. Before and after that both are measured in slots, the one who is not measured
standing still, as often before as behind the other. What counts is how much the one changed to how much the other did:
whatever else sets two processes apart cancels.

Five figures; a line each for every pair, all designs of a backend, and all. Then a table says for how long a server is
slower after it is woken: what a slot throws away has to be longer than that. A round takes about ten minutes; nothing
else should run meanwhile.
"""

import argparse
import math
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
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
PERIOD_US = 50_000
CONNECTIONS = 300
EXTRA = 300
"""Connections that come at the end, to weigh the memory of one."""
WARM_UP_S = 1.5
RUN_S = (0.02, 0.04)
"""How long it runs between two of its many stops: by chance, so that these come anywhere within a tick."""
PAUSE_S = 0.005
EDGES_S = (0.0, 0.1, 0.25, 0.4, 0.6, 0.85, 1.1, 1.4, 1.85)
"""Of a slot, since it was woken; what is before :data:`THROWN` is not measured."""
THROWN = EDGES_S.index(0.85)
SETTLED = EDGES_S.index(0.85)
"""By then 16 ticks have come, and TCP delays its acknowledgements again (docs/measuring.md, in slots)."""
STILL_S = 0.3
"""For as long both stand still before every slot, or TCP would notice the pause of one and not that of the other."""
MARGIN = 1.05
TIMES = ("lateness p50", "lateness p99", "interval error p99", "CPU a frame")
FIGURES = (*TIMES, "memory a connection")


@dataclass
class Server:
    """A server process with all of its group, and what was measured of it, slot by slot."""

    child: Child
    url: str
    slots: list[dict[str, float]] = field(default_factory=list)
    after_wake: list[list[dict[str, float]]] = field(default_factory=list)
    """Of each slot the figures of each part, by :data:`EDGES_S`."""

    def pids(self) -> list[int]:
        return [self.child.pid, *(each.pid for each in psutil.Process(self.child.pid).children(recursive=True))]

    def cpu_us(self) -> float:
        """Return the CPU time of all its processes: clock_gettime(2) of another process's clock."""
        return sum(time.clock_gettime_ns(~pid << 3 | 2) for pid in self.pids()) / 1000

    def rss_bytes(self) -> float:
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids())


def measure_slot(server: Server, reader: StampedReader) -> None:
    """Wake it, measure, and have it stand still again."""
    time.sleep(STILL_S)
    reader.take()
    woken_s = time.time()
    server.child.wake()
    cpu_us = []
    for edge_s in EDGES_S:
        reader.read(woken_s + edge_s - time.time())
        cpu_us.append(server.cpu_us())
    server.child.stand_still()
    reader.read(0.02)
    frames = reader.take()
    marks_us = [1e6 * (woken_s + edge_s) for edge_s in EDGES_S]
    parts = [
        figures_of(frames.due_within(*span), cost_us)
        for span, cost_us in zip(pairwise(marks_us), np.diff(cpu_us).tolist(), strict=True)
    ]
    server.after_wake.append(parts)
    whole = frames.due_within(marks_us[THROWN], marks_us[-1])
    server.slots.append(figures_of(whole, cpu_us[-1] - cpu_us[THROWN]))


def figures_of(frames: Frames, cpu_us: float) -> dict[str, float]:
    """Return the figures of a time; times in microseconds."""
    if not len(frames.due_us):
        return {}
    late, errors = frames.lateness_us, frames.interval_errors_us(PERIOD_US)
    values = [np.percentile(late, 50), np.percentile(late, 99), np.percentile(errors, 99) if len(errors) else 0]
    return dict(zip(TIMES, [*map(float, values), cpu_us / len(late)], strict=True)) | {
        "lateness p90": float(np.percentile(late, 90))
    }


def measure_slots(pair: list[Server], reader: StampedReader, number: int, chance: random.Random) -> None:
    """Measure each so often, as often before as behind the other one."""
    order = list(pair)
    chance.shuffle(order)
    for slot in range(number):
        for server in order if slot % 2 == 0 else reversed(order):
            measure_slot(server, reader)


def stop_often(server: Server, reader: StampedReader, stops: int, chance: random.Random) -> float:
    """Wake it and let it stand still, so many times; return for how many seconds it ran in all."""
    ran_s = 0.0
    for _ in range(stops):
        server.child.wake()
        ran_s += (run_s := chance.uniform(*RUN_S))
        reader.read(run_s)
        server.child.stand_still()
        time.sleep(PAUSE_S)
    return ran_s


def run_for(server: Server, reader: StampedReader, seconds: float) -> None:
    server.child.wake()
    reader.read(seconds)
    server.child.stand_still()


def bytes_each(server: Server, reader: StampedReader) -> float:
    """Return the bytes of one connection more."""
    server.child.wake()
    reader.read(0.2)
    before = server.rss_bytes()
    reader.connect(server.url, EXTRA)
    reader.read(0.5)
    grown = server.rss_bytes() - before
    server.child.stand_still()
    return grown / EXTRA


def measure_pair(
    arm: Arm, given: argparse.Namespace, chance: random.Random, cores: list[int]
) -> dict[str, list[float]]:
    """Return for each figure the logarithms of how much more the stopped one has changed, slot by slot."""
    command = [*python_command(f"backends.{arm.backend}_server"), *FLAGS, "--mode", arm.mode]
    with (
        tempfile.TemporaryDirectory() as folder,
        Guard() as guard,
        Nursery(guard) as nursery,
        StampedReader() as reader,
    ):
        pair = []
        for number in range(2):
            log = Path(folder) / f"{number}.log"
            child = nursery.start("server", command, log=log, cpus=cores[:1])
            server = Server(child, wait_until_ready(child, None))
            reader.connect(server.url, CONNECTIONS)
            reader.read(WARM_UP_S)
            child.stand_still()
            pair.append(server)
        stopped, other = chance.sample(pair, 2)
        measure_slots(pair, reader, given.slots, chance)
        run_for(other, reader, stop_often(stopped, reader, given.stops, chance))
        measure_slots(pair, reader, given.slots, chance)
        changes = {name: changed(stopped, other, name, given.slots) for name in TIMES}
        changes["memory a connection"] = [math.log(bytes_each(stopped, reader) / bytes_each(other, reader))]
        for server in pair:
            server.child.stop(6)
        AFTER_WAKE[arm.backend].extend(stopped.after_wake + other.after_wake)
        return changes


AFTER_WAKE: dict[str, list[list[dict[str, float]]]] = defaultdict(list)
"""By backend, of each slot that was measured."""


def changed(stopped: Server, other: Server, figure: str, slots: int) -> list[float]:
    """Return for each slot after the stops how much more, as a logarithm, the one changed since the slot before."""
    logs = [log_ratio(mine, its, figure) for mine, its in zip(stopped.slots, other.slots, strict=True)]
    pairs = zip(logs[:slots], logs[slots:], strict=True)
    return [after - before for before, after in pairs if before is not None and after is not None]


def log_ratio(mine: dict[str, float], its: dict[str, float], figure: str) -> float | None:
    """Return the logarithm of a ratio; None where there is none."""
    values = mine.get(figure, 0), its.get(figure, 0)
    return math.log(values[0] / values[1]) if min(values) > 0 else None


def verdict_of(ratio: Ratio | None) -> str:
    if ratio is None or ratio.low is None or ratio.high is None:
        return "?"
    if ratio.low >= 1 / MARGIN and ratio.high <= MARGIN:
        return "="
    return "?" if ratio.low <= 1 <= ratio.high else "DIFFERS"


def show(name: str, changes: dict[str, list[float]]) -> None:
    words = []
    for figure in FIGURES:
        ratio = paired_ratio(changes[figure])
        words.append(f"{figure} {ratio.words if ratio else 'unknown'} {verdict_of(ratio)}")
    kinds = {verdict_of(paired_ratio(changes[figure])) for figure in FIGURES}
    end = {"=": "equivalent within 5 %"}.get("".join(kinds), "not shown to be equivalent within 5 %")
    sys.stdout.write(f"{name}: {'; '.join(words)}: {'a difference' if 'DIFFERS' in kinds else end}\n")
    sys.stdout.flush()


def mean_of(parts: list[dict[str, float]], figure: str) -> dict[str, float]:
    return {figure: float(np.mean([part[figure] for part in parts]))} if all(parts) else {}


def show_after_wake(backend: str, slots: Iterable[list[dict[str, float]]]) -> None:
    """Say how each part of a slot compares with its end."""
    figures = ("lateness p50", "lateness p90", "CPU a frame")
    sys.stdout.write(f"{backend}, after it was woken, to what it is from {EDGES_S[SETTLED]:g} s on:\n")
    for part, (start_s, end_s) in enumerate(pairwise(EDGES_S[: SETTLED + 1])):
        words = []
        for figure in figures:
            logs = [log_ratio(slot[part], mean_of(slot[SETTLED:], figure), figure) for slot in slots]
            ratio = paired_ratio([log for log in logs if log is not None])
            words.append(f"{figure} {ratio.words if ratio else 'unknown'}")
        sys.stdout.write(f"  {start_s:g} to {end_s:g} s: {'; '.join(words)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="such as asyncio-managed,gevent-process; all by default")
    parser.add_argument("--rounds", type=int, default=2, help="fresh pairs of each")
    parser.add_argument("--slots", type=int, default=4, help="of each server, before the stops and after them")
    parser.add_argument("--stops", type=int, default=200)
    parser.add_argument("--seed", type=int, default=18)
    given = parser.parse_args()
    arms = [Arm(backend, "", mode) for backend in ("asyncio", "gevent") for mode in MODES]
    chosen = [arm for arm in arms if not given.only or f"{arm.backend}-{arm.mode}" in given.only.split(",")]
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    chance = random.Random(given.seed)
    changes: dict[Arm, dict[str, list[float]]] = {arm: defaultdict(list) for arm in chosen}
    for _ in range(given.rounds):
        for arm in chosen:
            for figure, logs in measure_pair(arm, given, chance, cores).items():
                changes[arm][figure] += logs
            show(f"{arm.backend} {arm.mode}", changes[arm])
    groups = {backend: [arm for arm in chosen if arm.backend == backend] for backend in ("asyncio", "gevent")}
    for name, members in (groups | {"all": chosen}).items():
        if members:
            show(name, {figure: [log for arm in members for log in changes[arm][figure]] for figure in FIGURES})
    for backend, slots in AFTER_WAKE.items():
        show_after_wake(backend, slots)


if __name__ == "__main__":
    main()
