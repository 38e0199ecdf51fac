"""A cluster whose processes have all rooms in common, through a relay of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.cluster import RunningCluster, run_cluster
from tests.support.player import Player, longest_silence_s
from tests.support.server import wait_until
from tickbench.cluster.plan import HERE, Cluster, Relay
from tickbench.cluster.rendering import render, render_compose

pytestmark = pytest.mark.xdist_group("cluster")

FLAGS = ("--seed", "7", "--tick-rate", "25", "--tick-budget", "0")
SILENCE_S = 1.0
"""How long a busy machine may keep a server from ticking."""
PROGRAMS = {"redis": "redis-server", "zmq": "backends.relay", "unix": "backends.relay"}


def pids_of(cluster: RunningCluster, kind: str) -> list[int]:
    """Return the process of the cluster's relay; none while there is none."""
    found = []
    for each in cluster.processes():
        with suppress(psutil.Error):
            if PROGRAMS[kind] in " ".join(each.cmdline()):
                found.append(each.pid)
    return found


def meet(cluster: RunningCluster, room: str) -> tuple[Player, Player]:
    """Return two who are in one room, each in another process."""
    return cluster.enter(room, "ann"), cluster.enter(room, "bob")


@pytest.mark.parametrize(("backend", "kind"), [("asyncio", "redis"), ("gevent", "unix"), ("asyncio", "zmq")])
def test_who_is_in_another_process_is_in_the_same_room(backend: str, kind: str) -> None:
    with run_cluster(backend, *FLAGS, options=("--relay", kind)) as cluster:
        ann, bob = meet(cluster, "den")
        bob.join()
        assert ann.until(lambda tick: tick.named("p_joined")).named("p_joined")[0][2] == "bob"
        stats = cluster.stats()
        assert stats["connections"] == 2
        assert [each["connections"] for each in stats["processes"]] == [1, 1], "HAProxy spreads them"
        assert (stats["relay"]["owned_rooms"], stats["relay"]["edge_rooms"], stats["relay"]["guests"]) == (1, 1, 1)
        assert [room["members"] for room in stats["rooms"]] == [2]
        assert set(stats["process"]["children"]) >= {*cluster.server_pids(), *pids_of(cluster, kind)}
        (relay,) = pids_of(cluster, kind)
        os.kill(relay, signal.SIGKILL)
        wait_until(lambda: pids_of(cluster, kind) not in ([], [relay]))
        wait_until(lambda: cluster.stats()["relay"]["is_up"])
        ann.until_due(time.time_ns() // 1_000)
        assert longest_silence_s(ann) < SILENCE_S, "she is with the owner"
        assert cluster.enter("elsewhere", "eve").player_id == 1


@pytest.mark.parametrize(
    ("relay", "words"),
    [
        (Relay("redis://127.0.0.1:7003", "redis", 7003), ["redis-server redis.conf", "redis://127.0.0.1:7003"]),
        (Relay("unix:/x/relay.sock", "unix", 7003), ["backends.relay unix:/x/relay.sock"]),
        (Relay("redis://far:6379"), ["redis://far:6379"]),
    ],
)
def test_settings_have_the_relay_that_is_asked_for(relay: Relay, words: list[str], tmp_path: Path) -> None:
    cluster = Cluster(
        backend="gevent",
        flags=("--bots", "1"),
        host=HERE,
        address=HERE,
        port=7000,
        ports=(7001, 7002),
        whole_port=7004,
        certificate=None,
        relay=relay,
    )
    render(cluster, tmp_path, "haproxy", "redis-server")
    render_compose(cluster, tmp_path)
    supervisord, haproxy = (tmp_path / "supervisord.conf").read_text(), (tmp_path / "haproxy.cfg").read_text()
    assert all(word in supervisord for word in words)
    assert ("[program:relay]" in supervisord) == bool(relay.kind)
    assert "balance leastconn" in haproxy
    assert "stick-table" not in haproxy
    assert (tmp_path / "redis.conf").exists() == (relay.kind == "redis")
    compose = (tmp_path / "compose.yaml").read_text()
    assert (re.search(r"^  relay:$", compose, re.MULTILINE) is not None) == bool(relay.kind)


def test_a_relay_that_is_none_is_said_in_a_line() -> None:
    command = [sys.executable, "-m", "tickbench", "cluster", "asyncio", "--processes", "2", "--port", "0"]
    done = subprocess.run([*command, "--relay", "http://x"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "a relay is one of" in done.stderr
    assert done.stdout == ""
