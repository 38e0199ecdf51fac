"""
The websockets library's own server on asyncio, with what it lacks for a public server.

Mended here:

- It ends a connection with its first answer that is no upgrade: it gets those only that the gate let pass.
- It answers pings, closes and faults itself, and hides them from whoever receives: they are the session's to answer.
- It takes no more than 4,096 fragments of a message: they are put together before.
- Its parser holds a connection that has ended, and an error what was inflated of a message that is refused: both are
  let go of.
- Its defaults (pings, 1 MiB messages, compression) are replaced by those of the protocol, but in ``naive``.
"""

import asyncio
import inspect
import socket
import zlib
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import BINARY, CLOSE, DATA_OPCODES, Frame
from websockets.http11 import Request, Response
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

from shared.server.gate import Gate, Seat
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode, Opcode
from shared.wire.parser import Message

from ..host import ConnectionEndedError, Host
from .base import BaseSocket, PacedTransport, UpgradingFramework
from .doorkeeper import Doorkeeper, doorkeeper

SOMETHING_ELSE = Frame(BINARY, b"")
"""Among the messages that the library keeps: what came is no message, and stands beside."""


class Parser(ServerProtocol):
    """A parser that answers nothing: control frames and faults of the peer are the session's."""

    fault: CloseCode | int | None = None

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame."""
        if frame.opcode in DATA_OPCODES:
            super().recv_frame(frame)
        else:
            self.events.append(frame)

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Note what the peer did wrong; what else fails is the library's."""
        if inspect.getgeneratorstate(self.parser) == inspect.GEN_RUNNING:
            self.fault = code
        else:
            super().fail(code, reason)

    def receive_eof(self) -> None:
        """End the parser: it would hold the connection until the garbage is collected."""
        self.parser.close()
        self.state = State.CLOSED

    def take_fault(self) -> ProtocolError:
        """Return what the peer did wrong; what was inflated of its message is let go of."""
        why, code = self.parser_exc, self.fault
        is_corrupt = why is not None and isinstance(why.__cause__, zlib.error)
        for error in (why, why and why.__cause__):
            if error is not None:
                error.__traceback__ = None
        return ProtocolError(CloseCode.INVALID_TEXT if is_corrupt or code is None else int(code))


class LibraryTransport(PacedTransport):
    """A transport as the library gets it until the upgrade is made."""

    def write_eof(self) -> None:
        """Close it: the library has refused the upgrade, and ends the stream behind its answer."""
        self.close()


class WebsocketsSocket(BaseSocket, ServerConnection):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    protocol: Parser

    def __init__(self, parser: Parser, server: Server, seat: Seat, request: Request, **options: Any) -> None:
        super().__init__(parser, server, **options)
        self.seat = seat
        self._fragments: list[Frame] = []  # of a message whose last one has yet to come
        self._else: Message | ProtocolError | None = None  # what came and is no message
        self.request = request
        self.request_rcvd.set_result(None)

    async def open(self, door: Doorkeeper) -> bool:
        """Answer the upgrade request; return whether the WebSocket is open."""
        await self.handshake(None, self._agree, None)
        if self.state is not State.OPEN:
            return False
        self.request = self.response = None  # to save memory, as there are thousands of connections
        self.pass_door(door, self, self.seat, deflate=bool(self.protocol.extensions))
        self.start_keepalive()
        return True

    # What the doorkeeper tells

    def data_received(self, data: bytes) -> None:
        """Take a message."""
        super().data_received(data)
        if self.protocol.fault is not None:
            self.fail(self.protocol.take_fault())

    def process_event(self, event: Event) -> None:
        """Keep a message, or something else, for whoever waits for it."""
        assert isinstance(event, Frame)  # noqa: S101 # the request was given to us
        if event.opcode not in DATA_OPCODES:
            opcode, data = Opcode(event.opcode), bytes(event.data)
            if opcode is Opcode.PONG:
                self.acknowledge_pings(data)  # it may be the answer to one of the library's own
            self._tell((opcode, int.from_bytes(data[:2]) if opcode is Opcode.CLOSE else data))
            return
        if not event.fin or self._fragments:
            self._fragments.append(event)
            if not event.fin:
                return
            event = Frame(self._fragments[0].opcode, b"".join(frame.data for frame in self._fragments))
            self._fragments = []
        self.recv_messages.put(event)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the transport's signature
        """End; whoever sends goes on: an error that is kept would hold its frames, and they the connection."""
        super().connection_lost(None)

    def fail(self, error: ProtocolError) -> None:
        """Have whoever waits for a message find the error."""
        self._tell(error)

    def end(self) -> None:
        """Have whoever waits for a message find the end."""
        self.recv_messages.close()

    # What a connection does

    async def receive_message(self) -> Message:
        """Wait for the next message, and for a turn to handle it."""
        self.door.ask_for_message()
        try:
            data = await self.recv_messages.get()
        except EOFError:
            raise ConnectionEndedError from None
        except UnicodeDecodeError:
            raise ProtocolError(CloseCode.INVALID_TEXT) from None
        if self._else is None:
            return (Opcode.TEXT if isinstance(data, str) else Opcode.BINARY), data
        other, self._else = self._else, None
        if isinstance(other, ProtocolError):
            raise ProtocolError(other.code)  # one that is held here would hold this frame: a circle
        return other

    async def send_text(self, text: str) -> None:
        """Send a text message the library's own way."""
        await self._send(text)

    async def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        if opcode in (Opcode.TEXT, Opcode.BINARY):
            await self._send(payload, text=opcode is Opcode.TEXT)
            return
        if self.transport.is_closing() or self.state is not State.OPEN:
            raise ConnectionResetError
        match opcode:
            case Opcode.PING:
                self.protocol.send_ping(payload)
            case Opcode.PONG:
                self.protocol.send_pong(payload)
            case _:  # and no more: the library would wait for its peer's
                self.protocol.send_frame(Frame(CLOSE, payload))
                self.protocol.state = State.CLOSING
        self.send_data()
        await self.drain()

    @staticmethod
    async def broadcast(sockets: Iterable[Any], text: str) -> None:
        """Send a text to many as the library's own documentation does."""
        broadcast(sockets, text)

    # Private methods

    def _agree(self, _: ServerConnection, __: Request, response: Response) -> None:
        """Say in the answer to the upgrade what its peer may compress."""
        for name, value in self.seat.extensions.items():
            response.headers[name] = value

    def _tell(self, what: Message | ProtocolError) -> None:
        if not self.recv_messages.closed:
            self._else = what
            self.recv_messages.put(SOMETHING_ELSE)

    async def _send(self, data: str | bytes, *, text: bool = True) -> None:
        if self.transport.is_closing():
            raise ConnectionResetError
        try:
            await self.send(data, text=text)
        except ConnectionClosed as error:
            raise ConnectionResetError from error


class Framework(UpgradingFramework):
    """websockets as it serves a gate."""

    def __init__(self, gate: Gate[Host]) -> None:
        super().__init__(gate)
        self._server: Server
        self._extensions = enable_server_permessage_deflate(None) if gate.compresses else None
        self._options: dict[str, Any] = {} if gate.host.config.fanout == "naive" else {"ping_interval": None}

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        self._server = Server(partial(self._accept, listener), self._play)
        await self._server

    def upgrade(self, door: Doorkeeper, seat: Seat, head: bytes) -> None:
        """Put a connection of the library's in the place of ours; it has a task in which it plays."""
        parser = Parser(extensions=self._extensions, max_size=seat.max_message_bytes)
        parser.receive_data(head)
        (request,) = parser.events_received()
        ws = WebsocketsSocket(parser, self._server, seat, cast("Request", request), **self._options)
        self.protocols.discard(door.library)
        self.protocols.add(ws)
        door.library = ws
        ws.connection_made(cast("asyncio.Transport", LibraryTransport(door)))

    # Private methods

    async def _accept(self, listener: socket.socket) -> asyncio.Server:
        await super().start(listener)
        return self._site

    async def _play(self, connection: ServerConnection) -> None:
        """Run the seat to its end."""
        ws = cast("WebsocketsSocket", connection)
        door = doorkeeper(ws.transport)
        try:
            if await ws.open(door):
                await self._gate.run(ws.seat, ws)
        except (ConnectionClosed, ConnectionError):
            pass  # the peer was gone before it had its answer
        finally:
            self._gate.release(ws.seat)  # where the upgrade failed
            if not door.is_lost:
                door.transport.close()
            self.protocols.discard(ws)
            self._server.handler_tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))
