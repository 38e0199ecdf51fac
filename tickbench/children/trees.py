"""Signals a process and all that it has started, whatever process groups and sessions they have made for themselves."""

import os
import signal
from contextlib import suppress

import psutil

ROUNDS = 10
"""How often it is looked for more: one may have been starting another."""


def signal_tree(pid: int, signum: signal.Signals) -> None:
    """Send a signal to each once, parents first: what is stopped starts nobody any more."""
    told: set[int] = set()
    for _ in range(ROUNDS):
        new = [each for each in (pid, *_descendants(pid)) if each not in told]
        if not new:
            return
        for each in new:
            told.add(each)
            with suppress(ProcessLookupError):
                os.kill(each, signum)


def _descendants(pid: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []
