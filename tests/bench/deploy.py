"""
What players see of a new version: a cluster is restarted, server by server, under users who come back.

``python -m tests.bench.deploy [--backend asyncio] [--processes 4] [--users 400] [--rooms 30] [--drain 5]`` starts
``tickbench cluster``, loads it with the scenario ``deploy`` and sends it SIGHUP in the middle. It prints how many were
refused for good, how long the others heard nothing, and the most connections that came in any second. ``--json FILE``
appends a line with all that the load test says. Nothing else should run meanwhile: it takes two minutes.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from shared.measure.summary import LoadSummary
from tests.bench.reconnecting import FLAGS, keep, loaded, returns_of, silence_words
from tests.support.cluster import run_cluster
from tests.support.server import wait_until

SERVER_TAKES_S = 10.0
"""What the restart of a server may take beside its drain, on a busy machine."""
CALM_S = 10.0
"""Around the restarts: what a player sees at other times, and time to come back."""
RESTARTED = "restarted: every server, one after the other\n"


def lines(summary: LoadSummary, took_s: float, servers: int) -> Iterator[str]:
    returns = returns_of(summary)
    lost = summary.connections.reasons.get("closed_early", {})
    yield f"{servers} servers restarted in {took_s:.1f} s, {summary.connections.closed_early:,} connections cut: {lost}"
    yield f"refused for good: {returns.gone} of {returns.cut} users; still away at the end: {returns.away}"
    yield f"silence of a player: {silence_words([returns])}"
    yield f"most connects in a second: {returns.most_connects_per_second}"
    counts = summary.frames
    yield f"frames missing {counts.missing}, twice {counts.duplicate}, out of order {counts.out_of_order}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["asyncio", "gevent"], default="asyncio")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--rooms", type=int, default=30)
    parser.add_argument("--drain", type=float, default=5.0)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    restarts_s = given.processes * (given.drain + SERVER_TAKES_S)
    options = ("--processes", str(given.processes))
    with run_cluster(given.backend, *FLAGS, "--drain", str(given.drain), options=options) as cluster:
        cluster.expected_log = RESTARTED
        with loaded(cluster.url, "deploy", given.users, given.rooms, restarts_s + 2 * CALM_S) as load:
            load.wait_for_window()
            time.sleep(CALM_S / 2)
            began_s = time.monotonic()
            cluster.signal(signal.SIGHUP)
            wait_until(lambda: cluster.log.endswith("\n"), restarts_s)
            took_s = time.monotonic() - began_s
            summary = load.summary()
    row = {name: getattr(given, name) for name in ("backend", "processes", "users", "rooms", "drain")}
    keep(given.json, {**row, "took_s": took_s}, summary)
    sys.stdout.write("\n".join([*lines(summary, took_s, given.processes), ""]))
    returns = returns_of(summary)
    return 1 if returns.gone or returns.away else 0


if __name__ == "__main__":
    sys.exit(main())
