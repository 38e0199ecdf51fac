"""
Whether memory a connection is the same whatever the server's start was like: with bytecode caches and without, by load.

``python -m tests.bench.memory [--times 3] [--loads 300 1000 2000] [--raw FILE]``: both stacks, each run a fresh server
on the first core and a generator on the last one. Without caches the server compiles all that it imports. Exit status
1 if a stack's values are further apart than 5 %, or one is not known. Memory needs no quiet machine, but time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.measure.summary import read_summary
from tests.support.server import run_server

STACKS = ("asyncio", "gevent")
CACHES = ("with", "without")
WIDEST_PERCENT = 5.0
EXTRA_CONNECTIONS = 1000
FLAGS = ("--tick-rate", "20", "--bots", "10", "--seed", "20", "--tick-budget", "0")


@dataclass(frozen=True)
class Weighed:
    """One run."""

    stack: str
    caches: str
    load: int
    kib: float | None
    interval_kib: tuple[float, float] | None
    why_not: str


@contextmanager
def start_state(caches: str, folder: Path) -> Iterator[None]:
    """Have servers that are started meanwhile find bytecode caches, or find none and make none."""
    changes = {"PYTHONPYCACHEPREFIX": str(folder / caches)}
    if caches == "without":
        changes["PYTHONDONTWRITEBYTECODE"] = "1"
    before = dict(os.environ)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def weigh(stack: str, caches: str, connections: int, folder: Path) -> Weighed:
    usable = os.sched_getaffinity(0)
    out = folder / "summary.json"
    with ExitStack() as ends:
        ends.callback(os.sched_setaffinity, 0, usable)
        os.sched_setaffinity(0, {min(usable)})  # what we start inherits it
        with start_state(caches, folder):
            server = ends.enter_context(run_server(stack, *FLAGS, cold=True))
        os.sched_setaffinity(0, {max(usable)})
        command = [sys.executable, "-m", "tickbench", "load", server.url, "--users", str(connections)]
        command += ["--warm-up", "1", "--duration", "2", "--memory", str(EXTRA_CONNECTIONS), "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode not in {0, 3}:
            sys.exit(f"a load run ended with {done.returncode}: {done.stderr.strip()}")
    figures = read_summary(out.read_bytes()).server
    memory = figures.memory
    if memory is None or memory.low_bytes is None or memory.high_bytes is None:
        return Weighed(stack, caches, connections, None, None, "" if memory is None else memory.why_not)
    interval_kib = (memory.low_bytes / 1024, memory.high_bytes / 1024)
    return Weighed(stack, caches, connections, (figures.rss_per_connection_bytes or 0) / 1024, interval_kib, "")


def table(runs: list[Weighed], loads: list[int]) -> str:
    heads = [f"{load:,} connections" for load in loads]
    lines = [f"| KiB a connection | caches | {' | '.join(heads)} |", f"|---|---|{'---|' * len(loads)}"]
    for stack in STACKS:
        for caches in CACHES:
            cells = []
            for load in loads:
                own = [run for run in runs if (run.stack, run.caches, run.load) == (stack, caches, load)]
                cells.append(", ".join("-" if run.kib is None else f"{run.kib:.2f}" for run in own))
            lines.append(f"| `{stack}` | {caches} | {' | '.join(cells)} |")
    return "\n".join(lines)


def apart_percent(runs: list[Weighed]) -> float:
    """Return how much the greatest is above the least."""
    values = [run.kib for run in runs if run.kib is not None]
    return 100 * (max(values) / min(values) - 1) if values else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--loads", type=int, nargs="+", default=[300, 1000, 2000])
    parser.add_argument("--raw", type=Path, help="a file for every run, as JSON")
    asked = parser.parse_args()
    runs: list[Weighed] = []
    with tempfile.TemporaryDirectory() as folder:
        for stack in STACKS:  # the first start of each writes the caches
            with start_state("with", Path(folder)), run_server(stack, cold=True):
                pass
        for _ in range(asked.times):
            for load in asked.loads:
                for stack in STACKS:
                    for caches in CACHES:
                        run = weigh(stack, caches, load, Path(folder))
                        runs.append(run)
                        sys.stderr.write(f"{run}\n")
                        if asked.raw:
                            asked.raw.write_text(json.dumps([asdict(each) for each in runs], indent=1), "utf-8")
    sys.stdout.write(f"{table(runs, asked.loads)}\n\n")
    held = True
    for stack in STACKS:
        own = [run for run in runs if run.stack == stack]
        apart, unknown = apart_percent(own), sum(run.kib is None for run in own)
        held = held and apart <= WIDEST_PERCENT and not unknown
        sys.stdout.write(f"{stack}: {apart:.1f} % apart, {unknown} of {len(own)} not known\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
