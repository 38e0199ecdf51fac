"""
One room over an owner and two edges: whether every frame comes to everybody, and how late the relay makes it.

``python -m tests.bench.edges [--users 600] [--duration 20] [--relay unix ...] [--backend asyncio ...]`` runs the relay
and three servers on the first core and three load tests on the second, a third of the users each. It prints, a line for
each relay and backend, frames that were expected, missing, sent twice and out of order, over all three; the lateness of
ticks at the owner and at the edges; and what the edges say of the relay alone (``hop`` in ``/stats``: from where the
owner had a frame to where the edge had it), from when all users are there. Nothing else should run meanwhile; it takes
45 s a line.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from shared.measure.histogram import Histogram, HistogramSummary
from tests.support.relays import OF_PROCESSES, Relay
from tests.support.server import RunningServer, run_server, wait_until

FLAGS = ("--tick-rate", "20", "--bots", "10", "--seed", "20", "--tick-budget", "0")
PROCESSES = 3
ROOM = "large"
ROOT = Path(__file__).parents[2]
CONNECT_LIMIT_S = 60
COUNTS = ("expected", "missing", "duplicate", "out_of_order")


def load(server: RunningServer, users: int, duration_s: float, out: Path) -> subprocess.Popen[bytes]:
    """Start a load test of a share of the users, all in the one room."""
    target = f"{server.url.replace('http', 'ws', 1)}/connect?room={ROOM}"
    words = ["--headless", "--host", target, "--users", str(users), "--room-size", "0", "--scenario", "steady"]
    times = ["--warm-up", "5", "--duration", str(duration_s), "--out", str(out)]
    command = [sys.executable, "-P", "-m", "loadtests", *words, *times]
    with log_of(out).open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def log_of(out: Path) -> Path:
    """Return where a load test says what it does."""
    return out.with_suffix(".log")


def hops_of(server: RunningServer) -> Histogram:
    """Return how long each frame took that has come through the relay so far."""
    return Histogram.from_summary(msgspec.convert(server.stats()["relay"]["hop"], HistogramSummary))


def measure(
    scheme: str, backend: str, users: int, duration_s: float
) -> tuple[list[dict[str, Any]], list[Any], list[HistogramSummary]]:
    """Return the summaries of the three load tests, the owner's first; what each server says of the relay; its hops."""
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as ends, tempfile.TemporaryDirectory() as folder:
        ends.callback(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, {cores[0]})  # what we start inherits it
        relay = Relay(scheme, Path(folder))
        ends.callback(relay.kill)
        relay.start()
        servers = [
            ends.enter_context(run_server(backend, *FLAGS, "--relay", relay.url, cold=True, logs=True))
            for _ in range(PROCESSES)
        ]
        os.sched_setaffinity(0, {cores[-1]})
        watcher = servers[0].enter(ROOM, "watcher")  # who comes first makes his server the owner
        outs = [Path(folder) / f"{number}.json" for number in range(PROCESSES)]
        loads = [load(server, users // PROCESSES, duration_s, out) for server, out in zip(servers, outs, strict=True)]
        for each in loads:
            ends.callback(each.kill)
        wait_until(lambda: servers[0].stats()["relay"]["guests"] > 0, 60)
        watcher.hang_up()
        wait_until(lambda: all(b" connected" in log_of(out).read_bytes() for out in outs), CONNECT_LIMIT_S)
        before = [hops_of(server) for server in servers]
        for each in loads:
            each.wait(duration_s + 120)
        hops = [hops_of(server).since(earlier).summary() for server, earlier in zip(servers, before, strict=True)]
        summaries = [json.loads(out.read_text()) for out in outs]
        return summaries, [server.stats()["relay"] for server in servers], hops


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--duration", type=float, default=20)
    parser.add_argument("--relay", choices=OF_PROCESSES, action="append")
    parser.add_argument("--backend", choices=["asyncio", "gevent"], action="append")
    parser.add_argument("--out", type=Path, help="raw figures, a line of JSON each")
    given = parser.parse_args()
    heads = [
        "relay",
        "backend",
        *COUNTS,
        "resyncs",
        "owner p50, ms",
        "p99",
        "edges p50, ms",
        "p99",
        "hop p50, ms",
        "p99",
    ]
    print(f"| {' | '.join(heads)} | valid |\n|{'---|' * (len(heads) + 1)}")  # noqa: T201
    whole = True
    for scheme in given.relay or OF_PROCESSES:
        for backend in given.backend or ["asyncio", "gevent"]:
            summaries, relays, hops = measure(scheme, backend, given.users, given.duration)
            if given.out:
                with given.out.open("a", encoding="utf-8") as file:
                    line = {
                        "relay": scheme,
                        "backend": backend,
                        "summaries": summaries,
                        "stats": relays,
                        "hops": msgspec.to_builtins(hops),
                    }
                    file.write(json.dumps(line) + "\n")
            frames = [sum(summary["frames"][count] for summary in summaries) for count in COUNTS]
            owner, *edges = (summary["tick_lateness_ms"] for summary in summaries)
            figures = [
                owner["p50"],
                owner["p99"],
                *(max(edge[key] for edge in edges) for key in ("p50", "p99")),
                *(max(getattr(hop, key) for hop in hops[1:]) for key in ("p50", "p99")),
            ]
            valid = [summary["validity"]["ok"] for summary in summaries]
            whole = whole and frames[1:] == [0, 0, 0]
            cells = [*frames, sum(stats["resyncs"] for stats in relays), *(f"{each:.2f}" for each in figures)]
            print(f"| {scheme} | {backend} | {' | '.join(map(str, cells))} | {valid.count(True)} of 3 |", flush=True)  # noqa: T201
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
