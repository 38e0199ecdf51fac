"""Bounds the time that peers get in each turn of the event loop, so that no tick waits for long."""

import asyncio
import select
import selectors
from collections.abc import Callable
from functools import partial
from typing import Any

from shared.loops.line import Line
from shared.loops.turns import Turn
from shared.wire.stalls import Stalls

from .clock import Clock

MOST_EVENTS = 128
"""The most that asyncio's loop takes from the kernel at once: some 2 ms of reading. By itself it takes all."""

MOST_WOKEN = 32
"""Waiting tasks woken at once: they go on in the next turn, and may find that it is over, too."""


class Turns:
    """Lets tasks go on for about ``TURN_US`` in each turn of the event loop, and has the others wait for the next."""

    def __init__(self, clock: Clock, stalls: Stalls) -> None:
        self._clock = clock
        self._stalls = stalls
        self._turn = Turn()
        self._is_next_asked_for = False
        self._waiting: Line[asyncio.Future[None] | Callable[[], None]] = Line()  # tasks, and acts
        self._woken = 0  # tasks that were woken and have yet to go on
        self._first: list[asyncio.Future[None]] = []  # tasks that went on and found the turn over

    async def take(self, *, is_new: bool = False) -> None:
        """
        Wait until there is time for something that a peer makes us do; mostly there is, and this returns at once.

        ``is_new``: it is the first thing that this peer does.
        """
        if self._is_free():
            return
        came_us = self._clock.now_us()
        wait: Callable[[asyncio.Future[None]], None] = partial(self._waiting.append, is_new=is_new)
        while True:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            wait(woken)
            try:
                await woken
            finally:
                self._woken -= not woken.cancelled()
            if self._has_time():
                self._stalls.note_wait(came_us, self._clock.now_us())
                return
            wait = self._first.append

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
        """Let those who wait go on, in order, while there is time."""
        self._is_next_asked_for = False
        self._clock.look()
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
    """Return asyncio's own loop, one turn of which looks at a bounded number of sockets, where the system has epoll."""
    if not hasattr(selectors, "EpollSelector"):
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(FewAtOnce())


class FewAtOnce(selectors.EpollSelector):
    """A selector that returns at most ``MOST_EVENTS`` at once; the kernel goes on from there the next time."""

    def __init__(self) -> None:
        super().__init__()
        self._selector: Any = _Epoll(self._selector)


class _Epoll:
    """An epoll object as the selector uses it, with a bound on its events."""

    def __init__(self, epoll: select.epoll) -> None:
        self._poll = epoll.poll
        self.register, self.modify, self.unregister = epoll.register, epoll.modify, epoll.unregister
        self.fileno, self.close = epoll.fileno, epoll.close

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """Return what is ready, at most ``MOST_EVENTS``."""
        return self._poll(timeout, min(most, MOST_EVENTS))
