"""
Turns of the event loop: what peers make us do is done for a bounded time in each, so that no tick waits for long.

Knows nothing of peers and messages.
"""

from typing import Any

import gevent
from gevent.hub import Waiter

from shared.loops.line import Line
from shared.loops.turns import Turn
from shared.wire.stalls import Stalls

from .clock import Clock


class Turns:
    """
    Lets greenlets go on for one turn of the event loop, about as long as its ``TURN_US`` says, and has others wait.

    Between :meth:`open` and :meth:`close` it notices each time that the hub has looked at its sockets: no
    ``gevent.sleep(0)`` makes it do that, which runs whatever is ready again and again.
    """

    def __init__(self, clock: Clock, stalls: Stalls) -> None:
        self._clock = clock
        self._stalls = stalls
        self._turn = Turn()
        self._waiting: Line[Any] = Line()  # a waiter whose greenlet was killed is there yet, and wakes nobody
        self._looked: Any = None  # watches for the hub to have looked
        self._haste: Any = None  # has it look at once, and not wait for something to happen

    def open(self) -> None:
        """Begin to notice turns."""
        loop = gevent.get_hub().loop
        self._looked = loop.check(ref=False)
        self._haste = loop.idle(ref=False)
        self._looked.start(self._begin)

    def close(self) -> None:
        """Notice no more of them; who still waits waits for ever."""
        for watcher in (self._looked, self._haste):
            watcher.stop()
            watcher.close()

    def take(self, *, is_new: bool = False) -> None:
        """
        Wait until there is time for something that a peer makes us do; mostly there is, and nobody waits.

        ``is_new``: it is the first that this peer does.
        """
        if self._waiting or self._turn.is_over(self._clock.now_us()):
            self._wait(is_new=is_new)

    def spend(self, cost_us: int) -> None:
        """Take off this turn's time what will be done later on without asking."""
        self._turn.spend(cost_us)

    # Private methods

    def _wait(self, *, is_new: bool) -> None:
        waiter: Any = Waiter()
        if not self._waiting:
            self._haste.start(_do_nothing)
        self._waiting.append(waiter, is_new=is_new)
        came_us = self._clock.now_us()
        waiter.get()
        self._stalls.note_wait(came_us, self._clock.now_us())

    def _begin(self) -> None:
        """Let those who wait go on, one after the other, while there is time; each comes back here when it waits."""
        self._turn.begin()
        if self._waiting:
            while self._waiting and not self._turn.is_over(self._clock.now_us()):
                self._waiting.popleft().switch(None)
            if not self._waiting:
                self._haste.stop()


def _do_nothing() -> None:
    """Be called by a watcher that is there for what else it does."""
