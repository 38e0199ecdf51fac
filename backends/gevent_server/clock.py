"""The server's clock, and the ways of ``--clock`` to wait on the event loop for a due time."""

import os
import time
from typing import Any

import gevent
from gevent.event import Event

from shared.loops.wakeups import Wakeups, lead_us
from shared.system.timerfd import MONOTONIC, create_timer, expirations, set_timer


class Clock:
    """
    Microseconds since the Unix epoch, from the monotonic clock plus an offset that is taken once.

    ``timerfd``: one timer of the kernel's wakes all who wait, between :meth:`open` and :meth:`close`. ``loop``: the
    event loop's own timers do, with the resolution that they have.
    """

    def __init__(self, kind: str) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._kind = kind
        self._timer = -1
        self._lead_us = 0  # how much earlier than the due time the timer is set to expire
        self._watcher: Any = None
        self._wakeups: Wakeups[Event] = Wakeups()

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

    def open(self) -> None:
        """Begin to watch the timer."""
        if self._kind == "timerfd":
            self._timer = create_timer(MONOTONIC)
            self._watcher = gevent.get_hub().loop.io(self._timer, 1)  # READ, of libev and libuv
            self._watcher.start(self._on_expired)

    def close(self) -> None:
        """Close the timer; whoever still waits is not woken any more."""
        if self._timer >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._timer)
            self._timer = -1

    def sleep_until(self, due_us: int) -> None:
        """
        Wait until ``due_us`` is over, though the timer may wake us early: 0 us late is early to a histogram.

        A caller that is late already gives others a turn, or a loop that is always late would let nothing else run.
        """
        if due_us < self.now_us():
            give_turn()
            return
        if self._timer < 0:
            while (wait_us := due_us - self.now_us()) >= 0:
                gevent.sleep(wait_us / 1_000_000)
            return
        self._wait_for_timer(due_us)
        while due_us >= self.now_us():
            pass  # what is left of the lead, for at most LEAD_US

    # Private methods

    def _wait_for_timer(self, due_us: int) -> None:
        woken = Event()
        self._wakeups.add(due_us, woken)
        if self._wakeups.next_due_us == due_us:
            self._arm(due_us)
        woken.wait()

    def _arm(self, due_us: int) -> None:
        self._lead_us = lead_us(due_us, self.now_us())
        set_timer(self._timer, (due_us - self._lead_us) * 1000 - self._offset_ns)

    def _on_expired(self) -> None:
        expirations(self._timer)
        for woken in self._wakeups.pop_due(self.now_us() + self._lead_us):
            woken.set()
        if (due_us := self._wakeups.next_due_us) is not None:
            self._arm(due_us)


def give_turn() -> None:
    """Let the hub look at its sockets once; ``gevent.sleep(0)`` runs what is ready and looks at none."""
    hub: Any = gevent.get_hub()
    with hub.loop.timer(0) as timer:
        hub.wait(timer)
