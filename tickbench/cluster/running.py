"""Runs a cluster: supervisord as a child, until somebody ends it; nothing that it started outlives it, nor us."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from shared.printable import plain
from tickbench.children.processes import LONGEST_LAST_LINE, Child, Guard, Nursery
from tickbench.cluster.health import is_well
from tickbench.cluster.plan import Cluster
from tickbench.cluster.rendering import SUPERVISORD
from tickbench.errors import InputError, RunFailedError

START_LIMIT_S = 60.0
LOOK_S = 0.1
STOP_LIMIT_S = 30.0
"""More than supervisord waits for the servers, and then for HAProxy."""
LOG = "supervisord.log"
ENDED = re.compile(r" (?:exited: (?P<name>\S+) \(exit status (?P<status>\d+)|spawnerr: (?P<why>.*))")
"""What supervisord says of a program that did not stay."""
USAGE_STATUS = 2


def run(cluster: Cluster, folder: Path, supervisord: str, announce: Callable[[], None]) -> None:
    """
    Run what was rendered into a folder; ``announce`` is called as soon as all of it answers.

    Raises:
        InputError: a server refuses what it was given.
        RunFailedError: one of the programs can't be started, or supervisord has ended.

    """
    with Guard() as guard, Nursery(guard) as nursery:
        command, log = [supervisord, "-n", "-c", SUPERVISORD], folder / "supervisord.stderr"
        supervisor = nursery.start("supervisord", command, log=log, folder=folder, scatters=True)
        try:
            _wait_until_well(cluster, folder, supervisor)
            announce()
            # Not by looking again and again: whoever runs a cluster to measure it wants its cores for it.
            os.waitid(os.P_PID, supervisor.pid, os.WEXITED | os.WNOWAIT)
        finally:
            supervisor.stop(STOP_LIMIT_S)
        raise RunFailedError(f"supervisord ended with {supervisor.how_it_ended()}{_last_words(folder / LOG)}")


def _wait_until_well(cluster: Cluster, folder: Path, supervisor: Child) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not is_well(cluster, folder):
        log = _read(folder / LOG)
        if match := ENDED.search(log):
            _complain(folder, match)
        if supervisor.has_ended:
            supervisor.stop(0)
            words = supervisor.last_words() or _last_words(folder / LOG)
            raise RunFailedError(f"supervisord ended with {supervisor.how_it_ended()} before all was ready{words}")
        if time.monotonic() >= deadline:
            raise RunFailedError(f"the cluster was not ready after {START_LIMIT_S:g} s{_last_words(folder / LOG)}")
        time.sleep(LOOK_S)


def _complain(folder: Path, match: re.Match[str]) -> None:
    """Raise what says which program did not stay; :class:`InputError` if it was not content with its flags."""
    if match["why"]:
        raise RunFailedError(f"supervisord can't start a program: {match['why']}")
    name, status = match["name"], int(match["status"])
    words = _last_words(folder / f"{name}.log")
    if status == USAGE_STATUS and "error: " in words:
        raise InputError(f"{name}: {words.partition('error: ')[2]}")
    raise RunFailedError(f"{name} ended with exit status {status} before all was ready{words}")


def _last_words(log: Path) -> str:
    line = next((line.strip() for line in reversed(_read(log).splitlines()) if line.strip()), "")
    return f", its last line: {plain(line, LONGEST_LAST_LINE)}" if line else ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:  # not there yet
        return ""
