"""Has the kernel end a child when its parent ends, however that ended (Linux, prctl(2))."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; it survives an exec."""


def die_with_parent() -> None:
    """
    Ask to be killed when the thread that started this process ends; too late if it has ended already.

    Does nothing where the system has no such call.
    """
    if prctl := getattr(ctypes.CDLL(None), "prctl", None):
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
