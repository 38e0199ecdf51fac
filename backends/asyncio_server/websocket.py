"""
aiohttp's WebSocket, with what it lacks for a public server.

Mended here:

- It reads whatever a peer sends, as fast as it comes: a :class:`Doorkeeper` in front of it hands out one request, and
  later one message, at a time, each checked by us before.
- ``close()`` waits for a peer that may never read; the session has the timeout instead (:mod:`shared.wire.session`).
- A broken frame ends the transport at once, and the reset that follows can discard the close frame: we linger.
- Its defaults (compression, 4 MiB messages, answers of its own) are replaced by those of the protocol.
"""

import asyncio
import socket
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from aiohttp import WSMessage, WSMsgType, web

from shared.server.door import Door, TurnedAway
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode, Opcode
from shared.wire.parser import FrameWalker, Message
from shared.wire.request import READ_BYTES
from shared.wire.session import SPARED_S

if TYPE_CHECKING:
    from aiohttp._websocket.reader import WebSocketDataQueue

    from .host import Host, TransportListener

NEVER_WAIT_BYTES = 2**30
"""As ``writer_limit``: we look at the transport's buffer ourselves before we send."""

STEP_S = 0.02
"""How often a closing connection is checked."""

REQUEST_US = 250
"""What aiohttp takes for a request in all, in turns of the event loop after the one that gives it out."""

HANDLE_US = 50
"""About what it takes to handle a message, in the turn after the one that gives it out."""

BYTES_A_US = 256
"""Of a message, which are received and sent back."""


class ConnectionEndedError(Exception):
    """The stream has ended without a close frame."""


class Doorkeeper(asyncio.BufferedProtocol):
    """
    Stands between a transport and aiohttp, and gives it one request, and after an upgrade one message, at a time.

    A peer that is turned away gets the door's answer; a peer that takes too long to send a request is disconnected.
    """

    # There are thousands of them, as of frames and sessions.
    __slots__ = (
        "_door",
        "_frames",
        "_has_ended",
        "_host",
        "_is_answering",
        "_is_asking",
        "_is_new",
        "_is_paused",
        "_is_websocket",
        "_library",
        "_reader",
        "_serve",
        "_timer",
        "_transport",
        "_wants_message",
        "is_lost",
        "writer",
    )

    def __init__(self, host: "Host", serve: Callable[[], asyncio.Protocol]) -> None:
        self.is_lost = False  # the descriptor may belong to another connection
        self.writer: TransportListener | None = None  # gets the transport's flow control, instead of the library
        self._host = host
        self._serve = serve
        self._transport: asyncio.Transport
        self._library: asyncio.Protocol | None = None
        self._door: Door | None = Door(host.core)  # until an upgrade
        self._frames: FrameWalker | None = None  # from then on
        self._reader: WebSocketDataQueue | None = None  # the library's queue of messages
        self._wants_message = False  # the connection waits for one there
        self._is_asking = False  # it waits for a turn, to give out a request or a message
        self._is_answering = False  # the library has not answered the last request yet
        self._is_new = True  # no request has been given out, or, after an upgrade, no message
        self._is_paused = False
        self._is_websocket = False  # the session answers the peer, and ends the connection
        self._has_ended = False  # the peer sends nothing more
        self._timer: asyncio.TimerHandle | None = None

    # What the transport tells

    def connection_made(self, transport: Any) -> None:
        """Serve the connection, unless too few descriptors are left; uvloop's transports are not of asyncio's types."""
        self._transport = transport
        if answer := self._host.core.turn_away(transport.get_extra_info("socket").fileno()):
            self._door = None
            transport.write(answer)
            transport.close()
            return
        self._library = self._serve()
        self._library.connection_made(transport)
        self._set_timer(self._host.config.handshake_limit_s, self._give_up)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 # the transport's signature
        """Return where to read to: one buffer for all, as what was read is taken at once."""
        return self._host.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        data = self._host.read_buffer[:nbytes]
        if self._frames is not None:
            self._frames.feed(data)
            if len(self._frames) >= READ_BYTES:
                self._pause()
            self._ask_for_turn()
        elif self._door:
            self._door.feed(data)
            if not self._door.has_room:
                self._pause()
            self._ask_for_head()
        else:
            self._throw_away()

    def eof_received(self) -> bool:
        """Note that the peer sends nothing more; what it has sent is handled before the connection is closed."""
        self._has_ended = True
        if self._frames is not None and self._wants_message:
            self.ask_for_message()
        return self._is_websocket or self._is_asking or self._is_answering

    def pause_writing(self) -> None:
        """Tell the writer that the kernel has not taken all."""
        if listener := self.writer or self._library:
            listener.pause_writing()

    def resume_writing(self) -> None:
        """Tell the writer that the kernel has taken all."""
        if listener := self.writer or self._library:
            listener.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the writer and the library; the descriptor is closed next."""
        self.is_lost = self._has_ended = True
        if self._timer:
            self._timer.cancel()
        if self.writer:
            self.writer.connection_lost()
        if self._library:
            self._library.connection_lost(exc)
        self._end_messages()
        # Reference cycles: thousands of ended connections would stay in memory until the garbage is collected.
        self.writer = self._library = self._reader = self._timer = None
        if hasattr(self._transport, "_read_ready_cb"):  # by this method asyncio's transport refers to itself
            self._transport._read_ready_cb = None  # noqa: SLF001 # nothing else says so; uvloop's has none

    def abort(self) -> None:
        """End the connection at once."""
        if not self.is_lost:  # else asyncio's transports raise
            self._transport.abort()

    # Requests

    def answered(self) -> None:
        """Note that the answer to a request is written; go on with the next one."""
        self._is_answering = False
        if self._door and not self.is_lost:
            self._door.answered()
            self._set_timer(self._host.config.handshake_limit_s, self._give_up)
            self._ask_for_head()

    def _ask_for_head(self) -> None:
        if not self._is_answering and not self._is_asking:
            self._is_asking = True
            self._host.turns.call(self._give_head, is_new=self._is_new)

    def _give_head(self) -> None:
        """Give the library the next request, if it is here."""
        self._is_asking = False
        if not self._door or self._transport.is_closing():
            return
        try:
            head = self._door.next_head(self._host.clock.now_us())
        except TurnedAway as answer:
            self._turn_away(answer.answer)
            return
        if head and self._library:
            self._is_answering = True
            self._is_new = False
            self._library.data_received(head)
            self._host.turns.spend(REQUEST_US)
        elif self._has_ended:
            self._transport.close()
        if self._door.has_room:
            self._resume()

    def _turn_away(self, answer: bytes) -> None:
        """Write an answer and hang up, once the peer has had time to read it."""
        self._door = None
        self._transport.write(answer)
        self.see_off()
        self._set_timer(self._host.config.limits.close_limit_s, self.abort)

    def _throw_away(self) -> None:
        """
        Drop, slowly, what a peer that was turned away still sends: it may read the answer only after that.

        If we stopped reading for good, we would not notice that it hung up, and the connection would stay for
        ``close_limit_s``: a peer that connects again each time would have fifty of them and more.
        """
        self._pause()
        asyncio.get_running_loop().call_later(STEP_S, self._resume)

    def _give_up(self) -> None:
        """Close the connection of a peer that sent no request in time; a little later if we were held up."""
        if self._door and not self._is_answering:
            if self._host.core.stalls.is_recent(self._host.clock.now_us()):
                self._set_timer(SPARED_S, self._hang_up)  # its request may lie unread
            else:
                self._hang_up()

    def _hang_up(self) -> None:
        if self._door and not self._is_answering:
            self._transport.close()

    def _set_timer(self, delay_s: float, act: Callable[[], None]) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, act)

    # Messages

    def open_websocket(self, reader: "WebSocketDataQueue", max_message_bytes: int, *, deflate: bool) -> None:
        """Read frames from now on, of which each message is given out when :meth:`ask_for_message` asks for it."""
        assert self._door  # noqa: S101 # it is opened once
        self._is_answering = False
        self._is_new = self._is_websocket = True
        self._reader = reader
        self._frames = FrameWalker(max_message_bytes, deflate=deflate)
        self._frames.feed(self._door.rest())
        self._door = None
        if self._timer:
            self._timer.cancel()  # from here on the session has the timeouts
            self._timer = None
        self._resume()

    def ask_for_message(self) -> None:
        """
        Have the library get the next message, when it is here and there is a turn for it.

        A frame that breaks the protocol makes it an error, and the end of the stream the end of the messages.
        """
        self._wants_message = True
        if self._frames is None or self.is_lost:
            self._end_messages()
        elif not self._frames.needs_bytes:
            self._ask_for_turn()
        elif self._has_ended:
            self._end_messages()
        else:
            self._resume()

    def _ask_for_turn(self) -> None:
        if self._wants_message and not self._is_asking:
            self._is_asking = True
            self._host.turns.call(self._give_message, is_new=self._is_new)

    def _give_message(self) -> None:
        """Give the library the next message, if it is complete."""
        self._is_asking = False
        if self._frames is None or self._library is None or self._reader is None:  # it was lost meanwhile
            return
        try:
            frames = self._frames.next_message()
        except ProtocolError as error:
            self._wants_message = False
            self._reader.feed_data(WSMessage(WSMsgType.ERROR, error.with_traceback(None), None), 0)
            self._stop_reading()
            return
        if frames is not None:
            self._wants_message = self._is_new = False
            self._library.data_received(frames)
            self._host.turns.spend(HANDLE_US + len(frames) // BYTES_A_US)
        elif self._frames.needs_bytes:
            self.ask_for_message()
        else:  # perhaps there are endless fragments
            asyncio.get_running_loop().call_soon(self._ask_for_turn)

    def _end_messages(self) -> None:
        if self._reader is not None:
            self._reader.feed_eof()

    @property
    def has_ended(self) -> bool:
        """Whether the peer has hung up; messages of it may be left to give out."""
        return self._has_ended or self._transport.is_closing()

    def see_off(self) -> None:
        """End our side of the stream and drop what comes, so that the peer can read what was sent."""
        self._stop_reading()
        with suppress(OSError):  # the peer may have hung up already
            if not self._transport.is_closing():
                self._transport.write_eof()

    def _stop_reading(self) -> None:
        self._frames = None
        self._resume()

    # Reading

    def _pause(self) -> None:
        self._is_paused = True
        self._transport.pause_reading()  # also when paused before, as the library may have resumed it

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()


class GameWebSocket(web.WebSocketResponse):
    """
    One WebSocket, read and written by one :class:`~backends.asyncio_server.connection.Connection`.

    ``waits_for_peer``: a send waits while the peer does not read, which is the library's default.
    """

    def __init__(self, max_message_bytes: int, *, compress: bool, waits_for_peer: bool) -> None:
        # max_msg_size refuses a message of exactly that size.
        tuning: dict[str, Any] = {"compress": compress, "max_msg_size": max_message_bytes + 1}
        if not waits_for_peer:
            tuning["writer_limit"] = NEVER_WAIT_BYTES
        super().__init__(autoping=False, autoclose=False, **tuning)
        self.waits_for_peer = waits_for_peer
        self.transport: asyncio.Transport
        self.door: Doorkeeper
        self._max_message_bytes = max_message_bytes

    async def open(self, request: web.Request) -> None:
        """
        Answer the upgrade request.

        Raises:
            ConnectionError: the peer is gone.

        """
        await self.prepare(request)
        if request.transport is None:
            raise ConnectionResetError("the peer is gone")
        self.transport = request.transport
        self.door = doorkeeper(request.transport)
        assert self._reader  # noqa: S101 # the library has one from here on
        self.door.open_websocket(self._reader, self._max_message_bytes, deflate=bool(self.compress))

    async def receive_message(self) -> Message:
        """
        Wait for the next message, and for a turn to handle it.

        Raises:
            ProtocolError: the peer broke the protocol; nothing more can be read.
            ConnectionEndedError: the stream has ended.

        """
        self.door.ask_for_message()
        message = await self.receive()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.PING | WSMsgType.PONG:
                data = bytes(message.data) if isinstance(message.data, bytearray) else message.data
                return Opcode(message.type), data
            case WSMsgType.CLOSE:
                return Opcode.CLOSE, int(message.data)
            case WSMsgType.ERROR if code := getattr(message.data, "code", None):
                raise ProtocolError(int(code))
            case WSMsgType.ERROR if isinstance(message.data, zlib.error):
                raise ProtocolError(CloseCode.INVALID_TEXT)  # it can't be decompressed
        raise ConnectionEndedError

    async def close(self, *, code: int = 0, message: bytes = b"", drain: bool = True) -> bool:  # noqa: ARG002 # the library's signature
        """Do nothing: the library calls this, but close frames are the session's to send."""
        return False

    def has_ended(self) -> bool:
        """Whether the peer has hung up; messages of it may be left to receive."""
        return self.door.has_ended

    async def linger(self, limit_s: float) -> None:
        """Give a peer that is not read any more time to take the close frame: until it hangs up, or ``limit_s``."""
        self.door.see_off()
        for _ in range(int(limit_s / STEP_S)):
            if self.has_ended():
                return
            await asyncio.sleep(STEP_S)
        self.abort()

    def abort(self) -> None:
        """End the connection at once, with a reset: a close would send what the kernel holds, perhaps half a frame."""
        if not self.door.is_lost:  # else the descriptor may belong to another connection
            with suppress(OSError):  # the peer was faster
                self.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        self.door.abort()


def doorkeeper(transport: asyncio.BaseTransport) -> Doorkeeper:
    """Return the doorkeeper of a transport of this server."""
    protocol = cast("asyncio.Transport", transport).get_protocol()
    assert isinstance(protocol, Doorkeeper)  # noqa: S101 # each of ours has one
    return protocol
