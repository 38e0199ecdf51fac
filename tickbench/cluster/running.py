"""Runs a cluster: supervisord as a child, until somebody ends it; nothing that it started outlives it, nor us."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.printable import error_line, plain
from tickbench.children.processes import LONGEST_LAST_LINE, Child, Guard, Nursery
from tickbench.cluster.health import what_is_wrong
from tickbench.cluster.plan import Cluster
from tickbench.cluster.rendering import SUPERVISORD
from tickbench.cluster.restarting import restart_all
from tickbench.errors import InputError, InterruptedByUserError, RunFailedError

START_LIMIT_S = 60.0
LOOK_S = 0.1
STOP_SLACK_S = 15.0
"""What supervisord may take longer than the servers: for HAProxy, and to notice."""
WATCH_S = 1.0
"""How often supervisord is looked at: seldom, as whoever runs a cluster to measure it wants the cores for it."""
LOG = "supervisord.log"
ENDED = re.compile(r" (?:exited: (?P<name>\S+) \(exit status (?P<status>\d+)|spawnerr: (?P<why>.*))")
"""What supervisord says of a program that did not stay."""
USAGE_STATUS = 2
IN_USE = re.compile(r"address (?:already )?in use", re.IGNORECASE)
"""What HAProxy and Redis say of a taken port, not with their last words; there the port is named."""


def run(cluster: Cluster, folder: Path, supervisord: str, supervisorctl: str, announce: Callable[[], None]) -> None:
    """
    Run what was rendered into a folder, and call ``announce`` as soon as all of it answers. SIGHUP restarts servers.

    Raises:
        InputError: a server refuses what it was given.
        RunFailedError: one of the programs can't be started, or supervisord has ended.

    """
    with Guard() as guard, Nursery(guard) as nursery:
        command, log = [supervisord, "-n", "-c", SUPERVISORD], folder / "supervisord.stderr"
        supervisor = nursery.start("supervisord", command, log=log, folder=folder, scatters=True)
        try:
            _wait_until_well(cluster, folder, supervisor)
            with _restarts_asked() as is_asked:
                announce()
                while not supervisor.has_ended:
                    if is_asked():
                        _restart(cluster, folder, supervisorctl)
        finally:
            supervisor.stop(cluster.stop_wait_s + STOP_SLACK_S)
        raise RunFailedError(f"supervisord ended with {supervisor.how_it_ended()}{_last_words(folder / LOG)}")


@contextmanager
def _restarts_asked() -> Iterator[Callable[[], bool]]:
    """
    Yield a function that waits a moment and says whether a SIGHUP came; as our terminal hangs up, it ends us instead.

    Not sigtimedwait(2): stopped for longer than its time-out and continued, as an arm of a comparison is, CPython's
    returns as if the signal had come.
    """
    asked: list[int] = []
    # Also where nohup has us ignore it: whoever sends it to this process by itself wants servers restarted.
    handler = signal.signal(signal.SIGHUP, lambda number, _: asked.append(number))
    had_terminal = handler != signal.SIG_IGN and _has_terminal()

    def is_asked() -> bool:
        time.sleep(WATCH_S)
        if not asked:
            return False
        asked.clear()
        if had_terminal and not _has_terminal():
            raise InterruptedByUserError(signal.SIGHUP)
        return True

    try:
        yield is_asked
    finally:
        signal.signal(signal.SIGHUP, handler)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _restart(cluster: Cluster, folder: Path, supervisorctl: str) -> None:
    """Restart the servers, and say what came of it: a cluster goes on whatever that is."""
    try:
        restart_all(cluster, folder, supervisorctl)
    except RunFailedError as error:
        print(error_line(error), file=sys.stderr, flush=True)
        return
    print("restarted: every server, one after the other", file=sys.stderr, flush=True)


def _wait_until_well(cluster: Cluster, folder: Path, supervisor: Child) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while wrong := what_is_wrong(cluster, folder):
        log = _read(folder / LOG)
        if match := ENDED.search(log):
            _complain(folder, match)
        if supervisor.has_ended:
            supervisor.stop(0)
            words = supervisor.last_words() or _last_words(folder / LOG)
            raise RunFailedError(f"supervisord ended with {supervisor.how_it_ended()} before all was ready{words}")
        if time.monotonic() >= deadline:
            raise RunFailedError(f"the cluster was not ready after {START_LIMIT_S:g} s: {wrong}")
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
    lines = [line.strip() for line in reversed(_read(log).splitlines()) if line.strip()]
    if taken := next(filter(IN_USE.search, lines), ""):
        return f": {plain(taken, LONGEST_LAST_LINE)}"
    return f", its last line: {plain(lines[0], LONGEST_LAST_LINE)}" if lines else ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:  # not there yet
        return ""
