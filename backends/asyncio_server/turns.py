"""Bounds the time that peers get in each turn of the event loop, so that no tick waits for long."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from shared.loops.fair_queue import FairQueue
from shared.loops.turns import TurnTime
from shared.system.epoll import FewAtOnce
from shared.wire.stalls import Stalls

from .clock import Clock

MOST_EVENTS = 128
"""The most that asyncio's loop takes from the kernel at once: some 2 ms of reading."""

MOST_WOKEN = 32
"""Waiting tasks woken at once: they go on in the next turn, and may find that it is over, too."""


class Turns:
    """Lets peers' work go on for about ``TURN_US`` in each turn of the event loop; the rest waits for the next."""

    def __init__(self, clock: Clock, stalls: Stalls) -> None:
        self._clock = clock
        self._stalls = stalls
        self._turn = TurnTime()
        self._waiting: FairQueue[Any] = FairQueue()  # futures of tasks, and acts
        self._woken = 0  # tasks that were woken and have yet to go on
        self._first: list[Any] = []  # futures of tasks that went on and found the turn over
        self._is_next_asked_for = False

    async def take(self, *, is_new: bool = False) -> None:
        """
        Wait until there is time for something that a peer makes us do; mostly there is, and this returns at once.

        ``is_new``: it is the first thing that this peer does.
        """
        if self._is_free():
            return
        came_us = self._clock.now_us()
        wait: Callable[[Any], None] = partial(self._waiting.append, is_new=is_new)
        while True:
            woken = asyncio.get_running_loop().create_future()
            wait(woken)
            try:
                await woken
            finally:
                self._woken -= not woken.cancelled()
            if self._has_time():
                break
            wait = self._first.append
        self._stalls.note_wait(came_us, self._clock.now_us())

    def call(self, act: Callable[[], None], *, is_new: bool = False) -> None:
        """Do something that a peer makes us do when there is time for it, mostly at once; ``is_new`` as above."""
        if self._is_free():
            act()
        else:
            self._waiting.append(partial(self._act_late, act, self._clock.now_us()), is_new=is_new)

    def spend(self, cost_us: int) -> None:
        """Subtract from this turn's time what will be done later without asking."""
        self._turn.spend(cost_us)

    # Private methods

    def _is_free(self) -> bool:
        return not (self._waiting or self._woken or self._first) and self._has_time()

    def _act_late(self, act: Callable[[], None], came_us: int) -> None:
        self._stalls.note_wait(came_us, self._clock.now_us())
        act()

    def _has_time(self) -> bool:
        if not self._is_next_asked_for:
            self._is_next_asked_for = True
            asyncio.get_running_loop().call_soon(self._begin)  # by then the loop has looked at its sockets
        return not self._turn.is_over(self._clock.now_us())

    def _begin(self) -> None:
        """Let those who wait go on, one after the other, while there is time."""
        self._is_next_asked_for = False
        if self._clock.is_due():  # the timer may have to wait until very many sockets have been handled
            self._clock.wake_due()
        self._turn.begin()
        if self._woken:  # they come next
            self._has_time()
            return
        self._waiting.put_back(self._first)
        self._first.clear()
        while self._waiting and self._woken < MOST_WOKEN and self._has_time():
            if self._woken and not isinstance(self._waiting.first, asyncio.Future):
                break  # an act would run now, before tasks that were woken earlier
            first = self._waiting.popleft()
            if not isinstance(first, asyncio.Future):
                first()
            elif not first.done():  # or who waited is gone
                first.set_result(None)
                self._woken += 1


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return asyncio's own loop, one turn of which looks at a bounded number of sockets."""
    return asyncio.SelectorEventLoop(FewAtOnce(MOST_EVENTS))
