"""The server's clock, and the ways of ``--clock`` to wait on the event loop for a due time."""

from typing import Any

import gevent
from gevent.event import Event

from shared.system.clock import DueClock


class Clock(DueClock[Event]):
    """
    The clock, with the waiting.

    ``timerfd``: one timer of the kernel's wakes all who wait, between :meth:`open` and :meth:`close`. ``loop``: the
    event loop's own timers do, with the resolution that they have.
    """

    _watcher: Any

    def open(self) -> None:
        """Begin to watch the timer."""
        if self.open_timer():
            self._watcher = gevent.get_hub().loop.io(self.timer, 1)  # READ, of libev and libuv
            self._watcher.start(self.wake_due)

    def close(self) -> None:
        """Close the timer; whoever still waits is not woken any more."""
        if self.timer >= 0:
            self._watcher.stop()
            self._watcher.close()
            self.close_timer()

    def sleep_until(self, due_us: int) -> None:
        """
        Wait until ``due_us`` is over, though the timer may wake us early: 0 us late is early to a histogram.

        A caller that is late already gives others a turn, or a loop that is always late would let nothing else run.
        """
        if due_us < self.now_us():
            give_turn()
            return
        if self.timer < 0:
            while (wait_us := due_us - self.now_us()) >= 0:
                gevent.sleep(wait_us / 1_000_000)
            return
        woken = Event()
        self.add(due_us, woken)
        woken.wait()
        while due_us >= self.now_us():
            pass  # what is left of the lead, for at most LEAD_US

    def wake_due(self) -> None:
        """Wake those who are due."""
        for woken in self.pop_due():
            woken.set()


def give_turn() -> None:
    """Let the hub look at its sockets once; ``gevent.sleep(0)`` runs what is ready and looks at none."""
    hub: Any = gevent.get_hub()
    with hub.loop.timer(0) as timer:
        hub.wait(timer)
