"""The end of descriptors is no end of the game: newcomers are told so at once or wait, and get in when others leave."""

import json
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from shared.server.workers import place_of_room
from tests.conftest import Serve
from tests.support.client import PATIENCE_S, Wire, request_bytes
from tests.support.player import Player
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs()

LIMIT = 96
LOOPS = {"asyncio": ["asyncio", "uvloop"], "gevent": ["libev", "libuv"]}


@pytest.fixture(params=[0, 1], ids=["usual", "other"])
def loop(request: pytest.FixtureRequest, backend: str) -> str:
    return LOOPS[backend][int(request.param)]


@contextmanager
def limited(server: RunningServer, soft: int) -> Iterator[None]:
    """Let the server have so many descriptors, until the end of the block."""
    process = psutil.Process(server.process.pid)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_NOFILE, before)


def fill(server: RunningServer, room: str) -> list[Player]:
    """Let players in until one is refused; the refusal must be a proper one."""
    inside: list[Player] = []
    while len(inside) < LIMIT:
        player = server.keep_alive()
        answer = player.upgrade(f"/connect?room={room}", {"Host": "localhost"})
        if answer.status == 503:
            assert answer.headers["retry-after"]
            assert "RLIMIT_NOFILE" in answer.body.decode()
            return inside
        player.enter("player")
        inside.append(player)
    raise AssertionError("nobody was refused")


def test_a_server_takes_as_many_descriptors_as_it_may(serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        with serve() as server:
            assert psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_full_server_refuses_at_once_and_goes_on(serve: Serve, room: str, loop: str) -> None:
    with serve("--tick-rate", "50", "--tick-budget", "0", "--loop", loop) as server, limited(server, LIMIT):
        inside = fill(server, room)
        assert len(inside) > LIMIT // 4
        for player in (inside[0], inside[-1]):
            player.next_tick()
        assert server.stats()["refused"] == {"503": 1}, "it still tells of itself"
        for player in inside[:5]:
            player.hang_up()
        wait_until(lambda: server.stats()["connections"] == len(inside) - 5)
        for _ in range(5):
            inside.append(server.enter(room))
            inside[-1].next_tick()


def test_a_flood_of_silent_connections_harms_nobody_inside(serve: Serve, room: str, loop: str) -> None:
    with serve("--tick-rate", "50", "--tick-budget", "0", "--loop", loop) as server, limited(server, LIMIT):
        player = server.enter(room)
        flood = [server.dial() for _ in range(2 * LIMIT)]
        last = Wire(flood[-1])
        assert b" 503 " in last.read_to(b"\r\n"), "whoever can't be kept is told so"
        for _ in range(5):
            player.next_tick()
        for sock in flood:
            sock.close()
        wait_until(lambda: server.upgrade(f"/connect?room={room}").status == 101)


def test_who_cannot_be_accepted_waits_and_one_line_says_so(serve: Serve, room: str, loop: str) -> None:
    """The kernel has none left for the process: as when the whole system is out of them."""
    with serve("--tick-rate", "50", "--tick-budget", "0", "--loop", loop, logs=True) as server:
        player = server.enter(room)
        with limited(server, 8):
            waiting = [socket.create_connection(server.address, PATIENCE_S) for _ in range(3)]
            if loop != "uvloop":
                wait_until(lambda: "newcomers wait" in server.log)
            for _ in range(5):
                player.next_tick()
            for sock in waiting:
                sock.close()
        newcomer = server.enter(room)
        newcomer.next_tick()
        assert len(server.log.splitlines()) <= 1, server.log
        assert "Traceback" not in server.log


def test_a_child_that_can_t_be_started_is_said_in_one_line_and_newcomers_are_sent_away(serve: Serve) -> None:
    """None is free, and newcomers are on low numbers, where they may be seated."""
    with serve("--mode", "process", "--workers", "2", "--tick-rate", "50", "--tick-budget", "0", logs=True) as server:
        player = server.enter("main")
        waiting = [server.keep_alive() for _ in range(LIMIT // 4)]
        wait_until(lambda: server.held().fds > len(waiting))
        host = {"Host": "{}:{}".format(*server.address)}
        hers = {room: place_of_room(room, 2) for room in ("main", "a", "b", "c", "d")}
        other = next(room for room in hers if hers[room] != hers["main"])
        os.kill(sorted(child.pid for child in server.children())[hers[other]], signal.SIGKILL)
        wait_until(lambda: "was ended by signal 9" in server.log)
        fillers = [server.keep_alive() for _ in range(LIMIT)]
        wait_until(lambda: server.held().fds > LIMIT)
        with limited(server, LIMIT // 2):
            for newcomer in waiting[:2]:  # each leaves one, and a child needs two
                assert newcomer.upgrade(f"/connect?room={other}", host).status == 101
                assert newcomer.expect_close() == 1013
            for _ in range(5):
                player.next_tick()
        assert server.log.count("newcomers are sent away: a room can't be opened") == 1
        assert "Traceback" not in server.log
        assert server.room_stats(other) is None
        fillers[0].hang_up()
        server.enter(other).next_tick()


def test_stats_answers_without_a_descriptor(serve: Serve) -> None:
    with serve() as server:
        asker, host = Wire(server.dial()), {"Host": "{}:{}".format(*server.address)}
        asker.send_raw(request_bytes("GET", "/stats", host))
        assert json.loads(asker.read_response().body)["process"]["not_read"] is None
        before = server.held().fds
        fillers = [server.dial() for _ in range(10)]
        wait_until(lambda: server.held().fds >= before + len(fillers))  # none is to be accepted meanwhile
        with limited(server, 8):
            asker.send_raw(request_bytes("GET", "/stats", host))
            answer = asker.read_response()
            assert answer.status == 200
            process = json.loads(answer.body)["process"]
        assert "Too many open files" in process["not_read"]
        assert process["rss_bytes"] > 0
