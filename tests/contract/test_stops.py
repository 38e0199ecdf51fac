"""
A server that is stopped (SIGSTOP, its child processes too) and goes on: nothing happens because time has passed.

In a comparison the arm that is not measured stands still, again and again.
"""

import itertools
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Serve
from tests.support.client import PING, PONG, request_bytes, upgrade_headers
from tests.support.player import Player
from tests.support.server import RunningServer

LIMITS = {"ping-interval": 0.8, "max-missed-pings": 1, "new-player-limit": 1, "handshake-limit": 1, "room-linger": 2}
STOP_S = 1.1
"""Twice that is longer than any limit, and once longer than what a limit is prolonged by where a server was held up."""

RATE_HZ = 50
SHORT_STOP_S = 0.5


@contextmanager
def stopped(server: RunningServer) -> Iterator[None]:
    """Stop all of its processes for as long as this is entered."""
    pids = server.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def read_until_pinged(player: Player) -> bytes:
    """Read ticks until the server pings; return what it is to be answered with."""
    player.answers_pings = False
    while (frame := player.receive_frame()).opcode != PING:
        pass
    return frame.payload


@pytest.mark.differs
def test_nobody_s_time_passes_while_it_stands_still(serve: Serve) -> None:
    request = request_bytes("GET", "/connect?room=main", upgrade_headers({}))
    with serve(*[word for name, value in LIMITS.items() for word in (f"--{name}", str(value))]) as server:
        pinged = server.enter("main")
        payload = read_until_pinged(pinged)
        half, unnamed, leaver = server.keep_alive(), server.connect("main"), server.enter("left")
        half.send_raw(request[:40])
        leaver.hang_up()
        time.sleep(0.1)
        for _ in range(2):
            with stopped(server):
                time.sleep(STOP_S)
            time.sleep(0.05)
        assert server.room_stats("left") is not None, "it is kept for who comes back"
        pinged.send_frame(PONG, payload)
        half.send_raw(request[40:])
        assert half.read_response().status == 101
        for newcomer in (unnamed, half):
            newcomer.enter()
        pinged.ping()
        stats = server.stats()
        assert (stats["dead"], stats["connections"], stats["closed"]) == (0, 3, {})


@pytest.mark.differs("always-on", "condition", "thread", "process")
def test_ticks_go_on_where_they_are_due_and_what_was_skipped_is_told(serve: Serve) -> None:
    flags = ("--tick-rate", str(RATE_HZ), "--tick-budget", "0.8", "--slow-limit", "0.2", "--worker-limit", "0.2")
    with serve(*flags, "--bots", "5", "--seed", "7") as server:
        player = server.enter("main")
        stops = []
        for _ in range(2):
            player.next_tick()
            with stopped(server):
                time.sleep(SHORT_STOP_S)
            stops.append(server.stats()["now_us"])
            player.until_due(stops[-1])
        newcomer = server.enter("main")  # ticks had no load while it stood still
        n = newcomer.next_tick().n
        player.until(lambda tick: tick.n >= n)
        assert player.board.cells == newcomer.board.cells

        room, stats = server.room_stats("main"), server.stats()
        assert room is not None
        assert all(tick.due_us == room["t0_us"] + tick.n * 1_000_000 // RATE_HZ for tick in player.ticks)
        numbers = [tick.n for tick in player.ticks]
        leaps = [after - before for before, after in itertools.pairwise(numbers)]
        assert min(leaps) == 1
        assert sum(leap > SHORT_STOP_S * RATE_HZ / 2 for leap in leaps) == len(stops)
        assert sum(leap - 1 for leap in leaps) <= room["skipped_ticks"], "what it skipped it says"
        assert (stats["slow_skips"], stats["slow_closed"], stats["crashed_rooms"]) == (0, 0, 0)
