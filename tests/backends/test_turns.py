"""
Whoever makes the server work has it for a bounded time a turn of the event loop, on both loops of gevent.

The clock is the test's: a unit of work takes as long as it says, however slow the machine is.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from typing import Any

import gevent
import gevent.hub
import gevent.socket
import pytest

from backends.gevent_server.turns import Turns
from shared.loops.turns import TURN_US
from shared.wire.stalls import STALL_US
from tests.support.greedy import GREEDY, UNIT_US, UNITS_A_TURN, GreedyHouse

LOOPS = {"libev": "gevent.libev.corecext", "libuv": "gevent.libuv.loop"}

Scenario = Callable[["House"], None]


class House(GreedyHouse):
    """What greedy greenlets have done."""

    def __init__(self) -> None:
        super().__init__(Turns)
        self.greenlets: list[Any] = []

    def work(self, number: int, unit_us: int = UNIT_US) -> None:
        self.turns.take()
        self.units[number] += 1
        self.passed_us += unit_us

    def flood(self, unit_us: int = UNIT_US) -> None:
        """Have all of them work without a pause, from now on."""

        def work_on(number: int) -> None:
            while True:
                self.work(number, unit_us)

        self.greenlets = [gevent.spawn(work_on, number) for number in range(GREEDY)]
        gevent.sleep(0)

    def done(self) -> int:
        return sum(self.units)


def run_on(loop: str, scenario: Scenario) -> None:
    """Run a scenario in a hub with that loop, in a thread of its own, which is where hubs live."""
    failures = []

    def run() -> None:
        gevent.hub.set_hub(  # type: ignore[attr-defined] # the stubs lack it
            gevent.hub.Hub(loop=import_module(LOOPS[loop]).loop(default=False))
        )
        house = House()
        house.turns.open()
        try:
            scenario(house)
        except BaseException as failure:  # noqa: BLE001 # whatever it is, it is the test's
            failures.append(failure)
        finally:
            gevent.killall(house.greenlets)
            house.turns.close()
            gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_flood_keeps_a_timer_waiting_for_a_turn_or_two(loop: str) -> None:
    def scenario(house: House) -> None:
        house.flood()
        for _ in range(20):
            gevent.sleep(0.005)
            fired = house.done()
            wait_one_turn()
            assert 0 < house.done() - fired <= 2 * UNITS_A_TURN

    run_on(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_flood_keeps_nobody_from_reading(loop: str) -> None:
    ours, theirs = socket.socketpair()

    def scenario(house: House) -> None:
        house.flood()
        for _ in range(20):
            theirs.send(b"x")
            sent = house.done()
            gevent.socket.wait_read(ours.fileno())
            assert ours.recv(1) == b"x"
            assert house.done() - sent <= 2 * UNITS_A_TURN

    with closing(ours), closing(theirs):
        run_on(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_first_come_first_served(loop: str) -> None:
    def scenario(house: House) -> None:
        house.flood()  # the first of them has the rest of this turn
        before = list(house.units)
        for _ in range(50):
            wait_one_turn()
            gained = [now - then for now, then in zip(house.units, before, strict=True)]
            assert max(gained) - min(gained) <= 1

    run_on(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_newcomer_waits_for_no_more_than_two_turns_behind_a_flood(loop: str) -> None:
    def scenario(house: House) -> None:
        house.flood()
        served: list[int] = []

        def come() -> None:
            house.turns.take(is_new=True)
            served.append(house.done())

        for _ in range(20):
            came = house.done()
            house.greenlets.append(gevent.spawn(come))
            for _ in range(4):
                wait_one_turn()
            assert served.pop() - came <= 2 * UNITS_A_TURN

    run_on(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_waits_for_long_waits_because_of_us(loop: str) -> None:
    def scenario(house: House) -> None:
        house.flood()
        came_us = house.passed_us
        for _ in range(3):  # the loop is not held up: others go first
            house.passed_us += STALL_US // 2
            house.stalls.note_turn(house.passed_us)
        wait_one_turn()
        wait_one_turn()
        assert house.stalls.arrived_since(house.passed_us) <= came_us

    run_on(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_work_that_takes_longer_than_a_turn_has_one_each(loop: str) -> None:
    def scenario(house: House) -> None:
        house.flood(unit_us=5 * TURN_US)
        for _ in range(20):
            before = house.done()
            wait_one_turn()
            assert house.done() - before in (1, 2)

    run_on(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_is_killed_while_waiting_takes_no_turn(loop: str) -> None:
    def scenario(house: House) -> None:
        house.flood()
        wait_one_turn()
        gevent.killall(house.greenlets[::2])
        before = list(house.units)
        for _ in range(50):
            wait_one_turn()
        gained = [now - then for now, then in zip(house.units, before, strict=True)]
        assert not any(gained[::2])
        assert min(gained[1::2]) >= 50 * UNITS_A_TURN // GREEDY

    run_on(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_nobody_waits_while_there_is_time_and_the_loop_sleeps_when_nobody_does(loop: str) -> None:
    def scenario(house: House) -> None:
        house.flood()
        wait_one_turn()
        gevent.killall(house.greenlets)
        wait_one_turn()
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1

        watcher: Any = gevent.get_hub().loop.check(ref=False)
        watcher.start(count)
        gevent.sleep(0.1)
        assert turns < 20, "it looks again and again though nobody waits"
        before = turns
        for number in range(UNITS_A_TURN):
            house.work(number)
        assert turns == before
        watcher.stop()
        watcher.close()

    run_on(loop, scenario)


def wait_one_turn() -> None:
    """Wait for a zero timer, which the hub has looked at its sockets for."""
    hub: Any = gevent.get_hub()
    with hub.loop.timer(0) as timer:
        hub.wait(timer)
