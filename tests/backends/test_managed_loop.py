"""What is left of a loop whose room is empty, on both stacks."""

import asyncio
import weakref
from types import SimpleNamespace
from typing import Any

import gevent

from backends.asyncio_server.loops.managed import ManagedLoop as AsyncioLoop
from backends.gevent_server.loops.managed import ManagedLoop as GeventLoop


class Held:
    """Whatever a loop works with."""


class Ticker:
    """Waits for a tick that is never due, with something at hand."""

    def __init__(self) -> None:
        self.room = SimpleNamespace(name="main", members={1: None}, setup=None)
        self.audience = None
        self.held: list[weakref.ref[Held]] = []

    def hold(self) -> Held:
        held = Held()
        self.held.append(weakref.ref(held))
        return held

    def resume(self) -> None:
        """Begin."""

    def tick(self, *_: Any) -> None:
        raise AssertionError("none is due")


class AsyncioTicker(Ticker):
    async def wait(self) -> None:
        held = self.hold()
        await asyncio.sleep(60)
        del held


class GeventTicker(Ticker):
    def wait(self) -> None:
        held = self.hold()
        gevent.sleep(60)
        del held


def assert_left_nothing(ticker: Ticker) -> None:
    assert len(ticker.held) == 1
    assert ticker.held[0]() is None


def test_an_empty_room_holds_nothing_of_what_its_task_was_at() -> None:
    async def scenario() -> None:
        ticker: Any = AsyncioTicker()
        host: Any = SimpleNamespace()  # it is asked nothing
        loop: Any = AsyncioLoop(host, ticker)
        loop.game = SimpleNamespace()
        loop.update()
        await asyncio.sleep(0)
        ticker.room.members.clear()
        loop.update()
        for _ in range(3):
            await asyncio.sleep(0)
        assert_left_nothing(ticker)
        await loop.stop()

    asyncio.run(scenario())


def test_an_empty_room_holds_nothing_of_what_its_greenlet_was_at() -> None:
    ticker: Any = GeventTicker()
    host: Any = SimpleNamespace()  # it is asked nothing
    loop: Any = GeventLoop(host, ticker)
    loop.game = SimpleNamespace()
    loop.update()
    gevent.sleep(0.001)
    ticker.room.members.clear()
    loop.update()
    gevent.sleep(0.001)
    assert_left_nothing(ticker)
    loop.stop()
