"""Nothing follows a close frame, not even where every send waits for its peer: on ``naive``, on both stacks."""

import asyncio
from types import SimpleNamespace
from typing import Any

import gevent
from gevent.event import Event

from backends.asyncio_server.writer import WaitingWriter
from backends.gevent_server.websocket import GameStream
from shared.wire.frames import Opcode, server_frame
from shared.wire.session import Limits, Outgoing

CLOSING = Outgoing(Opcode.CLOSE, b"\x03\xe8")
CLOSE_FRAME = server_frame(CLOSING.opcode, CLOSING.payload)
TEXT_FRAME = server_frame(Opcode.TEXT, b"[]")


class SlowLibrary:
    """aiohttp's WebSocket, whose texts take a while to be compressed."""

    waits_for_peer = True
    transport = None

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send_str(self, text: str) -> None:
        await asyncio.sleep(0.01)
        self.sent.append(text)

    async def send_frame(self, payload: bytes, opcode: int) -> None:  # noqa: ARG002 # as the library's
        self.sent.append(Opcode(opcode).name)


def test_on_asyncio_a_close_frame_overtakes_no_text_and_ends_them() -> None:
    library = SlowLibrary()
    connection: Any = SimpleNamespace(ws=library, server=SimpleNamespace(config=SimpleNamespace(limits=Limits())))

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
    stream = GameStream(handler, shared=True)
    senders = [gevent.spawn(stream.write, frame) for frame in (TEXT_FRAME, CLOSE_FRAME, TEXT_FRAME)]
    gevent.sleep(0.01)
    sock.takes.set()
    gevent.joinall(senders, timeout=5, raise_error=True)
    assert sock.sent == [TEXT_FRAME, CLOSE_FRAME]
