"""
Whoever makes the server work has it for a bounded time a turn of the event loop, on both loops of asyncio.

The clock is the test's: a unit of work takes as long as it says, however slow the machine is.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
import uvloop

from backends.asyncio_server.turns import MOST_WOKEN, Turns
from shared.loops.turns import TURN_US
from shared.wire.stalls import STALL_US
from tests.support.greedy import GREEDY, UNIT_US, UNITS_A_TURN, GreedyHouse

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class House(GreedyHouse):
    """What greedy tasks have done, and in which order."""

    def __init__(self) -> None:
        super().__init__(Turns)
        self.order: list[int] = []

    async def work(self, number: int) -> None:
        await self.turns.take()
        self.act(number)

    def act(self, number: int) -> None:
        self.units[number] += 1
        self.order.append(number)
        self.passed_us += UNIT_US

    async def work_on(self, number: int) -> None:
        while True:
            await self.work(number)


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def run_story(story: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(story, 20))

    return run_story


async def pause() -> None:
    """Let the loop turn some times."""
    for _ in range(100):
        await asyncio.sleep(0)


Run = Callable[[Coroutine[Any, Any, None]], None]


def test_a_tick_waits_for_one_turn_however_many_there_are(run: Run) -> None:
    async def story() -> None:
        house = House()
        tasks = [asyncio.create_task(house.work_on(number)) for number in range(GREEDY)]
        await asyncio.sleep(0)
        for _ in range(200):
            before = sum(house.units)
            await asyncio.sleep(0)  # what is due has its turn
            assert sum(house.units) - before <= UNITS_A_TURN
        assert min(house.units) > 0
        assert max(house.units) - min(house.units) <= UNITS_A_TURN, "first come, first served"
        for task in tasks:
            task.cancel()

    run(story())


def test_who_is_called_back_and_who_waits_come_in_order(run: Run) -> None:
    async def story() -> None:
        house = House()
        tasks = []
        for number in range(0, GREEDY, 2):
            tasks.append(asyncio.create_task(house.work(number)))
            await asyncio.sleep(0) if number == 0 else None
        await asyncio.sleep(0)
        for number in range(1, GREEDY, 2):
            house.turns.call(partial(house.act, number))
        await asyncio.gather(*tasks)
        await pause()
        assert house.order == [*range(0, GREEDY, 2), *range(1, GREEDY, 2)]

    run(story())


@pytest.mark.parametrize("kind", ["task", "act"])
def test_a_newcomer_waits_for_no_more_than_two_turns_behind_a_flood(run: Run, kind: str) -> None:
    async def story() -> None:
        house = House()
        tasks = [asyncio.create_task(house.work_on(number)) for number in range(GREEDY)]
        await asyncio.sleep(0)
        served: list[int] = []

        def serve() -> None:
            served.append(sum(house.units))

        async def come() -> None:
            await house.turns.take(is_new=True)
            serve()

        for _ in range(20):
            came = sum(house.units)
            if kind == "act":
                house.turns.call(serve, is_new=True)
            else:
                tasks.append(asyncio.create_task(come()))
            for _ in range(10):
                await asyncio.sleep(0)
            assert served.pop() - came <= MOST_WOKEN + 2 * UNITS_A_TURN < GREEDY, "who is woken already goes first"
        for task in tasks:
            task.cancel()

    run(story())


def test_who_waits_for_long_waits_because_of_us(run: Run) -> None:
    async def story() -> None:
        house = House()
        tasks = [asyncio.create_task(house.work(number)) for number in range(GREEDY)]
        await asyncio.gather(*tasks)
        assert not house.stalls.is_recent(0)
        await asyncio.sleep(0)  # another turn
        tasks = [asyncio.create_task(house.work(number)) for number in range(2 * UNITS_A_TURN)]
        await asyncio.sleep(0)
        came_us = house.passed_us
        for _ in range(3):  # the loop is not held up: others go first
            house.passed_us += STALL_US // 2
            house.stalls.note_turn(house.passed_us)
        await asyncio.gather(*tasks)
        assert house.stalls.arrived_since(house.passed_us) <= came_us

    run(story())


def test_what_will_be_done_later_counts(run: Run) -> None:
    async def story() -> None:
        house = House()
        acts: list[int] = []

        def act() -> None:
            acts.append(1)
            house.turns.spend(TURN_US)

        for _ in range(5):
            house.turns.call(act)
        assert len(acts) == 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 1 < len(acts) <= 3, "one a turn"
        await pause()
        assert len(acts) == 5

    run(story())


def test_who_goes_while_it_waits_keeps_nobody_waiting(run: Run) -> None:
    async def story() -> None:
        house = House()
        tasks = [asyncio.create_task(house.work(number % GREEDY)) for number in range(3 * MOST_WOKEN)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the first of them are woken by now, and go on next
        for task in tasks[:-1]:
            task.cancel()
        before = len(house.order)
        await tasks[-1]
        assert len(house.order) == before + 1
        await house.turns.take()

    run(story())
