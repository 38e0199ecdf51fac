"""
Tornado: its HTTP server and its WebSocket on the event loop that runs, with what they lack for a public server.

Its stream stands behind the doorkeeper, which reads. It writes to the socket itself; what the kernel does not take at
once is the transport's to write.

Mended here:

- It answers pings, closes and faults itself: they are the session's to answer.
- An offer of compression that it can't take is answered with 500; a parameter without a value is passed over, though
  the client relies on it: it gets the first offer that it can take, and all of it.
- A ping between the fragments of a compressed message has the message taken for a plain one.
- A message that it does not take because of its text or its compression ends the connection without a close frame.
- What ``write_message`` returns is logged, with a traceback, where it fails and nobody waits for it.
"""

import asyncio
import os
import socket
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.iostream import BaseIOStream, IOStream, StreamClosedError
from tornado.web import Application, RequestHandler
from tornado.websocket import (
    WebSocketClosedError,
    WebSocketHandler,
    WebSocketProtocol13,
    _DecompressTooLargeError,
)

from shared.server.gate import Gate, Page, Seat
from shared.wire.deflate import choose, parse_extensions
from shared.wire.errors import ProtocolError
from shared.wire.frames import OPCODES, CloseCode, Opcode
from shared.wire.parser import Message

from ..host import ConnectionEndedError, Host
from .base import BaseFramework, BaseSocket
from .doorkeeper import Doorkeeper, doorkeeper


class Stream(BaseIOStream, asyncio.Protocol):
    """One connection as Tornado has it, which the doorkeeper gives what came, and whose socket is the transport's."""

    def __init__(self, serve: Callable[[IOStream, Any], None]) -> None:
        super().__init__()
        self._serve = serve

    # What the doorkeeper tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.door = doorkeeper(transport)  # which the transport knows no more when it is lost
        self.transport.set_write_buffer_limits(high=0)  # so that resume_writing says when all is handed over
        self.socket = transport.get_extra_info("socket")  # the library asks for its family
        self._descriptor = self.socket.fileno()
        self._serve(cast("IOStream", self), transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._read_buffer += data
        self._read_buffer_size += len(data)
        self._handle_read()

    def resume_writing(self) -> None:
        """Write what waits."""
        if self.writing():
            self._handle_write()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the transport's signature
        """End whatever waits to read or to write."""
        self.close()

    # What a WebSocket does

    def unsent_bytes(self) -> int:
        """Return how much of what is written the kernel has not taken yet."""
        return self.transport.get_write_buffer_size() + (len(self._write_buffer) if self.writing() else 0)

    def interrupt(self) -> None:
        """Have whoever reads find that nothing more comes."""
        future, self._read_future, self._read_bytes = self._read_future, None, None
        if future is not None and not future.done():
            future.set_exception(StreamClosedError())

    # What Tornado's own streams do

    def write_to_fd(self, data: memoryview) -> int:
        """Write to the descriptor; what the kernel does not take is the transport's to write."""
        if self.transport.get_write_buffer_size():
            raise BlockingIOError
        try:
            sent = os.write(self._descriptor, data)
        except BlockingIOError:
            sent = 0
        size = len(data)
        if sent < size:
            self.transport.write(bytes(data[sent:]))
        return size

    def close_fd(self) -> None:
        """Close the transport, once it has written what it has."""
        if not self.transport.is_closing():
            self.transport.close()

    # Private methods

    def _add_io_state(self, state: int) -> None:
        """Do nothing: the transport listens."""

    def _read_to_buffer_loop(self) -> int | None:
        return self._find_read_pos()


class Protocol(WebSocketProtocol13):
    """One WebSocket: what comes is kept for whoever receives it, who alone answers."""

    stream: Stream  # type: ignore[assignment] # it is as good as an IOStream
    _message: Message | None = None

    @property
    def compresses(self) -> bool:
        """Whether compression was agreed on."""
        return self._compressor is not None

    async def receive(self) -> Message:
        """Wait for the next message; raises what its parts raise."""
        while self._message is None:
            is_within, is_compressed = self._fragmented_message_buffer is not None, self._frame_compressed
            await self._receive_frame()
            if is_within:  # else a control frame between fragments would have them taken for plain ones
                self._frame_compressed = is_compressed
        message, self._message = self._message, None
        return message

    def send_control(self, opcode: Opcode, payload: bytes) -> "asyncio.Future[None]":
        """Send a control frame."""
        return self._write_frame(fin=True, opcode=opcode, data=payload)

    def hang_up(self) -> None:
        """End the connection."""
        self._abort()

    # Private methods

    def _handle_message(self, opcode: int, data: bytes) -> None:
        if opcode == Opcode.CLOSE:
            self._message = Opcode.CLOSE, int.from_bytes(data[:2])
            return
        if self._decompressor and self._frame_compressed and opcode < Opcode.CLOSE:
            data = self._decompressor.decompress(data)
            if len(data) >= self.params.max_message_size:
                raise _DecompressTooLargeError
        self._message = OPCODES[opcode], data.decode() if opcode == Opcode.TEXT else data

    def _parse_extensions_header(self, headers: HTTPHeaders) -> list[tuple[str, Any]]:
        agreement = choose(headers.get("Sec-WebSocket-Extensions", ""), takes_over=True)
        return [(name, dict(given)) for name, given in parse_extensions(agreement.text)] if agreement else []


class TornadoSocket(BaseSocket):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    def __init__(self, handler: "SeatHandler", protocol: Protocol, seat: Seat) -> None:
        self._handler = handler
        self._protocol = protocol
        self._stream = protocol.stream
        self._is_echo = seat.room is None
        self._has_ended = False
        self._fault: ProtocolError | None = None
        self.pass_door(self._stream.door, self, seat, deflate=protocol.compresses)

    # What the doorkeeper tells

    def fail(self, error: ProtocolError) -> None:
        """Have whoever waits for a message find the error."""
        self._fault = error
        self.end()

    def end(self) -> None:
        """Have whoever waits for a message find the end."""
        self._has_ended = True
        self._stream.interrupt()

    # What a connection does

    async def receive_message(self) -> Message:
        """Wait for the next message, and for a turn to handle it."""
        self.door.ask_for_message()
        if not self._has_ended:
            try:
                return await self._protocol.receive()
            except StreamClosedError:
                pass
            except (zlib.error, UnicodeDecodeError):
                self._fault = ProtocolError(CloseCode.INVALID_TEXT)
            except _DecompressTooLargeError:
                self._fault = ProtocolError(CloseCode.MESSAGE_TOO_BIG)
        raise self._take_fault()  # not where the error is caught: its traceback keeps the message

    async def send_text(self, text: str) -> None:
        """Send a text message the library's own way; it does not say that anybody should wait for that."""
        self.write(text)

    def write(self, data: str | bytes, *, binary: bool = False) -> "asyncio.Future[None]":
        """Write a message; what is returned may be waited for."""
        try:
            sent = self._handler.write_message(data, binary=binary)
        except WebSocketClosedError as error:
            raise ConnectionResetError from error
        if self._stream.writing() or self._stream.closed():
            sent.add_done_callback(_leave)  # else its error would be logged
        return sent

    async def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind; wait for a peer that has it sent back, or it could fill the memory."""
        if opcode < Opcode.CLOSE:
            sent = self.write(payload, binary=opcode is Opcode.BINARY)
        else:
            sent = self._protocol.send_control(opcode, payload)
        if self._is_echo:
            try:
                await sent
            except WebSocketClosedError as error:
                raise ConnectionResetError from error

    def unsent_bytes(self) -> int:
        """Return how much of what is sent the kernel has not taken yet."""
        return self._stream.unsent_bytes()

    @staticmethod
    async def broadcast(sockets: "list[TornadoSocket]", text: str) -> None:
        """Send a text to all as Tornado's own chat does: to one after the other, waiting for none."""
        for each in sockets:
            with suppress(ConnectionResetError):  # its reader ends it
                each.write(text)

    # Private methods

    def _take_fault(self) -> Exception:
        """Return why nothing more comes; to keep it would be a circle, as its traceback keeps this socket."""
        fault, self._fault = self._fault, None
        return fault or ConnectionEndedError()


def _leave(sent: "asyncio.Future[None]") -> None:
    """Take a future's error, so that it is not logged."""
    if not sent.cancelled():
        sent.exception()


class PageHandler(RequestHandler):
    """A request for a page."""

    def initialize(self, gate: Gate[Host]) -> None:
        """Take what the application hands to each handler."""
        self._gate = gate

    @property
    def door(self) -> Doorkeeper:
        """Its doorkeeper, until the upgrade is made."""
        stream: Any = cast("HTTP1Connection", self.request.connection).stream
        return cast("Doorkeeper", stream.door)

    def set_default_headers(self) -> None:
        """Leave out what Tornado would say of itself, and of a page that says more."""
        self.clear_header("Server")
        self.clear_header("Content-Type")

    def compute_etag(self) -> None:
        """Return none."""

    def on_finish(self) -> None:
        """Go on with the next request."""
        if self.get_status() != 101:
            self.door.answered()

    def get(self) -> None:
        """Answer."""
        self.answer(self._gate.page(self.request.path))

    head = get

    def answer(self, page: Page) -> None:
        """Send a page of the gate, and hang up where that was the last request."""
        connection: Any = self.request.connection
        stream, closes = connection.stream, "close" in self.request.headers.get("Connection", "")
        connection._disconnect_on_finish = False  # noqa: SLF001 # it would say "close" alone, if it knows
        self.set_status(page.status, page.status.phrase)
        for name, value in page.headers:
            self.add_header(name, value)
        if closes:
            self.set_header("Connection", ", ".join([*self._headers.get_list("Connection"), "close"]))
        self.finish(page.body)
        if closes:
            stream.close()


class SeatHandler(PageHandler, WebSocketHandler):
    """An upgrade, and the WebSocket that it makes."""

    _seat: Seat

    async def get(self) -> None:  # type: ignore[override] # a page is there at once
        """Refuse the upgrade, or run the seat to its end."""
        door = self.door
        descriptor = door.transport.get_extra_info("socket").fileno()  # -1: its peer is gone already
        headers = {name.lower(): value for name, value in self.request.headers.get_all()}
        seat = self._gate.admit(self.request.path, self.request.query, headers, door.address, descriptor)
        if isinstance(seat, Page):
            self.answer(seat)
            return
        self._seat = seat
        try:
            for name, value in seat.extensions.items():
                self.set_header(name, value)
            await WebSocketHandler.get(self)
        finally:
            self._gate.release(seat)  # where the upgrade failed

    head = get  # type: ignore[assignment] # as get

    def get_compression_options(self) -> dict[str, Any] | None:
        """Return Tornado's own, if it may compress."""
        return {} if self._gate.compresses else None

    def get_websocket_protocol(self) -> Protocol:
        """Return ours, with Tornado's settings."""
        usual = cast("WebSocketProtocol13", super().get_websocket_protocol())
        usual.params.max_message_size = self._seat.max_message_bytes + 1  # zlib says too late that one is too long
        return Protocol(self, mask_outgoing=False, params=usual.params)

    async def open(self) -> None:
        """Run the seat to its end."""
        protocol = cast("Protocol", self.ws_connection)
        transport = protocol.stream.transport
        try:
            if not transport.is_closing():
                if self._gate.host.config.fanout == "naive":  # as Tornado leaves it
                    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
                await self._gate.run(self._seat, TornadoSocket(self, protocol, self._seat))
        finally:
            protocol.hang_up()

    # Private methods

    def _check_cross_origin(self, check: Callable[[str], bool]) -> None:
        """Allow what the gate allowed."""


class Framework(BaseFramework):
    """Tornado as it serves a gate."""

    _server: HTTPServer

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        gate, more = self._gate, {"gate": self._gate}
        pages = [(path, PageHandler, more) for path in gate.paths]
        upgrades = [(path, SeatHandler, more) for path in gate.upgrades]
        self._server = HTTPServer(Application([*upgrades, *pages], log_function=lambda _: None))
        self._server.conn_params.header_timeout = None  # the doorkeeper has its own
        await self._open_doors(listener, partial(Stream, self._server.handle_stream))

    async def stop(self) -> None:
        """End every request."""
        connections = self._server._connections  # noqa: SLF001 # it has no other list
        await self._end_requests(lambda: [each.stream for each in connections if not each.stream.closed()])
