"""Bounds the time that peers get in each turn of the event loop, so that no tick waits for long."""

from typing import Any

import gevent
from gevent.hub import Waiter

from shared.loops.fair_queue import FairQueue
from shared.loops.turns import TurnTime
from shared.wire.stalls import Stalls

from .clock import Clock


class Turns:
    """Lets peers' work go on for about ``TURN_US`` in each turn of the event loop; the rest waits for the next."""

    def __init__(self, clock: Clock, stalls: Stalls) -> None:
        self._clock = clock
        self._stalls = stalls
        self._turn = TurnTime()
        self._waiting: FairQueue[Any] = FairQueue()  # a waiter whose greenlet was killed stays in it, and wakes nobody
        self._looked: Any = None  # a watcher that is called when the hub has looked at its sockets
        self._haste: Any = None  # a watcher that has the hub look at once, without waiting for an event

    def open(self) -> None:
        """Begin to notice turns: ``gevent.sleep(0)`` is none, it runs whatever is ready, again and again."""
        loop = gevent.get_hub().loop
        self._looked, self._haste = loop.check(ref=False), loop.idle(ref=False)
        self._looked.start(self._begin)

    def close(self) -> None:
        """Stop noticing turns; whoever still waits is not woken any more."""
        for watcher in (self._looked, self._haste):
            watcher.stop()
            watcher.close()

    def take(self, *, is_new: bool = False) -> None:
        """
        Wait until there is time for something that a peer makes us do; mostly there is, and this returns at once.

        ``is_new``: it is the first thing that this peer does.
        """
        if self._is_free():
            return
        came_us = self._clock.now_us()
        woken: Any = Waiter()
        if not self._waiting:
            self._haste.start(lambda: None)
        self._waiting.append(woken, is_new=is_new)
        woken.get()
        self._stalls.note_wait(came_us, self._clock.now_us())

    def spend(self, cost_us: int) -> None:
        """Subtract from this turn's time what will be done later without asking."""
        self._turn.spend(cost_us)

    # Private methods

    def _is_free(self) -> bool:
        return not self._waiting and self._has_time()

    def _has_time(self) -> bool:
        return not self._turn.is_over(self._clock.now_us())

    def _begin(self) -> None:
        """Let those who wait go on, one after the other, while there is time."""
        self._turn.begin()
        if self._waiting:
            while self._waiting and self._has_time():
                self._waiting.popleft().switch(None)  # it comes back here when it waits
            if not self._waiting:
                self._haste.stop()
