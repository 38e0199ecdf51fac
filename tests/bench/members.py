"""
What a broadcast through Channels' layers costs as a room grows: is it the members, or their square?

``python -m tests.bench.members FILE [--members 100 300 1000] [--repeats 3] [--room-size N] [--arm ARM]...`` loads a
server with ``--fanout naive``, of Channels with each of its layers and of aiohttp beside them, with so many connections
in one room, or in rooms of N, at 20 Hz, by clients that offer no compression; sizes and arms take turns. FILE keeps
every summary as JSON. Then it prints medians and ranges: the server's CPU a frame that it sent, that of its Redis
included, which shares its core; which ticks came, and how much of what was sent; how late they came; what the layer
dropped a second, above its capacity of 100; how long the server took to end after SIGTERM; and the exponent of CPU a
frame between two sizes, with its range: 0 where a tick costs what its members are, 1 where it is their square. Many
small rooms (``--members 60 120 --room-size 2``) go past what ``--layer redis`` has for all rooms of a process together.
Nothing else should run meanwhile: it takes ten minutes.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from shared.measure.summary import LoadSummary, read_summary
from tests.support.server import run_server

ARMS: dict[str, tuple[str, ...]] = {
    "channels": ("--framework", "channels"),
    "channels, layer=redis": ("--framework", "channels", "--layer", "redis"),
    "channels, layer=redis-pubsub": ("--framework", "channels", "--layer", "redis-pubsub"),
    "aiohttp": ("--framework", "aiohttp"),
}
"""Flags of each, beside those of all."""

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

END_LIMIT_S = 60
"""For a server to end; what it promises is in the table."""


class Loaded(NamedTuple):
    """One run."""

    summary: LoadSummary
    dropped_per_second: float
    """Messages, by the layer."""
    ended_s: float
    """From SIGTERM to its end, right behind the load: it may be far behind."""


Runs = dict[tuple[str, int], list[Loaded]]
"""By arm and members."""


def load(arm: str, members: int, room_size: int) -> Loaded:
    """Load a new server, and end it; ``room_size`` 0: all are in one room."""
    usable = os.sched_getaffinity(0)
    first = min(usable)
    os.sched_setaffinity(0, {first})  # the server inherits it
    with (
        tempfile.TemporaryDirectory() as folder,
        run_server("asyncio", *ARMS[arm], *FLAGS, cold=True, logs=True) as server,
    ):
        os.sched_setaffinity(0, usable - {first} or usable)
        out = Path(folder) / "summary.json"
        began_s, began = time.monotonic(), server.stats()["dropped"]
        command = [sys.executable, "-m", "tickbench", "load", server.url, "--users", str(members), "--deflate", "off"]
        command += ["--duration", str(DURATION_S), "--warm-up", "3", "--out", str(out), "--room-size", str(room_size)]
        status = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=180).returncode
        os.sched_setaffinity(0, usable)
        if status not in {0, NOT_TRUSTED}:
            raise SystemExit(f"error: the load test of {arm} with {members} members ended with {status}")
        dropped = (server.stats()["dropped"] - began) / (time.monotonic() - began_s)
        summary = read_summary(out.read_bytes())
        began_s = time.monotonic()
        server.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(END_LIMIT_S)
        ended_s = time.monotonic() - began_s
        server.process.kill()
        server.wait()
        return Loaded(summary, dropped, ended_s)


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the median and the range."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})" if values else "-"


def cpu_us(runs: Sequence[Loaded]) -> list[float]:
    """Return the server's CPU a frame of each run that has one."""
    found = [each.summary.server.cpu_us_per_frame for each in runs if each.summary.server]
    return [each for each in found if each is not None]


def lines(runs: Runs) -> Iterator[str]:
    """Yield a table, an arm and size a row, and the exponents."""
    titles = (
        "CPU a frame, us",
        "CPU a tick, ms",
        "ticks that came, %",
        "reach, %",
        "lateness p50, ms",
        "p99, ms",
        "dropped a second",
        "ended after, s",
    )
    yield f"| naive | members | {' | '.join(titles)} | valid |"
    yield f"|---|---|{'---|' * len(titles)}---|"
    for (arm, members), made in runs.items():
        cpu, summaries = cpu_us(made), [each.summary for each in made]
        late = [each.tick_lateness_ms for each in summaries]
        cells = [
            spread(cpu),
            spread([each * members / 1000 for each in cpu]),
            spread([100 * each.ticks_came for each in summaries if each.ticks_came is not None]),
            spread([100 * each.reach for each in summaries if each.reach is not None]),
            spread([each.p50 for each in late if each.p50 is not None]),
            spread([each.p99 for each in late if each.p99 is not None]),
            spread([each.dropped_per_second for each in made], 0),
            spread([each.ended_s for each in made]),
        ]
        valid = f"{sum(each.validity.ok for each in summaries)} of {len(made)}"
        yield f"| {arm} | {members:,} | {' | '.join(cells)} | {valid} |"
    for arm in ARMS:
        sizes = sorted(members for name, members in runs if name == arm)
        for less, more in pairwise(sizes):
            pairs = zip(cpu_us(runs[arm, less]), cpu_us(runs[arm, more]), strict=False)
            found = [math.log(after / before) / math.log(more / less) for before, after in pairs]
            yield f"{arm}, {less:,} to {more:,} members: CPU a frame grows with their power {spread(found, 2)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--members", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--room-size", type=int, default=0, help="members a room; 0, the default: all in one")
    parser.add_argument("--arm", dest="arms", choices=ARMS, action="append", help="by default all")
    given = parser.parse_args()
    arms = given.arms or list(ARMS)
    runs: Runs = defaultdict(list)
    raw: list[dict[str, Any]] = []
    for repeat in range(given.repeats):
        for members in sorted(given.members):
            for arm in arms[:: -1 if repeat % 2 else 1]:
                made = load(arm, members, given.room_size)
                runs[arm, members].append(made)
                raw.append(
                    {
                        "arm": arm,
                        "members": members,
                        "room_size": given.room_size,
                        "dropped_per_second": made.dropped_per_second,
                        "ended_s": made.ended_s,
                        "load": json.loads(made.summary.to_json()),
                    }
                )
                given.file.write_text(json.dumps(raw), "utf-8")
                print(f"{len(raw)} of {given.repeats * len(given.members) * len(arms)}", file=sys.stderr)  # noqa: T201 # progress
    sys.stdout.write("\n".join([*lines(dict(sorted(runs.items()))), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
