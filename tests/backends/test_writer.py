"""Nothing follows a close frame, not even where every send waits for its peer: on ``naive``, on both stacks."""

import asyncio
import gc
import os
import weakref
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from backends.asyncio_server.writer import FrameWriter, LibraryWriter, WaitingWriter
from backends.gevent_server.frameworks.gevent_websocket import Stream
from backends.gevent_server.writer import FrameWriter as GeventFrameWriter
from backends.gevent_server.writer import LibraryWriter as GeventLibraryWriter
from backends.gevent_server.writer import WaitingWriter as GeventWaitingWriter
from shared.wire.frames import Opcode, server_frame
from shared.wire.session import ConnectionLimits, Outgoing

CLOSING = Outgoing(Opcode.CLOSE, b"\x03\xe8")
CLOSE_FRAME = server_frame(CLOSING.opcode, CLOSING.payload)
TEXT_FRAME = server_frame(Opcode.TEXT, b"[]")


class Connection(SimpleNamespace):
    """As much of a connection as a writer asks for; unlike its base it can be held weakly."""


class SlowLibrary:
    """aiohttp's WebSocket, whose texts take a while to be compressed."""

    waits_for_peer = True
    transport = None

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send_text(self, text: str) -> None:
        await asyncio.sleep(0.01)
        self.sent.append(text)

    async def send_message(self, opcode: int, payload: bytes) -> None:  # noqa: ARG002 # as the library's
        self.sent.append(Opcode(opcode).name)


def test_on_asyncio_a_close_frame_overtakes_no_text_and_ends_them() -> None:
    library = SlowLibrary()
    connection: Any = Connection(ws=library, host=SimpleNamespace(config=SimpleNamespace(limits=ConnectionLimits())))

    async def send() -> None:
        writer = WaitingWriter(connection)
        early = asyncio.create_task(writer.send_text("early"))
        await asyncio.sleep(0)
        await writer.send(CLOSING)
        await writer.send_text("late")
        await writer.send(Outgoing(Opcode.PONG, b""))
        await early

    asyncio.run(send())
    assert library.sent == ["early", "CLOSE"]


class Transport(asyncio.Transport):
    """As much of a transport as a writer asks for."""

    def __init__(self) -> None:
        super().__init__({"socket": SimpleNamespace(fileno=lambda: 7, setsockopt=lambda *_: None)})

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


def test_on_asyncio_nothing_is_aborted_while_a_transport_tells_that_it_has_handed_over_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen: asyncio's transport reports its loss twice then, and fails on the second."""
    aborted: list[bool] = []
    connection: Any = Connection(
        ws=SimpleNamespace(transport=Transport(), waits_for_peer=False, is_lost=False, tell=lambda _: None),
        session=SimpleNamespace(is_open=True),
        offer=lambda _: None,
        abort=lambda: aborted.append(True),
    )

    def fail(fd: int, data: bytes) -> int:
        raise ConnectionResetError(fd, len(data))

    async def hand_over() -> None:
        writer = FrameWriter(connection)
        writer.pause_writing()
        await writer.send(Outgoing(Opcode.TEXT, b"[]"))
        monkeypatch.setattr(os, "write", fail)
        writer.resume_writing()
        assert not aborted
        await asyncio.sleep(0)
        assert aborted

    asyncio.run(hand_over())


def test_on_asyncio_a_writer_whose_connection_has_gone_goes_on_with_nothing() -> None:
    failures: list[Any] = []

    async def hand_over() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        connection: Any = Connection(
            ws=SimpleNamespace(transport=Transport(), waits_for_peer=False, is_lost=False, tell=lambda _: None),
            session=SimpleNamespace(is_open=True),
            offer=lambda _: None,
        )
        writer = LibraryWriter(connection)
        writer.pause_writing()
        await writer.send(Outgoing(Opcode.TEXT, b"[]"))
        writer.resume_writing()  # which it answers a moment later
        del connection
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(hand_over())
    assert failures == []


class SlowSocket:
    """A socket whose peer takes nothing until it is told to."""

    recv = None

    def __init__(self) -> None:
        self.takes = Event()
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.takes.wait()
        self.sent.append(data)


def test_on_gevent_who_waits_for_its_turn_behind_a_close_frame_sends_nothing() -> None:
    sock = SlowSocket()
    handler: Any = SimpleNamespace(socket=sock)
    stream = Stream(handler, shared=True)
    senders = [gevent.spawn(stream.write, frame) for frame in (TEXT_FRAME, CLOSE_FRAME, TEXT_FRAME)]
    gevent.sleep(0.01)
    sock.takes.set()
    gevent.joinall(senders, timeout=5, raise_error=True)
    assert sock.sent == [TEXT_FRAME, CLOSE_FRAME]


class Held:
    """A gevent connection, as far as its writer knows it."""

    def __init__(self, writer: type[GeventWaitingWriter]) -> None:
        sock = SimpleNamespace(setsockopt=lambda *_: None, fileno=lambda: 7, recv=None)
        stream = Stream(SimpleNamespace(socket=sock), shared=writer is GeventWaitingWriter)  # type: ignore[arg-type]
        self.ws = SimpleNamespace(socket=sock, stream=stream, hang_up=None)
        self.session = SimpleNamespace(is_open=True)
        self.writer = writer(self)  # type: ignore[arg-type]

    def offer(self, fd: int) -> None:
        assert fd == 7


@pytest.mark.parametrize("writer", [GeventWaitingWriter, GeventLibraryWriter, GeventFrameWriter])
def test_on_gevent_what_an_ended_connection_holds_is_let_go_of_at_once(writer: type[GeventWaitingWriter]) -> None:
    """A circle would stay until it is collected: 6,000 connections that came and went in 3 s kept 65 MiB."""
    held = Held(writer)
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
