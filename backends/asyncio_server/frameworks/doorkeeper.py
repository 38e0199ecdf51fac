"""
What stands between a transport and a library that serves it: it hands out requests and messages one at a time.

A library reads whatever a peer sends, as fast as it comes. Here each request and each message is checked before, waits
for its turn, and is kept back in the kernel until then; uvloop's transports and asyncio's alike.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, cast

from shared.server.door import Door, TurnedAway
from shared.wire.errors import ProtocolError
from shared.wire.parser import FrameWalker
from shared.wire.request import READ_BYTES
from shared.wire.session import SPARED_S

from ..host import Host

STEP_S = 0.02
"""How often a closing connection is checked."""

REQUEST_US = 250
"""What a library takes for a request in all, in turns of the event loop after the one that gives it out."""

HANDLE_US = 50
"""About what it takes to handle a message, in the turn after the one that gives it out."""

BYTES_A_US = 256
"""Of a message, which are received and sent back."""

READ_BUFFER = bytearray(READ_BYTES)
"""Of whoever is read from, for as long as that takes: what was read is taken at once."""


class MessageSink(Protocol):
    """Where a library's messages are waited for."""

    def fail(self, error: ProtocolError) -> None:
        """Say to whoever waits that the peer broke the protocol."""

    def end(self) -> None:
        """Say that the stream has ended."""


class Doorkeeper(asyncio.BufferedProtocol):
    """
    Stands between a transport and a library, and gives it one request, and after an upgrade one message, at a time.

    A peer that is turned away gets the door's answer; one that takes too long to send a request, or to take the answer,
    is disconnected.
    """

    # There are thousands of them, as of frames and sessions.
    __slots__ = (
        "_door",
        "_frames",
        "_has_ended",
        "_host",
        "_is_answering",
        "_is_asking",
        "_is_full",
        "_is_idle",
        "_is_new",
        "_is_paused",
        "_is_written",
        "_reader",
        "_serve",
        "_timer",
        "_wants_message",
        "is_lost",
        "library",
        "transport",
        "writer",
    )

    def __init__(self, host: Host, serve: Callable[[], asyncio.Protocol]) -> None:
        self.is_lost = False  # the descriptor may belong to another connection
        self.writer: asyncio.BaseProtocol | None = None  # gets the transport's flow control, instead of the library
        self.transport: asyncio.Transport
        self.library: asyncio.Protocol | None = None
        self._host = host
        self._serve = serve
        self._door: Door | None = None  # until an upgrade
        self._frames: FrameWalker | None = None  # from then on
        self._reader: MessageSink | None = None  # the library's queue of messages
        self._wants_message = False  # the connection waits for one there
        self._is_asking = False  # it waits for a turn, to give out a request or a message
        self._is_answering = False  # the library has not answered the last request yet
        self._is_written = False  # it has, but the peer has yet to take the answer
        self._is_full = False  # the transport holds more than it should
        self._is_idle = False  # nothing has come since the last answer
        self._is_new = True  # no request has been given out, or, after an upgrade, no message
        self._is_paused = False
        self._has_ended = False  # the peer sends nothing more
        self._timer: asyncio.TimerHandle | None = None

    # What the transport tells

    def connection_made(self, transport: Any) -> None:
        """Serve the connection, unless too few descriptors are left; uvloop's transports are not of asyncio's types."""
        self.transport = transport
        if answer := self._host.core.turn_away(transport.get_extra_info("socket").fileno()):
            transport.write(answer)
            transport.close()
            return
        peer = transport.get_extra_info("peername") or ("",)  # "": it has gone already
        self._door = Door(self._host.core, peer[0])
        self.library = self._serve()
        self.library.connection_made(transport)
        self._set_timer(self._host.config.handshake_limit_s, self.hang_up)

    @property
    def address(self) -> str:
        """The address that the last request comes from."""
        return self._door.address if self._door else ""

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 # the transport's signature
        """Return where to read to."""
        return READ_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        data = READ_BUFFER[:nbytes]
        if self._frames is not None:
            self._frames.feed(data)
            if len(self._frames) >= READ_BYTES:
                self._pause()
            self._ask_for_turn()
        elif self._door:
            self._door.feed(data)
            if self._is_idle:
                self._is_idle = False
                self._set_timer(self._host.config.handshake_limit_s, self.hang_up)
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
        is_websocket = self._reader is not None  # then the session answers the peer, and ends the connection
        return is_websocket or self._is_asking or self._is_answering

    def pause_writing(self) -> None:
        """Tell the writer that the kernel has not taken all."""
        self._is_full = True
        if self._is_answering:
            self._set_timer(self._host.config.handshake_limit_s, self.abort)
        if listener := self.writer or self.library:
            listener.pause_writing()

    def resume_writing(self) -> None:
        """Tell the writer that the kernel has taken all."""
        self._is_full = False
        if listener := self.writer or self.library:
            listener.resume_writing()
        if self._is_written:
            self.answered()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the writer and the library; the descriptor is closed next."""
        self.is_lost = self._has_ended = True
        if self._timer:
            self._timer.cancel()
        if self.writer:
            self.writer.connection_lost(exc)
        if self.library:
            self.library.connection_lost(exc)
        self._end_messages()
        # Reference cycles: thousands of ended connections would stay in memory until the garbage is collected.
        self.writer = self.library = self._reader = self._timer = None
        # asyncio's transport (not uvloop's) holds itself by how it reads and, from 3.12 on, writes; it does neither now
        held = getattr(self.transport, "__dict__", {})
        held.update(dict.fromkeys({"_read_ready_cb", "_write_ready"} & held.keys()))

    def abort(self) -> None:
        """End the connection at once."""
        if not self.is_lost:  # else asyncio's transports raise
            self.transport.abort()

    # Requests

    def answered(self) -> None:
        """Note that the answer to a request is written; go on with the next one as soon as the peer has taken it."""
        self._is_written = self._is_full
        if self._is_written:
            return
        self._is_answering = False
        if self._door and not self.is_lost:
            self._door.answered()
            config, self._is_idle = self._host.config, self._door.is_idle
            self._set_timer(config.keep_alive_s if self._is_idle else config.handshake_limit_s, self.hang_up)
            self._ask_for_head()

    def _ask_for_head(self) -> None:
        if not self._is_answering and not self._is_asking:
            self._is_asking = True
            self._host.turns.call(self._give_head, is_new=self._is_new)

    def _give_head(self) -> None:
        """Give the library the next request, if it is here."""
        self._is_asking = False
        if not self._door or self.transport.is_closing():
            return
        try:
            head = self._door.next_head(self._host.clock.now_us())
        except TurnedAway as answer:
            self._turn_away(answer.answer)
            return
        if head and self.library:
            self._is_answering = True
            self._is_new = False
            self.library.data_received(head)
            self._host.turns.spend(REQUEST_US)
        elif self._has_ended:
            self.transport.close()
        if self._door.has_room:
            self._resume()

    def _turn_away(self, answer: bytes) -> None:
        """Write an answer and hang up, once the peer has had time to read it."""
        self._door = None
        self.transport.write(answer)
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

    def hang_up(self) -> None:
        """Close the connection if no request of it is being answered."""
        if self._door and not self._is_answering:
            self.transport.close()

    def _set_timer(self, delay_s: float, act: Callable[[], None]) -> None:
        if self._timer:
            self._timer.cancel()
        until_us = self._running_us() + round(delay_s * 1_000_000)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._run_out, act, until_us, SPARED_S)

    def _run_out(self, act: Callable[[], None], until_us: int, spared_s: float) -> None:
        """End a peer whose time is up; a little later if we were held up: what it sent may lie unread."""
        left_s = (until_us - self._running_us()) / 1_000_000
        if left_s <= 0 and self._host.core.stalls.is_recent(self._host.clock.now_us()):
            left_s, until_us, spared_s = spared_s, until_us + round(spared_s * 1_000_000), 0
        if left_s > 0:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._run_out, act, until_us, spared_s)
        else:
            act()

    def _running_us(self) -> int:
        return self._host.core.stalls.running_us(self._host.clock.now_us())

    # Messages

    def open_websocket(self, reader: MessageSink, frames: FrameWalker) -> None:
        """Feed ``frames`` from now on, of which each message is given out when :meth:`ask_for_message` asks for it."""
        assert self._door  # noqa: S101 # it is opened once
        self._is_answering = False
        self._is_new = True
        self._reader = reader
        self._frames = frames
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
        if self._frames is None or self.library is None or self._reader is None:  # it was lost meanwhile
            return
        try:
            frames = self._frames.next_message()
        except ProtocolError as error:
            self._wants_message = False
            self._reader.fail(error.with_traceback(None))
            self._stop_reading()
            return
        if frames is not None:
            self._wants_message = self._is_new = False
            self.library.data_received(frames)
            self._host.turns.spend(HANDLE_US + len(frames) // BYTES_A_US)
        elif self._frames.needs_bytes:
            self.ask_for_message()
        else:  # perhaps there are endless fragments
            asyncio.get_running_loop().call_soon(self._ask_for_turn)

    def _end_messages(self) -> None:
        if self._reader is not None:
            self._reader.end()

    @property
    def has_ended(self) -> bool:
        """Whether the peer has hung up; messages of it may be left to give out."""
        return self._has_ended or self.transport.is_closing()

    def see_off(self) -> None:
        """End our side of the stream and drop what comes, so that the peer can read what was sent."""
        self._stop_reading()
        with suppress(OSError):  # the peer may have hung up already
            if not self.transport.is_closing():
                self.transport.write_eof()

    def _stop_reading(self) -> None:
        self._frames = None
        self._resume()

    # Reading

    def _pause(self) -> None:
        self._is_paused = True
        self.transport.pause_reading()  # also when paused before, as the library may have resumed it

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()


def doorkeeper(transport: asyncio.BaseTransport) -> Doorkeeper:
    """Return the doorkeeper of a transport of this server."""
    protocol = cast("asyncio.Transport", transport).get_protocol()
    assert isinstance(protocol, Doorkeeper)  # noqa: S101 # each of ours has one
    return protocol
