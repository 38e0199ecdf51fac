"""
aiohttp's WebSocket with what it lacks for a public server. Knows nothing of the game.

Mended here:

- It reads whatever a peer sends, as fast as it comes: a :class:`Doorkeeper` in front of it gives out one request, and
  one message, after the other, each judged by us before.
- ``close()`` waits for a peer that may never read; the session keeps the time instead (:mod:`shared.wire.session`).
- A broken frame ends the transport at once, and the reset that follows can eat the close frame: we linger.
- Its defaults (compression, 4 MiB messages, answers of its own) are set to those of the protocol.
"""

import asyncio
import socket
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from aiohttp import WSMessage, WSMsgType, web

from shared.door import Door, TurnedAway
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode, Opcode
from shared.wire.parser import FrameWalker, Message
from shared.wire.request import READ_BYTES
from shared.wire.session import SPARED_S

if TYPE_CHECKING:
    from aiohttp._websocket.reader import WebSocketDataQueue

    from backends.asyncio_server.server import Server
    from backends.asyncio_server.writer import LibraryWriter

NEVER_WAIT_BYTES = 2**30
"""As ``writer_limit``: we look at the transport's buffer ourselves before we send."""

STEP_S = 0.02
"""How often a closing connection is looked at."""

REQUEST_US = 250
"""What aiohttp takes for a request, all in all, in turns of the event loop that come after ours."""

HANDLE_US = 50
"""About what is made of a message, in the turn that comes after ours."""

BYTES_A_US = 256
"""Of a message, that are taken and sent back."""


class ConnectionEndedError(Exception):
    """The stream has ended without a close frame."""


class Doorkeeper(asyncio.BufferedProtocol):
    """
    Stands between a transport and aiohttp, and gives it one request, and after an upgrade one message, at a time.

    Whoever is turned away gets the door's answer; whoever takes too long to say what he wants is hung up on.
    """

    # One of thousands, as the frames and the session are.
    __slots__ = (
        "_door",
        "_frames",
        "_has_ended",
        "_is_answering",
        "_is_asking",
        "_is_new",
        "_is_paused",
        "_is_websocket",
        "_library",
        "_reader",
        "_serve",
        "_server",
        "_timer",
        "_transport",
        "_wants_message",
        "is_lost",
        "writer",
    )

    def __init__(self, server: "Server", serve: Callable[[], asyncio.Protocol]) -> None:
        self.is_lost = False  # the descriptor may be a stranger's
        self.writer: LibraryWriter | None = None  # is told what the transport takes, instead of the library
        self._server = server
        self._serve = serve
        self._transport: asyncio.Transport
        self._library: asyncio.Protocol | None = None
        self._door: Door | None = Door(server.core)  # until an upgrade
        self._frames: FrameWalker | None = None  # from then on
        self._reader: WebSocketDataQueue | None = None  # of the library, where messages are waited for
        self._wants_message = False  # somebody waits there
        self._is_asking = False  # for a turn, to give out a request or a message
        self._is_answering = False  # the library is, the last one
        self._is_new = True  # no request has been given out, or, after an upgrade, no message
        self._is_paused = False
        self._is_websocket = False  # that answers its peer, and ends by itself
        self._has_ended = False  # the peer sends nothing more
        self._timer: asyncio.TimerHandle | None = None

    # What the transport tells

    def connection_made(self, transport: Any) -> None:
        """Look whether there is a descriptor for it; uvloop's transports have asyncio's methods, not its types."""
        self._transport = transport
        if answer := self._server.core.turn_away(transport.get_extra_info("socket").fileno()):
            self._door = None
            transport.write(answer)
            transport.close()
            return
        self._library = self._serve()
        self._library.connection_made(transport)
        self._set_timer(self._server.config.handshake_limit_s, self._give_up)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 # the transport's signature
        """Return where to read to: one place for all, as what was read is taken at once."""
        return self._server.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        data = self._server.read_buffer[:nbytes]
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
        """Take note that the peer sends nothing more; what it has sent is dealt with before it is hung up on."""
        self._has_ended = True
        if self._frames is not None and self._wants_message:
            self.ask_for_message()
        return self._is_websocket or self._is_asking or self._is_answering

    def pause_writing(self) -> None:
        """Tell who writes that the kernel has not taken all."""
        if listener := self.writer or self._library:
            listener.pause_writing()

    def resume_writing(self) -> None:
        """Tell who writes that it has."""
        if listener := self.writer or self._library:
            listener.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all; the descriptor is closed next."""
        self.is_lost = self._has_ended = True
        if self._timer:
            self._timer.cancel()
        if self.writer:
            self.writer.connection_lost()
        if self._library:
            self._library.connection_lost(exc)
        self._end_messages()
        # They hold it in turn: who comes and goes by the thousand would lie about until the garbage is collected.
        self.writer = self._library = self._reader = self._timer = None
        # asyncio's transport (not uvloop's) holds itself by how it reads and, from 3.12 on, writes; it does neither now
        held = getattr(self._transport, "__dict__", {})
        held.update(dict.fromkeys({"_read_ready_cb", "_write_ready"} & held.keys()))

    def abort(self) -> None:
        """End the connection at once."""
        if not self.is_lost:  # asyncio's transports fail when they are told so then
            self._transport.abort()

    # Requests

    def answered(self) -> None:
        """Take note that the answer to a request is written; the next one has its turn."""
        self._is_answering = False
        if self._door and not self.is_lost:
            self._door.answered()
            self._set_timer(self._server.config.handshake_limit_s, self._give_up)
            self._ask_for_head()

    def _ask_for_head(self) -> None:
        if not self._is_answering and not self._is_asking:
            self._is_asking = True
            self._server.turns.call(self._give_head, is_new=self._is_new)

    def _give_head(self) -> None:
        """Give the library the next request, if it is here."""
        self._is_asking = False
        if not self._door or self._transport.is_closing():
            return
        try:
            head = self._door.next_head(self._server.clock.now_us())
        except TurnedAway as answer:
            self._turn_away(answer.answer)
            return
        if head and self._library:
            self._is_answering = True
            self._is_new = False
            self._library.data_received(head)
            self._server.turns.spend(REQUEST_US)
        elif self._has_ended:
            self._transport.close()
        if self._door.has_room:
            self._resume()

    def _turn_away(self, answer: bytes) -> None:
        """Write an answer and hang up, once the peer has had time to read it."""
        self._door = None
        self._transport.write(answer)
        self.see_off()
        self._set_timer(self._server.config.limits.close_limit_s, self.abort)

    def _throw_away(self) -> None:
        """
        Let a peer that was turned away go on, slowly: it reads no answer before it has sent what it wants to.

        Were it held back for good, nobody would hear that it has hung up, and all that it has here would stay for
        ``close_limit_s``: of one who comes back as soon as it was turned away, that is fifty connections and more.
        """
        self._pause()
        asyncio.get_running_loop().call_later(STEP_S, self._resume)

    def _give_up(self) -> None:
        """Hang up on a peer that has not said in time what it wants, though we have looked."""
        if self._door and not self._is_answering:
            if self._server.core.stalls.is_recent(self._server.clock.now_us()):
                self._set_timer(SPARED_S, self._hang_up)  # what it said may lie unread
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
        """Go over to frames: what comes from here on is given out when :meth:`ask_for_message` asks for it."""
        assert self._door  # noqa: S101 # it is opened once
        self._is_answering = False
        self._is_new = self._is_websocket = True
        self._reader = reader
        self._frames = FrameWalker(max_message_bytes, deflate=deflate)
        self._frames.feed(self._door.rest())
        self._door = None
        if self._timer:
            self._timer.cancel()  # from here on the session keeps the time
            self._timer = None
        self._resume()

    def ask_for_message(self) -> None:
        """
        Have the library given the next message, when it is here and there is time for it.

        A frame that breaks the protocol gives it an error, and the end of the stream its end.
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
            self._server.turns.call(self._give_message, is_new=self._is_new)

    def _give_message(self) -> None:
        """Give the library the next message, if it is here as a whole."""
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
            self._server.turns.spend(HANDLE_US + len(frames) // BYTES_A_US)
        elif self._frames.needs_bytes:
            self.ask_for_message()
        else:  # there are fragments without end, perhaps
            asyncio.get_running_loop().call_soon(self._ask_for_turn)

    def _end_messages(self) -> None:
        if self._reader is not None:
            self._reader.feed_eof()

    @property
    def has_ended(self) -> bool:
        """Whether the peer has hung up, though messages of it may be left to give out."""
        return self._has_ended or self._transport.is_closing()

    def see_off(self) -> None:
        """Say that no more will be said, and throw away what comes: the peer is to read what it was told."""
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
        self._transport.pause_reading()  # again, as the library may have let it go on

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()


class GameWebSocket(web.WebSocketResponse):
    """
    One WebSocket, read and written by one :class:`~backends.asyncio_server.connection.Connection`.

    ``waits_for_peer``: a send waits while the peer does not read, as the library does by default.
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
        Return the next message, when there is time for it.

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
                raise ProtocolError(CloseCode.INVALID_TEXT)  # compressed, and it does not come apart
        raise ConnectionEndedError

    async def close(self, *, code: int = 0, message: bytes = b"", drain: bool = True) -> bool:  # noqa: ARG002 # the library's signature
        """Do nothing: the library calls this where the session has its own close frame to send, or none."""
        return False

    def has_ended(self) -> bool:
        """Whether the peer has hung up, though messages of it may be left to receive."""
        return self.door.has_ended

    async def linger(self, limit_s: float) -> None:
        """Let a peer that can't be read any more take our close frame: wait until it hangs up, at most ``limit_s``."""
        self.door.see_off()
        for _ in range(int(limit_s / STEP_S)):
            if self.has_ended():
                return
            await asyncio.sleep(STEP_S)
        self.abort()

    def abort(self) -> None:
        """End the connection at once, with a reset: a close would send what the kernel holds, a torn frame perhaps."""
        if not self.door.is_lost:  # or the descriptor may be a stranger's
            with suppress(OSError):  # the peer was quicker
                self.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        self.door.abort()


def doorkeeper(transport: asyncio.BaseTransport) -> Doorkeeper:
    """Return who stands behind a transport of this server's."""
    protocol = cast("asyncio.Transport", transport).get_protocol()
    assert isinstance(protocol, Doorkeeper)  # noqa: S101 # each of ours has one
    return protocol
