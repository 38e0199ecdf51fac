"""People come and go all the time, and rooms with them: nothing of any of them stays behind."""

import heapq
import random
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conftest import FULL_SIZE, Serve
from tests.support.client import CLOSE, TEXT, client_frame
from tests.support.server import RunningServer, wait_until
from tests.support.swarm import Ending, Swarm, Visitor

pytestmark = [pytest.mark.differs("process"), pytest.mark.framework]

SECONDS = 600 if FULL_SIZE else 5
SETTLED_S = 180
"""By then caches are warm and free lists are full, at full size."""

COMERS_HZ = 100
STAY_S = (0.0, 2.0)
ROOMS, OPEN_ROOMS = 20, 5
ROOM_S = 0.5 if not FULL_SIZE else 2.0
"""How long until the next of the rooms opens its doors and the one that was open longest closes them."""

FLAGS = ("--room-linger", "0.5", "--tick-budget", "0", "--handshake-limit", "60")
"""In ten minutes a machine of others may stand still for longer than a handshake may take."""

GROWTH, GROWTH_BYTES = 1.03, 3 * 2**20

LEAVE = client_frame(CLOSE, struct.pack("!H", 1000))


class Passerby(Visitor):
    """One who comes in, joins the game or not, and leaves in one of three ways, perhaps before it is let in."""

    def __init__(self, number: int, room: str) -> None:
        super().__init__(room, f"{number}", early=number % 5 == 0)
        self.number = number
        if number % 2:
            self.greeting += client_frame(TEXT, b'["join"]')

    def leave(self) -> None:
        way = self.number % 3
        if way == 0 and self.is_in:
            self.send(LEAVE)
        else:
            self.hang_up(reset=way == 2)


@dataclass
class Street:
    """Where they pass by; ``seen`` are the rooms that there were, told apart by their first tick."""

    swarm: Swarm
    came: int = 0
    told: int = 0
    seen: set[tuple[str, int]] = field(default_factory=set)
    _leaving: list[tuple[float, int, Passerby]] = field(default_factory=list)  # a heap: when, who
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    def pass_by(self, server: RunningServer, seconds: float) -> Iterator[dict[str, Any]]:
        """Let people come and go for that long; yield the server's figures once a second."""
        began_s = time.monotonic()
        told_s = began_s
        while (now_s := time.monotonic()) < began_s + seconds:
            while self.came < (now_s - began_s) * COMERS_HZ:
                self._come(int((now_s - began_s) / ROOM_S), now_s)
            self._let_go(now_s)
            self.swarm.turn(0.005)
            if now_s - told_s >= 1:
                told_s += 1
                stats = server.stats()
                self.seen.update((room["name"], room["t0_us"]) for room in stats["rooms"])
                yield stats

    def go_home(self) -> None:
        """Have all leave who are left."""
        self._let_go(float("inf"))
        self.swarm.run_until(lambda: not self.swarm.visitors)

    def _come(self, shift: int, now_s: float) -> None:
        visitor = Passerby(self.came, f"room-{(shift + self._chance.randrange(OPEN_ROOMS)) % ROOMS}")
        heapq.heappush(self._leaving, (now_s + self._chance.uniform(*STAY_S), self.came, visitor))
        self.swarm.dial(visitor)
        self.came += 1

    def _let_go(self, now_s: float) -> None:
        while self._leaving and self._leaving[0][0] <= now_s:
            _, _, visitor = heapq.heappop(self._leaving)
            assert visitor.ending is None, f"{visitor.number}: {visitor.ending}, {visitor.answer}"
            assert visitor.answer is None or visitor.is_in, visitor.answer
            self.told += bool(visitor.ticks)
            visitor.leave()
            if visitor.ending is Ending.LEFT:
                self.swarm.visitors.discard(visitor)


@pytest.mark.timeout(SECONDS + 120)
def test_who_comes_and_goes_leaves_nothing_behind(serve: Serve) -> None:
    with serve(*FLAGS) as server, Swarm(server.address) as swarm:
        first = server.enter("main")
        first.next_tick()
        server.settle()
        wait_until(lambda: not server.stats()["rooms"])
        fds = server.stats()["process"]["fds"]

        street = Street(swarm)
        rss_bytes = []
        for stats in street.pass_by(server, SECONDS):
            assert len(stats["rooms"]) < ROOMS, "rooms that nobody is in are not disposed of"
            rss_bytes.append(stats["process"]["rss_bytes"])
        street.go_home()
        wait_until(lambda: server.stats()["connections"] == 0)
        wait_until(lambda: not server.stats()["rooms"])
        wait_until(lambda: server.stats()["process"]["fds"] <= fds)

        assert street.came >= (SECONDS - 1) * COMERS_HZ
        assert street.told > street.came / 2
        assert len(street.seen) > OPEN_ROOMS + SECONDS / ROOM_S / 2
        stats = server.stats()
        assert (stats["crashed_rooms"], stats["slow_closed"], stats["dead"], stats["refused"]) == (0, 0, 0, {})
        mebibytes = [round(rss / 2**20, 2) for rss in rss_bytes]
        settled = mebibytes[min(SETTLED_S, len(mebibytes)) - 1]
        print(  # noqa: T201 # the figures are asked for
            f"\n{server.backend}: {street.came} came and went in {SECONDS} s, {len(street.seen)} rooms; memory "
            f"{mebibytes[0]} MiB after 1 s, {settled} MiB after {min(SETTLED_S, SECONDS)} s, {mebibytes[-1]} MiB then"
        )
        if FULL_SIZE:
            assert rss_bytes[-1] <= max(GROWTH * rss_bytes[SETTLED_S - 1], rss_bytes[SETTLED_S - 1] + GROWTH_BYTES)
