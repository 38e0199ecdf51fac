"""What Twisted writes on an event loop that it shares: when, what becomes of the rest, and what it leaves behind."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from backends.asyncio_server.frameworks.twisted import SharedLoop, Transport
from shared.system.descriptors import open_descriptors

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LONG = os.urandom(2**22)
"""More than a kernel takes for a peer that does not read."""

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


class Pair:
    """A connection as Twisted writes to it, and its peer; ``told`` is what the doorkeeper was told of its writing."""

    def __init__(self, transport: Any, peer: socket.socket, reactor: Any, *, at_once: bool) -> None:
        self.peer = peer
        self.told: list[str] = []
        door: Any = SimpleNamespace(
            transport=transport,
            pause_writing=lambda: self.told.append("pause"),
            resume_writing=lambda: self.told.append("resume"),
        )
        self.writes = Transport(door, reactor, at_once=at_once)

    async def read(self, size: int) -> bytes:
        """Read so many bytes, as they come."""
        data = bytearray()
        while len(data) < size:
            data += await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.peer, 2**16), 10)
        return bytes(data)

    def lose(self) -> None:
        """End it, as the doorkeeper has it ended."""
        self.writes.connectionLost(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]
        self.peer.close()


async def connect(*, at_once: bool) -> Pair:
    """Return a connection; its reactor has no descriptor but those that it writes to."""
    loop = asyncio.get_running_loop()
    reactor: Any = AsyncioSelectorReactor(SharedLoop(loop))  # type: ignore[arg-type] # it has what it needs of one
    reactor.removeReader(reactor.waker)
    reactor.waker.connectionLost(None)
    ours, peer = socket.socketpair()
    peer.setblocking(False)  # noqa: FBT003 # it has no name
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    return Pair(transport, peer, reactor, at_once=at_once)


async def pause() -> None:
    """Let the loop turn some times."""
    for _ in range(100):
        await asyncio.sleep(0)


async def settle(before: int) -> None:
    """Wait until no more descriptors are open than before."""
    for _ in range(500):
        if open_descriptors() <= before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{open_descriptors()} are open, {before} were")


def test_what_is_written_at_once_waits_for_no_turn(run: Run) -> None:
    async def write() -> None:
        pair = await connect(at_once=True)
        pair.writes.write(b"tick")
        assert pair.peer.recv(100) == b"tick"
        assert pair.told == []
        pair.lose()

    run(write())


def test_else_it_waits_for_the_next_one(run: Run) -> None:
    async def write() -> None:
        pair = await connect(at_once=False)
        pair.writes.write(b"tick")
        with pytest.raises(BlockingIOError):
            pair.peer.recv(100)
        assert pair.told == ["pause"]
        assert await pair.read(4) == b"tick"
        assert pair.told == ["pause", "resume"]
        pair.lose()

    run(write())


@pytest.mark.parametrize("at_once", [True, False])
def test_the_rest_is_written_when_the_kernel_takes_it(run: Run, at_once: bool) -> None:
    async def write() -> None:
        pair = await connect(at_once=at_once)
        before = open_descriptors()
        for _ in range(2):
            pair.told.clear()
            pair.writes.write(LONG)
            pair.writes.write(b"the end")
            await pause()
            assert await pair.read(len(LONG) + 7) == LONG + b"the end"
            assert pair.told == ["pause", "resume"]
            await settle(before)
        pair.lose()

    run(write())


@pytest.mark.parametrize("at_once", [True, False])
def test_who_goes_in_the_midst_of_it_leaves_no_descriptor(run: Run, at_once: bool) -> None:
    async def write() -> None:
        (await connect(at_once=at_once)).lose()  # uvloop keeps one that it opens for the first
        await pause()
        before = open_descriptors()
        pair = await connect(at_once=at_once)
        pair.writes.write(LONG)
        await pause()
        assert pair.told == ["pause"]
        pair.lose()
        pair.writes.write(b"to nobody")
        await settle(before)

    run(write())
