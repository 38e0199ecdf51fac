"""
Has the kernel end a child when its parent ends, however that ended (Linux, prctl(2)).

``python -m shared.system.parent PARENT_PID COMMAND...`` becomes COMMAND, which is ended so: for one that is not ours.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; it survives an exec."""


def die_with_parent() -> None:
    """
    Ask to be killed when the thread that started this process ends; too late if it has ended already.

    Does nothing where the system has no such call.
    """
    if prctl := getattr(ctypes.CDLL(None), "prctl", None):
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def become(parent_pid: int, command: list[str]) -> None:
    """Be another program, which ends with its parent; exit if that has ended already, or there is no such program."""
    die_with_parent()
    if os.getppid() != parent_pid:  # it ended before the kernel was asked
        raise SystemExit(1)
    try:
        os.execv(command[0], command)  # noqa: S606 # no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]} can't be started: {error.strerror}")


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
