"""A server's clock, and the one timer of the kernel that wakes it when the next due time has come."""

import os
import time
from typing import Generic, TypeVar

from shared.loops.wakeups import Wakeups, lead_us
from shared.system.timerfd import MONOTONIC, create_timer, expirations, set_timer

W = TypeVar("W")


class DueClock(Generic[W]):
    """
    Microseconds since the Unix epoch, from the monotonic clock plus an offset that is taken once.

    A backend's clock adds the waiting. ``timer`` is a descriptor that is readable when somebody is due, -1 while there
    is none; ``kind`` is that of ``--clock``.
    """

    def __init__(self, kind: str) -> None:
        self.timer = -1
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._kind = kind
        self._lead_us = 0  # how much earlier than the due time the timer is set to expire
        self._wakeups: Wakeups[W] = Wakeups()

    @property
    def offset_us(self) -> int:
        """This clock minus the monotonic one, in us."""
        return self._offset_ns // 1000

    def now_us(self) -> int:
        """Return the time."""
        return (time.monotonic_ns() + self._offset_ns) // 1000

    def cpu_us(self) -> int:
        """Return the CPU time of this thread so far."""
        return time.thread_time_ns() // 1000

    def process_cpu_us(self) -> int:
        """Return the CPU time of this process so far, without that of its children."""
        return time.process_time_ns() // 1000

    def open_timer(self) -> bool:
        """Make the timer, if there is to be one; return whether there is."""
        if self._kind == "timerfd":
            self.timer = create_timer(MONOTONIC)
        return self.timer >= 0

    def close_timer(self) -> None:
        """Close the timer, which nobody watches any more."""
        os.close(self.timer)
        self.timer = -1

    def add(self, due_us: int, waiter: W) -> None:
        """Have :meth:`pop_due` return a waiter when it is due, or a little earlier."""
        self._wakeups.add(due_us, waiter)
        if self._wakeups.next_due_us == due_us:
            self._arm(due_us)

    def is_due(self) -> bool:
        """Whether somebody is due, though the timer may not have been seen to expire; nobody once it is closed."""
        due_us = self._wakeups.next_due_us
        return self.timer >= 0 and due_us is not None and due_us <= self.now_us()

    def pop_due(self) -> list[W]:
        """Remove and return those who are due; set the timer for the next one."""
        expirations(self.timer)
        due = self._wakeups.pop_due(self.now_us() + self._lead_us)
        if (due_us := self._wakeups.next_due_us) is not None:
            self._arm(due_us)
        return due

    def _arm(self, due_us: int) -> None:
        self._lead_us = lead_us(due_us, self.now_us())
        set_timer(self.timer, (due_us - self._lead_us) * 1000 - self._offset_ns)
