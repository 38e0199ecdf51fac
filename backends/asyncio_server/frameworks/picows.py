"""
picows: WebSocket frames in C, with what it lacks for a public server.

Mended here:

- It answers GET alone, and ends a connection with its first answer that is no upgrade: it gets those only that the gate
  let pass, without a ``close`` that would have it refuse one.
- It answers a length in more bytes than it needs by itself, with a word in the log: that is the session's to answer.
- It warns in the log of every peer that does not read, unless somebody is told: here whoever waits for its peer is.
- On asyncio's transports a long message and its header are handed over apart, from memory that is written to again.
- Its defaults (pongs, 10 MiB a frame) are replaced by those of the protocol; its buffer of 16 KiB stays in ``naive``.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, cast

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, WSUpgradeResponse
from picows import WSUpgradeResponseWithListener as Answer
from picows.api import WSProtocol  # type: ignore[attr-defined] # what its own server makes of each connection

from shared.server.gate import Gate, Seat
from shared.wire.errors import ProtocolError
from shared.wire.frames import OPCODES, CloseCode, Opcode
from shared.wire.parser import Message

from ..host import ConnectionEndedError, Host
from .base import BaseSocket, PacedTransport, UpgradingFramework
from .doorkeeper import Doorkeeper

LOGGER: Any = logging.LoggerAdapter(logging.getLogger("picows.server"), {})
"""No logger: picows would make another one of it for each connection."""

BUFFER_BYTES = 2048
"""The least that picows keeps to read into; it grows with what comes."""

SETTINGS: dict[str, Any] = {
    "host_port": None,
    "ws_path": None,
    "is_client_side": False,
    "logger": LOGGER,
    "disconnect_on_exception": True,
    "websocket_handshake_timeout": None,  # the doorkeeper has one
    "enable_auto_ping": False,  # as by default
    "auto_ping_idle_timeout": 20,
    "auto_ping_reply_timeout": 20,
    "auto_ping_strategy": WSAutoPingStrategy.PING_WHEN_IDLE,
    "enable_auto_pong": False,
    "max_frame_size": 2**30,  # the doorkeeper has a limit
    "extra_headers": None,
}
"""Of a connection, as picows' own server would have them."""

DEFAULT_BUFFER_BYTES = 16 * 1024
"""As its own server has it."""

SHORT = 126
"""What stands for a length of two bytes in a frame's header; one more is for eight."""


class LibraryTransport(PacedTransport):
    """A transport as picows gets it: what is long is written in one piece."""

    def writelines(self, parts: Iterable[bytes | memoryview]) -> None:
        """Write copies: the header is in memory that picows uses again."""
        self._door.transport.write(b"".join(parts))


class PicowsSocket(BaseSocket, WSListener):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    def __init__(self, seat: Seat, buffer_bytes: int) -> None:
        self.seat = seat
        self._ws: WSTransport
        self._protocol: Any = WSProtocol(
            ws_listener_factory=self._agree, read_buffer_init_size=buffer_bytes, **SETTINGS
        )
        self._fragments: list[bytes] = []  # of a message whose last one has yet to come
        self._opcode = Opcode.TEXT  # of that message
        self._came: Message | ProtocolError | None = None
        self._has_ended = False
        self._told: asyncio.Future[None] | None = None  # of whoever waits for one of the two
        self._writable = asyncio.Event()
        self._writable.set()

    def begin(self, door: Doorkeeper, head: bytes) -> bool:
        """Have picows answer the head of the upgrade request; return whether it has agreed."""
        self._protocol.connection_made(LibraryTransport(door))
        self._feed(head.replace(b"\r\nConnection: Upgrade, close\r\n", b"\r\nConnection: Upgrade\r\n"))
        return hasattr(self, "_ws")

    # What the doorkeeper tells

    def data_received(self, data: bytes) -> None:
        """Have picows parse a message."""
        if is_overlong(data):
            self.fail(ProtocolError(CloseCode.PROTOCOL_ERROR))
        else:
            self._feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; picows lets go of this, which would hold it."""
        self._protocol.connection_lost(exc)
        del self._protocol
        self._writable.set()

    def pause_writing(self) -> None:
        """Have whoever waits for the peer wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Have them go on."""
        self._writable.set()

    def fail(self, error: ProtocolError) -> None:
        """Have whoever waits for a message find the error."""
        self._tell(error)

    def end(self) -> None:
        """Have whoever waits for a message find the end."""
        self._has_ended = True
        self._wake()

    # What picows tells

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin: it has answered the upgrade."""
        self._ws = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 # picows' signature
        """Keep a message, or part of it."""
        opcode, payload = OPCODES[cast("int", frame.msg_type)], frame.get_payload_as_bytes()
        if opcode is Opcode.CLOSE:
            self._tell((opcode, int.from_bytes(payload[:2])))
        elif opcode > Opcode.CLOSE or (frame.fin and not self._fragments):
            self._tell((opcode, payload))
        else:
            self._opcode = opcode if opcode is not Opcode.CONTINUATION else self._opcode
            self._fragments.append(payload)
            if frame.fin:
                message = b"".join(self._fragments)
                self._fragments = []
                self._tell((self._opcode, message))

    # What a connection does

    async def receive_message(self) -> Message:
        """Wait for the next message, and for a turn to handle it."""
        self.door.ask_for_message()
        if self._came is None and not self._has_ended:
            self._told = asyncio.get_running_loop().create_future()  # an event would cost twice as much
            await self._told
        came, self._came = self._came, None
        if came is None:
            raise ConnectionEndedError
        if isinstance(came, ProtocolError):
            raise ProtocolError(came.code)  # one that is held here would hold this frame: a circle
        opcode, data = came
        if opcode is not Opcode.TEXT:
            return came
        try:
            return opcode, cast("bytes", data).decode()
        except UnicodeDecodeError:
            raise ProtocolError(CloseCode.INVALID_TEXT) from None

    async def send_text(self, text: str) -> None:
        """Send a text message the library's own way, which waits for no peer."""
        self._send(WSMsgType.TEXT, text)

    async def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        self._send(WSMsgType(opcode), payload)
        if self.waits_for_peer:
            await self._writable.wait()
            if self.is_lost:
                raise ConnectionResetError

    @staticmethod
    async def broadcast(sockets: Iterable[Any], text: str) -> None:
        """Send a text to many as picows' own example does."""
        message = text.encode()
        for each in sockets:
            each._ws.send(WSMsgType.TEXT, message)  # noqa: SLF001 # it is one of these

    # Private methods

    def _agree(self, _: WSUpgradeRequest) -> Answer:
        """Say what the upgrade request is answered with, and who hears what comes."""
        return Answer(WSUpgradeResponse.create_101_response(self.seat.extensions), self)

    def _feed(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            room = self._protocol.get_buffer(-1)
            size = min(len(room), len(rest))
            room[:size] = rest[:size]
            self._protocol.buffer_updated(size)
            rest = rest[size:]

    def _tell(self, what: Message | ProtocolError) -> None:
        self._came = what
        self._wake()

    def _wake(self) -> None:
        if self._told is not None and not self._told.done():
            self._told.set_result(None)

    def _send(self, kind: WSMsgType, message: str | bytes) -> None:
        if self.transport.is_closing():
            raise ConnectionResetError
        self._ws.send(kind, message)


def is_overlong(frames: bytes) -> bool:
    """Say whether the length of one of these frames, which are whole, has more bytes than it needs (RFC 6455, 5.2)."""
    at = 0
    while at < len(frames):
        size, length = 0, frames[at + 1] & 0x7F
        if length >= SHORT:
            size, least = (2, SHORT) if length == SHORT else (8, 2**16)
            length = int.from_bytes(frames[at + 2 : at + 2 + size])
            if length < least:
                return True
        at += 2 + size + 4 + length
    return False


class Framework(UpgradingFramework):
    """picows as it serves a gate."""

    def __init__(self, gate: Gate[Host]) -> None:
        super().__init__(gate)
        self._tasks: set[asyncio.Task[None]] = set()
        self._buffer_bytes = DEFAULT_BUFFER_BYTES if gate.host.config.fanout == "naive" else BUFFER_BYTES

    def upgrade(self, door: Doorkeeper, seat: Seat, head: bytes) -> None:
        """Put picows in the place of our HTTP, and begin a task that plays."""
        ws = PicowsSocket(seat, self._buffer_bytes)
        self.protocols.discard(door.library)
        ws.transport = door.transport
        self.protocols.add(ws)
        door.library = cast("asyncio.Protocol", ws)
        if not ws.begin(door, head):  # the gate has seen to it that it can
            self._gate.release(seat)
            door.abort()
            return
        task = asyncio.create_task(self._play(ws, door))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Private methods

    async def _play(self, ws: PicowsSocket, door: Doorkeeper) -> None:
        """Run the seat to its end."""
        try:
            if not door.is_lost:
                ws.pass_door(door, ws, ws.seat, deflate=False)
                await self._gate.run(ws.seat, ws)
        finally:
            self._gate.release(ws.seat)
            if not door.is_lost:
                door.transport.close()
            self.protocols.discard(ws)
