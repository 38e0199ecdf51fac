"""
What players see when something dies: ``kill -9`` of a process of a cluster at random moments.

``python -m tests.bench.failover [--kills 30] [--victim server] [--backend asyncio] [--users 100]`` starts ``tickbench
cluster`` and, for each kill, loads it with the scenario ``failover``. A victim is

- ``server``: that of a room drawn by lot, where a room is in one process;
- ``haproxy``: HAProxy's master or worker;
- ``owner``: of rooms over processes (``--relay unix``, or ``redis`` or ``zmq``), a process that owns one;
- ``edge``: a process that owns none but holds players of some;
- ``relay``: the relay.

It prints a table, a kill a row, and over all of them how long those cut off heard nothing, how many are gone for good,
frames that were missing (of all, and of who was not cut off) or came twice, rooms elsewhere in which a frame was lost,
and processes left behind. ``--json FILE`` appends a line for each kill with all that the load test says. Nothing else
should run meanwhile: it takes half a minute a kill.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from shared.measure.summary import LoadSummary, ReturnFigures
from tests.bench.reconnecting import FLAGS, keep, loaded, returns_of, silence_words, table
from tests.support.cluster import RunningCluster, run_cluster
from tests.support.server import wait_until

ROOMS = 10
ROOMS_OVER_PROCESSES = 2
"""Fewer than processes, so that one of these owns none."""
RELATED = ("owner", "edge", "relay")
"""What dies where rooms are over processes."""
LATEST_S = 3.0
"""How far into the window a kill may come."""
BACK_LIMIT_S = 60.0


class Kill(NamedTuple):
    """One kill, and what came of it."""

    victim: str
    pid: int
    returns: ReturnFigures
    missing: int
    duplicate: int


def pick(cluster: RunningCluster, victim: str, luck: random.Random) -> psutil.Process:
    """Return the process that is to die."""
    if victim == "server":
        return psutil.Process(cluster.pid_of(f"r{luck.randrange(ROOMS)}"))
    if victim == "haproxy":
        return luck.choice([each for each in cluster.processes() if each.name() == "haproxy"])
    if victim == "relay":
        return next(each for each in cluster.processes() if is_relay(each))
    owned = {pid: cluster.directly(pid).stats()["relay"]["owned_rooms"] for pid in cluster.server_pids()}
    those = [pid for pid, rooms in owned.items() if bool(rooms) == (victim == "owner")]
    if not those:
        raise SystemExit(f"error: no process is an {victim}: {owned}")
    return psutil.Process(luck.choice(those))


def is_relay(process: psutil.Process) -> bool:
    """Return whether a process of a cluster is its relay."""
    return process.name() == "redis-server" or "backends.relay" in process.cmdline()


def kill_one(
    cluster: RunningCluster,
    victim: str,
    users: int,
    duration_s: float,
    luck: random.Random,
    seen: set[psutil.Process],
) -> tuple[Kill, LoadSummary]:
    """Load the cluster, kill, and wait until all is as it was."""
    whole = len(cluster.processes())
    rooms = ROOMS_OVER_PROCESSES if victim in RELATED else ROOMS
    with loaded(cluster.url, "failover", users, rooms, duration_s) as load:
        load.wait_for_window()
        time.sleep(luck.uniform(0, LATEST_S))
        seen.update(cluster.processes())
        process = pick(cluster, victim, luck)
        process.kill()
        summary = load.summary()
    wait_until(lambda: len(cluster.processes()) == whole, BACK_LIMIT_S)
    seen.update(cluster.processes())
    frames = summary.frames
    return Kill(victim, process.pid, returns_of(summary), frames.missing, frames.duplicate), summary


def left_behind(seen: set[psutil.Process]) -> list[int]:
    """Return the pids of those that still run."""
    left = []
    for process in seen:
        with suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process.pid)
    return left


def lines(kills: Sequence[Kill], left: Sequence[int]) -> Iterator[str]:
    figures = ("cut", "back", "gone", "away", "silence max, s", "missing", "others", "twice")
    titles = ("victim", *figures, "rooms elsewhere", "lost a frame", "skipped")
    yield from table(
        titles,
        (
            (
                kill.victim,
                of.cut,
                of.back,
                of.gone,
                of.away,
                f"{(of.silence_ms.max or 0) / 1000:.2f}",
                kill.missing,
                kill.missing - of.missing,
                kill.duplicate,
                of.rooms_spared,
                of.rooms_spared_missed,
                of.rooms_spared_skipped,
            )
            for kill in kills
            for of in [kill.returns]
        ),
    )
    all_of = [kill.returns for kill in kills]
    yield f"silence of a player: {silence_words(all_of)}"
    yield f"gone for good: {sum(of.gone for of in all_of)} of {sum(of.cut for of in all_of)} who were cut off"
    yield f"still away at the end of a run: {sum(of.away for of in all_of)}"
    missed, spared = sum(of.rooms_spared_missed for of in all_of), sum(of.rooms_spared for of in all_of)
    missing, duplicate = sum(kill.missing for kill in kills), sum(kill.duplicate for kill in kills)
    others = missing - sum(of.missing for of in all_of)
    yield f"frames missing: {missing}, of these {others} on connections that were not cut off; twice {duplicate}"
    yield f"rooms elsewhere that lost a frame: {missed} of {spared}"
    yield f"processes left behind: {len(left)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["asyncio", "gevent"], default="asyncio")
    parser.add_argument("--victim", choices=["server", "haproxy", *RELATED], default="server")
    parser.add_argument("--relay", default=None, help="of rooms over processes (default: unix, where one is needed)")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--duration", type=float, default=16.0, help="of the load around a kill, in s")
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    luck, seen, kills = random.Random(given.seed), set[psutil.Process](), list[Kill]()
    relay = given.relay or ("unix" if given.victim in RELATED else None)
    options = ("--processes", "3", "--relay", relay) if relay else ()
    with run_cluster(given.backend, *FLAGS, options=options) as cluster:
        for number in range(1, given.kills + 1):
            kill, summary = kill_one(cluster, given.victim, given.users, given.duration, luck, seen)
            kills.append(kill)
            row = {"backend": given.backend, "victim": given.victim, "kill": number, "pid": kill.pid}
            keep(given.json, row, summary)
            print(f"{number} of {given.kills}", file=sys.stderr)  # noqa: T201 # progress
    left = left_behind(seen)
    sys.stdout.write("\n".join([*lines(kills, left), ""]))
    failed = left or any(of.gone or of.away or of.rooms_spared_missed for of in (kill.returns for kill in kills))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
