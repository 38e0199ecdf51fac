"""
Sends at due times: one timer of the kernel's for all who send at a rate of their own.

``gevent.sleep`` would round to whole milliseconds, and a greenlet a sender would cost more than what it sends. Knows
nothing of what is sent.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import gevent

from loadtests.stamps import now_us

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[int], bool]
    """Takes when it is due, on CLOCK_REALTIME; returns whether there is a next time."""


class Pacer:
    """Calls senders at their due times, in the hub, from :meth:`start` to :meth:`stop`."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, int, Send]] = []  # due time, order of coming, period, whom to call
        self._senders = 0
        self._timer: Any = None

    def start(self) -> None:
        """Begin."""
        self._timer = gevent.get_hub().loop.timer(0.0005, 0.0005)

    def pace(self, first_due_us: int, period_us: int, send: Send) -> None:
        """Call ``send`` at ``first_due_us``, and every ``period_us`` from then on until it returns False."""
        self._senders += 1
        heapq.heappush(self._due, (first_due_us, self._senders, period_us, send))
        if len(self._due) == 1:
            self._timer.start(self._on_time)

    def stop(self) -> None:
        """Call nobody any more."""
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
        self._due.clear()

    def _on_time(self) -> None:
        while self._due and self._due[0][0] <= now_us():
            due_us, order, period_us, send = heapq.heappop(self._due)
            if send(due_us):
                heapq.heappush(self._due, (due_us + period_us, order, period_us, send))
        if not self._due and self._timer is not None:
            self._timer.stop()
