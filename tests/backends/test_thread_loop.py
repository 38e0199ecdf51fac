"""The rules and the sending of the mode ``thread`` take turns, whoever leaves and comes in between, on both stacks."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from shared.rooms.game import Newcomer, Stepped

NOTHING = Stepped(b"[]", [], [], None, 0)


class SlowGame:
    """Takes a while for a step, and says whether it is within one."""

    def __init__(self, room: "OpenRoom") -> None:
        self.room = room
        self.steps = 0
        self.is_stepping = False
        self.welcome_s = 0.0
        self.done: list[str] = []

    def step(self, inputs: list[Any]) -> Stepped:
        assert not inputs
        self.room.overlaps += self.room.is_sending or self.is_stepping
        self.is_stepping = True
        time.sleep(0.01)  # the real one: this is a native thread
        self.is_stepping = False
        self.steps += 1
        self.done.append("step")
        return NOTHING

    def welcome(self, newcomer: Newcomer) -> bytes:
        time.sleep(self.welcome_s)
        self.done.append(newcomer.name)
        return newcomer.name.encode()


class OpenRoom:
    """Ticker, room and server of one loop, whose next tick is due at once unless told otherwise."""

    def __init__(self) -> None:
        self.name = "main"
        self.members: dict[int, Any] = {}
        self.room = self.schedule = self.clock = self
        self.audience = None
        self.next_due_us = 0
        self.config = SimpleNamespace(stop_limit_s=3)
        self.is_sending = False
        self.overlaps = 0
        self.crashes: list[BaseException | None] = []
        self.owned: list[Any] = []
        self.game = SlowGame(self)

    def now_us(self) -> int:
        return 1

    def resume(self) -> None:
        """Be due."""

    def begin(self, now_us: int) -> int:
        return now_us

    def is_waited_for(self) -> bool:
        return False

    def take_inputs(self) -> list[Any]:
        return []

    def apply(self, step: Stepped) -> list[Any]:
        assert step is NOTHING
        return []

    def enter(self, member: Any, newcomer: Newcomer, welcome: bytes, now_us: int) -> None:
        assert (welcome, now_us) == (newcomer.name.encode(), 1)
        self.members[newcomer.player_id] = member

    def leave(self, member: int) -> None:
        del self.members[member]

    def room_crashed(self, _: Any, error: BaseException | None) -> None:
        self.crashes.append(error)


class AsyncioHouse(OpenRoom):
    """On an event loop of asyncio's."""

    backend = "asyncio"

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        asyncio.run(scenario)

    def own(self, act: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        self.owned.append(asyncio.ensure_future(act(*arguments)))

    async def fan_out(self, _due: int, _told: list[Any]) -> None:
        self.is_sending = True
        await asyncio.sleep(0.005)
        self.is_sending = False

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def let_in(self, loop: Any, newcomer: Newcomer) -> None:
        await loop.let_in(newcomer.player_id, newcomer)

    async def let_all_in(self, loop: Any, *newcomers: Newcomer) -> None:
        await asyncio.gather(*(self.let_in(loop, each) for each in newcomers))

    async def stop(self, loop: Any) -> None:
        await loop.stop()


class GeventHouse(OpenRoom):
    """On a hub. Nothing is awaited here: whatever waits switches to another greenlet."""

    backend = "gevent"

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        hub_is_awake = gevent.spawn(gevent.sleep, 60)  # it would not wait for a thread alone
        with pytest.raises(StopIteration):
            scenario.send(None)
        hub_is_awake.kill()

    def own(self, act: Callable[..., object], *arguments: Any) -> None:
        self.owned.append(gevent.spawn(act, *arguments))

    def fan_out(self, _due: int, _told: list[Any]) -> None:
        self.is_sending = True
        gevent.sleep(0.005)
        self.is_sending = False

    async def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)

    async def let_in(self, loop: Any, newcomer: Newcomer) -> None:
        loop.let_in(newcomer.player_id, newcomer)

    async def let_all_in(self, loop: Any, *newcomers: Newcomer) -> None:
        gevent.joinall([gevent.spawn(loop.let_in, each.player_id, each) for each in newcomers])

    async def stop(self, loop: Any) -> None:
        loop.stop()


def opened(house: OpenRoom, backend: str) -> Any:
    loop = import_module(f"backends.{backend}_server.loops.thread").ThreadLoop(house, house)
    loop.game = house.game
    return loop


async def until(house: Any, condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        await house.sleep(0.001)
    raise AssertionError("it never came")


@pytest.mark.parametrize("kind", [AsyncioHouse, GeventHouse])
def test_whoever_leaves_and_comes_within_a_step(kind: Any) -> None:
    house = kind()

    async def scenario() -> None:
        loop = opened(house, kind.backend)
        for number in range(10):
            await house.let_in(loop, Newcomer(number, f"player {number}"))
            await until(house, lambda: house.game.is_stepping)
            loop.leave(number)
        await house.let_in(loop, Newcomer(10, "last"))
        steps = house.game.steps
        await until(house, lambda: house.game.steps > steps + 10)
        await house.stop(loop)

    house.run(scenario())
    assert house.overlaps == 0
    assert house.crashes == []


@pytest.mark.parametrize("kind", [AsyncioHouse, GeventHouse])
def test_whoever_comes_after_a_thread_that_could_have_begun_a_step(kind: Any) -> None:
    house = kind()

    async def scenario() -> None:
        loop = opened(house, kind.backend)
        house.next_due_us = 3_600_000_000
        await house.let_in(loop, Newcomer(0, "first"))
        await until(house, lambda: loop._may_step)  # it waits for the due time alone
        loop.leave(0)
        house.next_due_us = 0
        house.game.welcome_s = 0.02
        await house.let_all_in(loop, Newcomer(1, "second"), Newcomer(2, "third"))
        await until(house, lambda: house.game.steps > 10)
        await house.stop(loop)

    house.run(scenario())
    assert house.game.done[:4] == ["first", "second", "third", "step"]
    assert house.overlaps == 0
    assert house.crashes == []


@pytest.mark.parametrize("kind", [AsyncioHouse, GeventHouse])
def test_a_system_that_has_no_more_threads(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    house = kind()
    if kind is AsyncioHouse:
        monkeypatch.setattr("threading.Thread.start", fail)
    else:
        monkeypatch.setattr("backends.gevent_server.loops.thread.start_new_thread", fail)

    async def scenario() -> None:
        loop = opened(house, kind.backend)
        await house.let_in(loop, Newcomer(1, "unlucky"))
        assert loop.is_over()
        await house.stop(loop)

    house.run(scenario())
    assert [str(error) for error in house.crashes] == ["can't start new thread"]
    assert not house.members
