"""
Cores: a server has one for itself, and whoever attacks it, plays on it or looks at it has the others.

So what a server waits for is not the attackers' share of its core. What processes outside a trial take of it is told
(:func:`taken_ms`), and excuses nothing.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from tests.support.first import coming_first, go_first


@contextmanager
def apart(pids: Iterable[int], *, comes_first: bool = False) -> Iterator[None]:
    """
    Keep these processes on one core, and this one, and whoever it starts, on the others, for the length of a block.

    Tests that run side by side (pytest-xdist) have a server's core each, while there are enough of them. With one core
    nothing can be kept apart. ``comes_first``: before whatever else runs there, of whom only one does at a time.
    """
    usable = os.sched_getaffinity(0)
    servers, others = shared_out(usable, int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))
    with coming_first() if comes_first else nullcontext(enter_result=False) as is_first:
        for thread in threads(pids):
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(thread, servers)
        if is_first:
            go_first(threads(pids))
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
