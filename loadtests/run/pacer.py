"""
Calls senders at exact due times: one kernel timer for all connections that send at a fixed rate.

``gevent.sleep`` would round to whole milliseconds, and a greenlet per sender would cost more than the sending.
"""

import heapq
import os
from collections.abc import Callable
from typing import Any

import gevent

from loadtests.receive.stamps import now_us
from shared.system.timerfd import REALTIME, create_timer, expirations, set_timer

Send = Callable[[int], bool]
"""Takes the due time in microseconds of CLOCK_REALTIME; returns whether to call it again."""


class Pacer:
    """Calls senders at their due times, in the hub, until :meth:`stop`."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, int, Send]] = []  # due time, order of registration, period, sender
        self._senders = 0
        self._timer = -1
        self._watcher: Any = None

    def pace(self, first_due_us: int, period_us: int, send: Send) -> None:
        """Call ``send`` at ``first_due_us`` and every ``period_us`` after, until it returns False."""
        if self._timer < 0:
            self._timer = create_timer(REALTIME)
            if self._timer < 0:
                raise OSError("this system has no timerfd, which messages at a rate of their own need")
            self._watcher = gevent.get_hub().loop.io(self._timer, 1)
            self._watcher.start(self._on_time)
        self._senders += 1
        heapq.heappush(self._due, (first_due_us, self._senders, period_us, send))
        if self._due[0][1] == self._senders:  # it is the next one
            self._arm()

    def stop(self) -> None:
        """Forget all senders, and release the timer."""
        if self._timer >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._timer)
            self._timer = -1
        self._due.clear()

    def _on_time(self) -> None:
        expirations(self._timer)
        # What becomes due meanwhile waits for the next expiry: the hub must get to read, even if we are behind.
        until_us = now_us()
        while self._due and self._due[0][0] <= until_us:
            due_us, order, period_us, send = heapq.heappop(self._due)
            if send(due_us):
                heapq.heappush(self._due, (due_us + period_us, order, period_us, send))
        if self._due:
            self._arm()

    def _arm(self) -> None:
        set_timer(self._timer, self._due[0][0] * 1000)
