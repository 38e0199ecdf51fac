"""The differences that are planted in our backends are what they say, by a clock that only the test turns."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.planted_difference import MOST_SPUN_US, CpuPlant, TailPlant
from tests.support.stamped_reader import StampedReader
from tickbench.children.commands import python_command
from tickbench.children.processes import Nursery
from tickbench.compare.trial import wait_until_ready

PERIOD_US = 50_000
MEMBERS = 300
FRAME_US = 5


class Machine:
    """Ticks of a server, each begun a little late, and one in a hundred much later."""

    def __init__(self, percent: float) -> None:
        self.now_us = 0
        self.slept: list[float] = []
        self.chance = random.Random(18)
        self.plant = TailPlant(percent, lambda: self.now_us, self.sleep)
        self.audience: Any = SimpleNamespace(members=[None] * MEMBERS, takers=lambda first, last, _: range(first, last))

    def sleep(self, delay_us: float) -> None:
        self.slept.append(delay_us)
        self.now_us += round(delay_us) + 70  # as the kernel does

    def tick(self, n: int, began_late_us: int) -> list[int]:
        """Return how late each frame was."""
        due_us = n * PERIOD_US
        self.now_us = due_us + began_late_us
        watched, late_us = self.plant.watch(self.audience, b'[["tick",%d,%d,%d]]' % (n, due_us, due_us + 9)), []
        for first in range(0, MEMBERS, 256):
            for _ in watched.takers(first, min(MEMBERS, first + 256), {}):
                late_us.append(self.now_us - due_us)
                self.now_us += FRAME_US
        assert len(late_us) == MEMBERS
        return late_us

    def run(self, ticks: int) -> list[int]:
        lates = (200 + self.chance.expovariate(1 / 100) + 3000 * (self.chance.random() < 0.012) for _ in range(ticks))
        return sorted(
            late for n, began in enumerate(lates) for late in self.tick(n, round(began))[: MEMBERS * (n > 99)]
        )


def of(values: list[int], percent: float) -> int:
    return values[int(len(values) * percent / 100)]


@pytest.mark.parametrize("percent", [0, 10, 20])
def test_the_tail_is_later_by_as_much_and_all_below_it_is_as_it_was(percent: float) -> None:
    plain, planted = Machine(0).run(4000), Machine(percent).run(4000)
    assert of(planted, 99) / of(plain, 99) == pytest.approx(1 + percent / 100, abs=0.015)
    for below in (5, 50, 85):
        assert of(planted, below) == pytest.approx(of(plain, below), rel=0.002)


def test_a_tick_that_waited_while_the_server_stood_still_is_neither_delayed_nor_counted() -> None:
    machine = Machine(10)
    machine.run(400)
    before = len(machine.slept)
    for n in range(1000, 1010):
        machine.tick(n, 6_000_000)
    assert len(machine.slept) == before
    machine.run(400)
    assert max(machine.slept) < 1000


def test_nobody_is_delayed_before_the_tail_is_known_and_another_crowd_has_another_one() -> None:
    machine = Machine(10)
    machine.run(39)
    assert machine.slept == []
    machine.run(200)
    assert machine.slept
    del machine.audience.members[150:]
    machine.slept.clear()
    machine.audience.takers = lambda first, last, _: range(first, min(last, 150))
    for _ in machine.plant.watch(machine.audience, b'[["tick",9,%d,0]]' % (machine.now_us - 4000)).takers(0, 150, {}):
        pass
    assert machine.slept == []


@pytest.mark.parametrize("percent", [0, 10, 50])
def test_so_much_more_cpu_time_is_spent_and_never_much_at_once(percent: float) -> None:
    work_us, spun_us = 0.0, 0.0

    def cpu_us() -> float:
        nonlocal spun_us
        spun_us += 0.25  # to ask takes time, too
        return work_us + spun_us

    plant, asked_us = CpuPlant(percent, cpu_us), spun_us
    for _ in range(500):
        work_us += 4000
        before_us = spun_us
        plant.spend()
        assert spun_us - before_us <= MOST_SPUN_US + 1
    assert (spun_us - asked_us) / work_us == pytest.approx(percent / 100, abs=0.001)


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_a_planted_backend_serves_as_it_always_does(backend: str, tmp_path: Path) -> None:
    flags = [backend, "--tail", "50", "--cpu", "50", "--port", "0", "--phase", "0.25", "--tick-budget", "0"]
    command = [*python_command("tests.support.planted_backend"), *flags]
    with Nursery() as nursery, StampedReader() as reader:
        server = nursery.start("server", command, log=tmp_path / "log")
        reader.connect(wait_until_ready(server, None), 20)
        reader.take()
        reader.read(0.6)
        frames = reader.take()
        assert len(set(frames.due_us.tolist())) > 5
        assert {due_us % PERIOD_US for due_us in frames.due_us.tolist()} == {PERIOD_US // 4}, "as its --phase says"
        assert len(frames.due_us) / len(set(frames.due_us.tolist())) > 15, "everybody is sent every tick"
        server.stop(6)
        assert server.exit_status == 0
        assert server.log_tail()[1:] == [], "it said that it is ready, and nothing else"
