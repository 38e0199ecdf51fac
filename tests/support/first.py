"""
Who comes first on its cores: one test at a time, of all that run on this machine.

Two that had a real-time priority on one core would each wait for the other's slice of 100 ms (sched(7), SCHED_RR),
which is worse for both than to have none.
"""

import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

PLACE = "\0tickbench/first"
"""An abstract address (unix(7)): whoever holds it lets go of it with its last breath."""
LIMIT_S = 40.0
POLL_S = 0.05
PRIORITY = os.sched_param(1)
"""Real-time, for niceness counts within a session only (autogroup), and children of other tests have their own."""


_ours: list[socket.socket] = []
"""The place, while this process holds it."""


@contextmanager
def coming_first() -> Iterator[bool]:
    """
    Wait for the place, and hold it for the length of a block; tell whether it was had in time.

    Within another such block of this process it is had already.
    """
    if _ours:
        yield True
        return
    time.sleep(2 * POLL_S)  # whoever waits for it gets it before one who has just let go of it
    until = time.monotonic() + LIMIT_S
    with socket.socket(socket.AF_UNIX) as place:
        while not (is_first := _has(place)) and time.monotonic() < until:
            time.sleep(POLL_S)
        _ours.extend([place] if is_first else [])
        try:
            yield is_first
        finally:
            _ours.clear()


def go_first(threads: Iterable[int]) -> None:
    """Have the kernel run these threads before all others, where we may say so."""
    for thread in threads:
        with suppress(OSError):  # it has ended, or we may not
            os.sched_setscheduler(thread, os.SCHED_RR, PRIORITY)


def _has(place: socket.socket) -> bool:
    with suppress(OSError):
        place.bind(PLACE)
        return True
    return False
