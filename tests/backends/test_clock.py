"""A loop that is always late must not keep everybody else from running: what is read and accepted goes on."""

import asyncio
import socket
from contextlib import closing
from importlib import import_module

import gevent
import gevent.socket
import pytest

LATE_US = 1000
TURNS = 20


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    theirs.settimeout(0)
    return ours, theirs


@pytest.mark.parametrize("kind", ["timerfd", "loop"])
def test_asyncio_reads_while_a_loop_is_late(kind: str, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    clock = import_module("backends.asyncio_server.clock").Clock(kind)

    async def scenario() -> bytes:
        clock.open()
        reading = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(ours, 100))
        await asyncio.sleep(0)
        theirs.send(b"a message")
        for _ in range(TURNS):
            await clock.sleep_until(clock.now_us() - LATE_US)
        clock.close()
        assert reading.done(), "nobody had a turn"
        return await reading

    with closing(ours), closing(theirs):
        assert asyncio.run(scenario()) == b"a message"


@pytest.mark.parametrize("kind", ["timerfd", "loop"])
def test_gevent_reads_while_a_loop_is_late(kind: str, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    clock = import_module("backends.gevent_server.clock").Clock(kind)

    def read() -> bytes:
        gevent.socket.wait_read(ours.fileno())
        return ours.recv(100)

    with closing(ours), closing(theirs):
        clock.open()
        reading = gevent.spawn(read)
        gevent.sleep(0)
        theirs.send(b"a message")
        for _ in range(TURNS):
            clock.sleep_until(clock.now_us() - LATE_US)
        clock.close()
        assert reading.ready(), "nobody had a turn"
        assert reading.value == b"a message"
