"""
What a broadcast through Channels' layer costs as a room grows: is it the members, or their square?

``python -m tests.bench.members FILE [--members 100 300 1000] [--repeats 3]`` loads a server with ``--fanout naive``, of
Channels and of aiohttp beside it, with so many connections in one room at 20 Hz, by clients that offer no compression;
sizes and frameworks take turns. FILE keeps every summary as JSON. Then it prints medians and ranges: the server's CPU a
frame that it sent, which ticks came and how much of what was sent, and what the layer dropped a second, above its
capacity of 100 messages a member; and the exponent of CPU a frame between two sizes, with its range: 0 where a tick
costs what its members are, 1 where it is their square. Nothing else should run meanwhile: it takes five minutes.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from shared.measure.summary import LoadSummary, read_summary
from tests.support.server import run_server

FRAMEWORKS = ("channels", "aiohttp")
FLAGS = (
    "--fanout",
    "naive",
    "--clock",
    "loop",
    "--tick-rate",
    "20",
    "--bots",
    "10",
    "--seed",
    "20",
    "--tick-budget",
    "0",
)
DURATION_S = 10
NOT_TRUSTED = 3
"""Exit status of a load test whose numbers can't be trusted: such a one is kept, and counted."""

Runs = dict[tuple[str, int], list[tuple[LoadSummary, float]]]
"""By framework and members: a summary, and how many messages the layer dropped a second."""


def load(framework: str, members: int) -> tuple[LoadSummary, float]:
    """Load a new server; return the summary, and how many messages its layer dropped a second."""
    usable = os.sched_getaffinity(0)
    first = min(usable)
    os.sched_setaffinity(0, {first})  # the server inherits it
    with (
        tempfile.TemporaryDirectory() as folder,
        run_server("asyncio", "--framework", framework, *FLAGS, cold=True) as server,
    ):
        os.sched_setaffinity(0, usable - {first} or usable)
        out = Path(folder) / "summary.json"
        began_s, began = time.monotonic(), server.stats()["dropped"]
        command = [sys.executable, "-m", "tickbench", "load", server.url, "--users", str(members), "--deflate", "off"]
        command += ["--duration", str(DURATION_S), "--warm-up", "3", "--out", str(out)]
        status = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=180).returncode
        os.sched_setaffinity(0, usable)
        if status not in {0, NOT_TRUSTED}:
            raise SystemExit(f"error: the load test of {framework} with {members} members ended with {status}")
        dropped = (server.stats()["dropped"] - began) / (time.monotonic() - began_s)
        server.process.kill()  # with a thousand members it may be a minute behind
        server.wait()
        return read_summary(out.read_bytes()), dropped


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the median and the range."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})" if values else "-"


def cpu_us(runs: Sequence[tuple[LoadSummary, float]]) -> list[float]:
    """Return the server's CPU a frame of each run that has one."""
    found = [summary.server.cpu_us_per_frame for summary, _ in runs if summary.server]
    return [each for each in found if each is not None]


def lines(runs: Runs) -> Iterator[str]:
    """Yield a table, a framework and size a row, and the exponents."""
    titles = ("CPU a frame, us", "CPU a tick, ms", "ticks that came, %", "reach, %", "dropped a second", "valid")
    yield f"| framework | members | {' | '.join(titles)} |"
    yield f"|---|---|{'---|' * len(titles)}"
    for (framework, members), made in runs.items():
        cpu = cpu_us(made)
        came = [100 * each.ticks_came for each, _ in made if each.ticks_came is not None]
        reach = [100 * each.reach for each, _ in made if each.reach is not None]
        cells = [spread(cpu), spread([each * members / 1000 for each in cpu]), spread(came), spread(reach)]
        valid = f"{sum(each.validity.ok for each, _ in made)} of {len(made)}"
        yield f"| {framework} | {members:,} | {' | '.join(cells)} | {spread([lost for _, lost in made], 0)} | {valid} |"
    for framework in FRAMEWORKS:
        sizes = sorted(members for name, members in runs if name == framework)
        for less, more in pairwise(sizes):
            pairs = zip(cpu_us(runs[framework, less]), cpu_us(runs[framework, more]), strict=False)
            found = [math.log(after / before) / math.log(more / less) for before, after in pairs]
            yield f"{framework}, {less:,} to {more:,} members: CPU a frame grows with their power {spread(found, 2)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--members", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    runs: Runs = defaultdict(list)
    raw: list[dict[str, Any]] = []
    for repeat in range(given.repeats):
        for members in sorted(given.members):
            for framework in FRAMEWORKS[:: -1 if repeat % 2 else 1]:
                summary, dropped = load(framework, members)
                runs[framework, members].append((summary, dropped))
                raw.append(
                    {
                        "framework": framework,
                        "members": members,
                        "dropped_per_second": dropped,
                        "load": json.loads(summary.to_json()),
                    }
                )
                given.file.write_text(json.dumps(raw), "utf-8")
                print(f"{len(raw)} of {given.repeats * len(given.members) * len(FRAMEWORKS)}", file=sys.stderr)  # noqa: T201 # progress
    sys.stdout.write("\n".join([*lines(dict(sorted(runs.items()))), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
