"""
Cores: a server has one for itself, and whoever attacks it, plays on it or looks at it has the others.

So what a server waits for is not the attackers' share of its core. What processes outside a trial take of it is told
(:func:`taken_ms`), and excuses nothing.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FIRST = os.sched_param(1)
"""
Of a server that other tests run beside: they get what it leaves. A real-time priority, for niceness counts within a
session only (sched(7), autogroup), and the children of other tests have sessions of their own.
"""


@contextmanager
def apart(pids: Iterable[int], *, comes_first: bool = False) -> Iterator[None]:
    """
    Keep these processes on one core, and this one, and whoever it starts, on the others, for the length of a block.

    Tests that run side by side (pytest-xdist) have a server's core each, while there are enough of them. With one core
    nothing can be kept apart. ``comes_first``: before whatever else runs there, where we may say so.
    """
    usable = os.sched_getaffinity(0)
    servers, others = shared_out(usable, int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))
    for thread in threads(pids):
        with suppress(OSError):  # it has ended
            os.sched_setaffinity(thread, servers)
            if comes_first:
                os.sched_setscheduler(thread, os.SCHED_RR, FIRST)
    os.sched_setaffinity(0, others)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def shared_out(usable: set[int], number: int) -> tuple[set[int], set[int]]:
    """Return the server's core, and the others: those of the trial of that number."""
    core = sorted(usable)[number % len(usable)]
    return {core}, usable - {core} or usable


def threads(pids: Iterable[int]) -> list[int]:
    """Return all threads of these processes: what the kernel schedules."""
    return [int(task.name) for pid in pids for task in Path(f"/proc/{pid}/task").glob("*")]


def taken_ms(pids: Iterable[int]) -> float:
    """
    Return for how long these processes' threads have been ready to run and had no core so far, in milliseconds.

    Apart from each other's time it is what others took (Documentation/scheduler/sched-stats.rst).
    """
    waited_ns = 0
    for thread in threads(pids):
        with suppress(OSError):  # it has ended
            waited_ns += int(Path(f"/proc/{thread}/schedstat").read_text("ascii").split()[1])
    return waited_ns / 1e6
