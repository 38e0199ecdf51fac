"""
Wait until the machine is quiet enough to measure on, before a run or after spoiled ones.

A run that others disturb is found out by its own checks; this only avoids beginning one in vain.
"""

import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from shared.system.proc_stat import core_ticks

LOOK_S = 0.3
BUSY_PERCENT = 10.0
"""Limit for each core that is to be measured on: an idle one shows 0 to 3 in so short a time."""


LONG_LOOK_S = 5.0
IDLE_PERCENT = 3.0
"""The limit after spoiled runs: as much foreign CPU time as a valid run may have."""


class Quiet(Struct, frozen=True):
    """How busy the cores were, and how long they were waited for."""

    is_quiet: bool
    busy_percent: float
    """Of the core that was busiest in the last look, with what the hypervisor took from it."""
    waited_s: float


def busy_percent(cores: Sequence[int] | None, during_s: float) -> float:
    """Watch for ``during_s``: return how busy the busiest of ``cores`` (None: of all) is, with the steal."""
    before = core_ticks()
    time.sleep(during_s)
    after = core_ticks()
    busy = [0.0]
    for core in before.keys() & after.keys() & (before.keys() if cores is None else set(cores)):
        total = sum(after[core]) - sum(before[core])
        busy.append(100 * (1 - (after[core].waited - before[core].waited) / total) if total > 0 else 0.0)
    return max(busy)


def wait_until_quiet(
    cores: Sequence[int] | None,
    wait_s: float,
    tell: Callable[[str], None] = lambda _: None,
    look: Callable[[Sequence[int] | None, float], float] = busy_percent,
) -> Quiet | None:
    """Wait for idle cores, ``wait_s`` at most; return what was seen, None if ``wait_s`` is 0: then it does not look."""
    if wait_s <= 0:
        return None
    began = time.monotonic()
    while True:
        busy = look(cores, LOOK_S)
        waited_s = time.monotonic() - began
        if busy <= BUSY_PERCENT or waited_s >= wait_s:
            return Quiet(busy <= BUSY_PERCENT, round(busy, 1), round(waited_s, 2))
        tell(f"waiting for a quiet machine: a core is {busy:.0f} % busy")


def wait_until_idle(
    cores: Sequence[int] | None,
    wait_s: float,
    tell: Callable[[str], None] = lambda _: None,
    look: Callable[[Sequence[int] | None, float], float] = busy_percent,
) -> bool:
    """Wait, ``wait_s`` at most, for cores that others leave alone for :data:`LONG_LOOK_S`; return whether they do."""
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        busy = look(cores, min(LONG_LOOK_S, left_s))
        if busy <= IDLE_PERCENT:
            return True
        tell(f"waiting for a machine that can measure, {left_s:.0f} s more at most: a core is {busy:.0f} % busy")
    return False
