"""What a writer makes of a slow library, a lost peer and an ended connection, on both stacks."""

import asyncio
import gc
import os
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from backends.asyncio_server.writer import FrameWriter, LibraryWriter, WaitingWriter
from backends.gevent_server import writer as gevent_writer
from backends.gevent_server.frameworks.gevent_websocket import Stream
from backends.gevent_server.writer import FrameWriter as GeventFrameWriter
from backends.gevent_server.writer import LibraryWriter as GeventLibraryWriter
from backends.gevent_server.writer import WaitingWriter as GeventWaitingWriter
from shared.server.config import parse_arguments
from shared.server.consumer import Consumer
from shared.wire.frames import Opcode
from shared.wire.session import ConnectionLimits, Outgoing, Session

CLOSING = Outgoing(Opcode.CLOSE, b"\x03\xe8")


class Connection(Consumer):
    """A connection whose framework, ``ws``, is the test's."""

    __slots__ = ("__weakref__", "aborted", "host", "writer")

    def __init__(self, ws: Any, *flags: str) -> None:
        roster = SimpleNamespace(next_serial=lambda: 1)
        super().__init__(SimpleNamespace(roster=roster), Session(ConnectionLimits(), 0), ws, None)  # type: ignore[arg-type]
        self.aborted = 0
        self.host = SimpleNamespace(config=parse_arguments("asyncio", flags), wait_for_each=self._wait_for_each)

    def flush(self) -> None:
        """Send nothing."""

    def abort(self) -> None:
        self.aborted += 1

    @staticmethod
    def _wait_for_each(pauses: Iterator[float]) -> None:
        for pause_s in pauses:
            gevent.sleep(pause_s)


class SlowLibrary:
    """aiohttp's WebSocket, whose texts take a while to be compressed."""

    waits_for_peer = True

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send_text(self, text: str) -> None:
        await asyncio.sleep(0.01)
        self.sent.append(text)

    async def send_message(self, opcode: int, payload: bytes) -> None:  # noqa: ARG002 # as the library's
        self.sent.append(Opcode(opcode).name)


def test_on_asyncio_a_close_frame_overtakes_no_text_and_ends_them() -> None:
    connection: Any = Connection(SlowLibrary())

    async def send() -> None:
        writer = WaitingWriter(connection)
        early = asyncio.create_task(writer.send_text("early"))
        await asyncio.sleep(0)
        await writer.send(CLOSING)
        await writer.send_text("late")
        await writer.send(Outgoing(Opcode.PONG, b""))
        await early

    asyncio.run(send())
    assert connection.ws.sent == ["early", "CLOSE"]


class SlowCompressor(SlowLibrary):
    """The same where the server never waits for a peer."""

    waits_for_peer = False
    is_lost = False

    def __init__(self) -> None:
        super().__init__()
        self.transport = Transport()

    def tell(self, listener: Any) -> None:
        pass

    def unsent_bytes(self) -> int:
        return 0


def test_on_asyncio_no_message_overtakes_a_text_that_the_framework_compresses() -> None:
    connection: Any = Connection(SlowCompressor(), "--deflate", "on")

    async def send() -> None:
        writer = LibraryWriter(connection)
        early = asyncio.create_task(writer.send_text("early"))
        await asyncio.sleep(0)
        late = [
            asyncio.create_task(writer.send(Outgoing(Opcode.BINARY, b"x"))),
            asyncio.create_task(writer.send(CLOSING)),
        ]
        await asyncio.sleep(0)
        connection.session.close(1000, "", 0)
        await writer.send_text("late")
        await asyncio.gather(early, *late)

    asyncio.run(send())
    assert connection.ws.sent == ["early", "BINARY", "CLOSE"]


class SlowPeer:
    """gevent-websocket's WebSocket, whose peer takes nothing until it is told to."""

    waits_for_peer = True

    def __init__(self) -> None:
        self.takes = Event()
        self.sent: list[str] = []

    def send_text(self, text: str) -> None:
        self.takes.wait()
        self.sent.append(text)

    def send_message(self, opcode: int, payload: bytes) -> None:  # noqa: ARG002 # as the library's
        self.takes.wait()
        self.sent.append(Opcode(opcode).name)


def test_on_gevent_who_waits_for_its_turn_behind_a_close_frame_sends_nothing() -> None:
    connection: Any = Connection(SlowPeer())
    writer = GeventWaitingWriter(connection)
    senders: list[Any] = [
        gevent.spawn(writer.send_text, "early"),
        gevent.spawn(writer.send, CLOSING),
        gevent.spawn(writer.send_text, "late"),
    ]
    gevent.sleep(0.01)
    connection.ws.takes.set()
    gevent.joinall(senders, timeout=5, raise_error=True)
    assert connection.ws.sent == ["early", "CLOSE"]


def test_on_gevent_who_is_in_a_send_is_waited_for_and_then_aborted() -> None:
    """libev ends the process if a descriptor is closed while a greenlet waits for it."""
    connection: Any = Connection(SlowPeer())
    connection.writer = writer = GeventWaitingWriter(connection)
    sender = gevent.spawn(writer.send_text, "stuck")
    gevent.sleep(0)
    gevent.spawn_later(0.05, connection.ws.takes.set)  # as an abort wakes it
    writer.finish(0.01)
    assert (connection.aborted, connection.ws.sent) == (1, ["stuck"])
    sender.join(5)
    writer.send_text("late")
    assert connection.ws.sent == ["stuck"]


class Transport(asyncio.Transport):
    """As much of a transport as a writer asks for."""

    def __init__(self) -> None:
        super().__init__({"socket": SimpleNamespace(fileno=lambda: 7, setsockopt=lambda *_: None)})

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


def on_a_transport() -> Any:
    library = SimpleNamespace(transport=Transport(), unsent_bytes=lambda: 0, is_lost=False, tell=lambda _: None)
    return Connection(library)


def test_on_asyncio_nothing_is_aborted_while_a_transport_tells_that_it_has_handed_over_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen: asyncio's transport reports its loss twice then, and fails on the second."""

    def fail(fd: int, data: bytes) -> int:
        raise ConnectionResetError(fd, len(data))

    async def hand_over() -> None:
        connection = on_a_transport()
        connection.writer = FrameWriter(connection)
        connection.pipe.pause_writing()
        await connection.writer.send(Outgoing(Opcode.TEXT, b"[]"))
        monkeypatch.setattr(os, "write", fail)
        connection.pipe.resume_writing()
        assert not connection.aborted
        await asyncio.sleep(0)
        assert connection.aborted

    asyncio.run(hand_over())


def test_on_asyncio_a_writer_whose_connection_has_gone_goes_on_with_nothing() -> None:
    failures: list[Any] = []

    async def hand_over() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        connection = on_a_transport()
        connection.writer = LibraryWriter(connection)
        connection.pipe.pause_writing()
        await connection.writer.send(Outgoing(Opcode.TEXT, b"[]"))
        connection.pipe.resume_writing()  # which it answers a moment later
        del connection
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(hand_over())
    assert failures == []


def test_on_asyncio_where_nothing_waits_a_frame_is_taken_again_as_soon_as_all_is_handed_over() -> None:
    async def hand_over() -> None:
        connection = on_a_transport()
        connection.writer = LibraryWriter(connection)
        connection.pipe.pause_writing()
        assert connection.fd == -1
        connection.pipe.resume_writing()
        assert connection.fd >= 0

    asyncio.run(hand_over())


def test_on_gevent_a_lock_that_somebody_else_holds_is_not_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gevent_writer, "ABORT_LIMIT_S", 0.01)
    connection = on_a_socket()
    writer = GeventWaitingWriter(connection)
    writer._lock.acquire()
    writer.finish(0.01)
    assert connection.aborted
    writer._lock.release()  # a BoundedSemaphore raises if that were once too often


def on_a_socket() -> Any:
    sock = SimpleNamespace(setsockopt=lambda *_: None, fileno=lambda: 7, recv=None)
    stream = Stream(SimpleNamespace(socket=sock))  # type: ignore[arg-type]
    return Connection(SimpleNamespace(socket=sock, stream=stream, unsent_bytes=lambda: 0))


@pytest.mark.parametrize("writer", [GeventWaitingWriter, GeventLibraryWriter, GeventFrameWriter])
def test_on_gevent_what_an_ended_connection_holds_is_let_go_of_at_once(writer: Any) -> None:
    """A circle would stay until it is collected: 6,000 connections that came and went in 3 s kept 65 MiB."""
    held = on_a_socket()
    held.writer = writer(held)
    gevent.sleep(0)  # a greenlet of its own waits now
    held.writer.finish(0.1)
    gevent.sleep(0)
    references: list[Any] = [weakref.ref(held), weakref.ref(held.writer), weakref.ref(held.ws.stream)]
    gc.disable()
    try:
        del held
        assert [reference() for reference in references] == [None] * 3
    finally:
        gc.enable()
