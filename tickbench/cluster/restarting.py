"""
Restarts the servers of a cluster one by one, so that nobody is turned away: what SIGHUP has a cluster do.

HAProxy takes newcomers elsewhere first, those of the server's rooms as well; the server tells its players to go
(``--drain``); when it has come back HAProxy takes it in again. Rooms that moved stay where they are.
"""

import subprocess
import time
from pathlib import Path

from tickbench.cluster.health import answers, ask_haproxy, is_up
from tickbench.cluster.plan import Cluster
from tickbench.cluster.rendering import SUPERVISORD
from tickbench.errors import RunFailedError

START_LIMIT_S = 60.0
LOOK_S = 0.1
LOOKS = 3
LEAD_LIMIT_S = 5.0


def restart_all(cluster: Cluster, folder: Path, supervisorctl: str) -> None:
    """Restart each server when the one before is back; if one is not, raise :class:`RunFailedError`."""
    for number, server in enumerate(cluster.servers, 1):
        name = f"server-{number}"
        _tell(folder, f"set server servers/{name} state drain")
        try:
            if cluster.relay is None:
                _lead_elsewhere(folder, number)
            _restart(folder, supervisorctl, name, cluster.stop_wait_s)
            _wait_until_back(folder, name, f"http://{server}")
        finally:
            _tell(folder, f"set server servers/{name} state ready")


def _lead_elsewhere(folder: Path, number: int) -> None:
    """
    Take the rooms of a server out of the stick table, until none has come again for a while.

    Who was on the way to it as it was put aside writes it down once more when it answers.
    """
    looks, deadline = 0, time.monotonic() + LEAD_LIMIT_S
    which = f"table servers data.server_id eq {number}"
    while looks < LOOKS and time.monotonic() < deadline:
        _tell(folder, f"clear {which}")
        time.sleep(LOOK_S)
        looks = 0 if "server_id=" in ask_haproxy(folder, f"show {which}") else looks + 1


def _tell(folder: Path, command: str) -> None:
    if words := ask_haproxy(folder, command).strip():
        raise RunFailedError(f"HAProxy does not {command}: {words}")


def _restart(folder: Path, supervisorctl: str, name: str, stop_wait_s: int) -> None:
    command = [supervisorctl, "-c", SUPERVISORD, "restart", f"servers:{name}"]
    limit_s = stop_wait_s + START_LIMIT_S
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunFailedError(f"{name} can't be restarted: {error}") from error
    if done.returncode != 0:
        raise RunFailedError(f"{name} can't be restarted: {done.stdout.strip() or done.stderr.strip()}")


def _wait_until_back(folder: Path, name: str, url: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not (answers(url) and is_up(folder, name)):
        if time.monotonic() >= deadline:
            raise RunFailedError(f"{name} was not back after {START_LIMIT_S:g} s")
        time.sleep(LOOK_S)
