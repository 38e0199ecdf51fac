"""
A priority queue of those who wait for due times, so that one timer serves all of them.

A backend arms its timer for :attr:`Wakeups.next_due_us` whenever that changes, or looks now and then, and wakes those
that :meth:`Wakeups.pop_due` returns.
"""

import heapq
from typing import Generic, TypeVar

W = TypeVar("W")

LEAD_US = 150
"""How much earlier than it is due a sleeping process is to be woken: it takes about as long until it runs."""

MIN_SLEEP_US = 50 * LEAD_US
"""Who sleeps shorter is woken when it is due: so busy waiting for the rest of the lead takes 2 % at most."""


def lead_us(due_us: int, now_us: int) -> int:
    """Return how much earlier than ``due_us`` a timer that is set now is to expire."""
    return LEAD_US if due_us - now_us >= MIN_SLEEP_US else 0


class Wakeups(Generic[W]):
    """Those who wait, by due time; of the same due time in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, W]] = []
        self._added = 0

    @property
    def next_due_us(self) -> int | None:
        """When the next one is due, None while nobody waits."""
        return self._waiting[0][0] if self._waiting else None

    def add(self, due_us: int, waiter: W) -> None:
        """Add a waiter; one that gives up is not removed, but woken in vain."""
        self._added += 1
        heapq.heappush(self._waiting, (due_us, self._added, waiter))

    def pop_due(self, now_us: int) -> list[W]:
        """Remove and return those who are due."""
        due: list[W] = []
        while self._waiting and self._waiting[0][0] <= now_us:
            due.append(heapq.heappop(self._waiting)[2])
        return due
