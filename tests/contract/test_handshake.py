"""How one comes into a room, and what everybody in it gets with each tick."""

import time
from fractions import Fraction
from itertools import pairwise

import pytest

from tests.conftest import Serve
from tests.support.server import RunningServer

pytestmark = pytest.mark.differs("thread", "process")


def test_the_welcome_is_one_frame_in_order(server: RunningServer, room: str) -> None:
    player = server.enter(room, "Ada")
    handshake, world, top_scores = player.welcome
    assert handshake == ["handshake", "Ada", player.player_id]
    assert world[0] == "world"
    assert [len(row) for row in world[1]] == [50] * 25
    assert all(cell == [" ", 0] for row in world[1] for cell in row)
    assert top_scores == ["top_scores", []]


@pytest.mark.differs("thread")
@pytest.mark.parametrize("rate", ["20", "0.5", "59.94"])
def test_ticks_come_at_every_due_time(serve: Serve, rate: str) -> None:
    with serve("--tick-rate", rate, "--tick-budget", "0") as server:
        player = server.enter("main")
        count = max(2, int(float(rate)))
        ticks = [player.next_tick() for _ in range(count)]
        (stats,) = server.stats()["rooms"]
    # As the protocol has it: t0_us + n * 1_000_000 // tick_rate_hz.
    assert {tick.due_us - tick.n * 1_000_000 // Fraction(rate) for tick in ticks} == {stats["t0_us"]}
    assert all(tick.sent_us >= tick.due_us for tick in ticks)
    assert ticks[-1].n - ticks[0].n + 1 - count <= stats["skipped_ticks"]
    assert all(later.n > earlier.n for earlier, later in pairwise(ticks))


def test_times_are_the_monotonic_clock_plus_an_offset(server: RunningServer, room: str) -> None:
    stats = server.stats()

    def now_us() -> int:
        return time.monotonic_ns() // 1000 + int(stats["clock_offset_us"])

    before_us = now_us()
    player = server.enter(room)
    tick = player.next_tick()
    player.send(["ping", 1])
    server_us = player.next_personal()[0][2]
    after_us = now_us()
    assert before_us - 1 <= tick.sent_us <= after_us + 1  # both are rounded down
    assert before_us - 1 <= server_us <= after_us + 1
