"""
Kills every process of a session: of what a child has started also what has left the child's process group.

supervisord gives each of its programs a group of its own. Nothing that is slow to import is imported.
"""

import os
import signal
import time
from contextlib import suppress

ROUNDS = 200
PAUSE_S = 0.01


def kill_session(session: int) -> None:
    """Send SIGKILL to all of a session, again until none of it runs: one may have been starting another."""
    for _ in range(ROUNDS):
        members = [pid for pid in _all_pids() if pid != os.getpid() and _is_of(pid, session)]
        if not members:
            return
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE_S)


def _all_pids() -> list[int]:
    with suppress(OSError):  # no such folder: not Linux
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 # names are wanted
    return []


def _is_of(pid: int, session: int) -> bool:
    """Whether a process is of a session and has not ended; see proc_pid_stat(5)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 # pathlib would be slow to import
            state, _, _, its_session, *_ = file.read().rpartition(b")")[2].split()
    except OSError:  # it is gone
        return False
    return state not in b"ZX" and int(its_session) == session
