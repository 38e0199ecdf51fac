"""
One WebSocket connection of the load: a bare non-blocking socket that is read in callbacks of gevent's hub.

No greenlet waits for a frame: the hub calls one of :mod:`loadtests.receive.reads`, which reads what there is, asks the
kernel when it arrived and logs it. A greenlet waits only for the first tick and for the end.
"""

import os
from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent.event import Event

from loadtests.receive.arrivals import (
    COMPRESSED_TEXT,
    HEAD_BYTES,
    MAX_MESSAGE_BYTES,
    ArrivedTick,
    Latest,
    is_utf8,
    payload_start,
)
from loadtests.receive.commands import Entered, Pong, Told, commands_of
from loadtests.receive.endings import ConnectionObserver, Ending, Fate
from loadtests.receive.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Assembler,
    ClientHandshake,
    PeerError,
    ReceivedFrame,
    frame_bytes,
    frames_in,
    masked_frame,
)
from loadtests.receive.reads import (
    on_compressed_readable,
    on_encrypted_plain_readable,
    on_encrypted_readable,
    on_plain_readable,
    on_readable,
)
from loadtests.receive.stamps import now_us, stamp_us
from loadtests.receive.transport import OWN_LIMITS, Address, Transport, reason_of
from shared.wire.deflate import BROWSER_OFFER, InflateError, Inflater
from shared.wire.target import Target

Listener = Callable[[int, bytes, int], None]
"""Takes the n of the tick (-1 for other messages), the text and when it arrived, on CLOCK_REALTIME."""

CLOSE_TIMEOUT_S: Final = 1.0


class Connection(Transport):
    """
    A connection to ``target``, whose resolved address is ``address``.

    Call :meth:`open` in a greenlet, then :meth:`send_text` and at last :meth:`close`. ``greeting`` gives the first
    text message. ``on_text``, if it is set, is called in the hub with each text message, and must not block.
    Connections that get the same frames share ``latest``. One that ``may_deflate`` offers to take compressed messages.

    """

    __slots__ = (
        "_assembler",
        "_greeting",
        "_handshake",
        "_inflater",
        "_latest",
        "_leaving_us",
        "_log",
        "_needed_bytes",
        "_observer",
        "_over",
        "_partial",
        "_plain",
        "_settled",
        "_started_us",
        "_upgraded",
        "ending",
        "index",
        "on_text",
        "ticking",
    )

    def __init__(
        self,
        target: Target,
        address: Address,
        index: int,
        observer: ConnectionObserver,
        greeting: Callable[[], bytes],
        latest: Latest,
        on_text: Listener | None = None,
        *,
        may_deflate: bool = False,
    ) -> None:
        super().__init__(address)
        self.index = index
        self.on_text = on_text
        self.ending: Ending | None = None
        """How it ended; None as long as it has not."""
        self.ticking = False
        """Whether the first tick frame has arrived and neither side has begun to close."""
        offers = BROWSER_OFFER if may_deflate else ""
        self._handshake: ClientHandshake | None = ClientHandshake(target, os.urandom(16), offers)
        self._greeting = greeting
        self._observer = observer
        self._log = observer.log
        self._latest = latest
        self._settled: Event | None = Event()  # the first tick frame, or the end
        self._over = Event()
        self._leaving_us = 0  # when we began to close; 0 before
        self._upgraded = False
        self._plain = False  # what is read next begins a frame, and ticks have come before
        self._partial = bytearray()  # the beginning of a frame
        self._needed_bytes = 0  # until the frame in _partial can be whole
        self._assembler = Assembler()
        self._inflater: Inflater | None = None  # where it was agreed that messages may be compressed
        self._started_us = 0

    # Public methods

    def open(self, timeout_s: float) -> bool:
        """Connect, send the greeting and wait for the first tick frame; return whether it came."""
        self._started_us = now_us()
        try:
            gevent.with_timeout(timeout_s, self._connect, timeout_value=None)
        except OSError as error:
            own = error.errno in OWN_LIMITS
            self._end(Ending(Fate.OWN_LIMIT if own else Fate.REFUSED, reason_of(error), now_us()))
        if not self._over.is_set() and not self.ticking:
            self._end(Ending(Fate.TIMED_OUT, "no tick frame in time", now_us()))
        return self.ticking

    @property
    def is_over(self) -> bool:
        """Whether the connection has come to its end."""
        return self._over.is_set()

    @property
    def may_come_again(self) -> bool:
        """Whether it has come to an end after which another connection may be welcome."""
        return self.ending is not None and self.ending.may_come_again

    def wait_end(self, timeout_s: float | None = None) -> None:
        """Wait until the connection is over, at most ``timeout_s``."""
        self._over.wait(timeout_s)

    def send_text(self, text: bytes) -> None:
        """Send a text message; do nothing once we want to leave, or the connection is over."""
        if not self._leaving_us:
            self._send(masked_frame(TEXT, text, os.urandom(4)))

    def ping(self) -> None:
        """Ask the server for a pong; the observer is told when it comes."""
        self.send_text(b'["ping",%d]' % now_us())

    def stop_reading(self) -> None:
        """Leave everything that the server sends in the buffers, from now on."""
        if self._reader is not None:
            self._reader.stop()

    def close(self) -> None:
        """Leave: send a close frame, read what is still on its way, and end after :data:`CLOSE_TIMEOUT_S` at most."""
        if self._socket is None or self._leaving_us:
            return
        self._leaving_us = now_us()
        self.ticking = False
        if self._upgraded:
            self._send(masked_frame(CLOSE, (1000).to_bytes(2, "big"), os.urandom(4)))
            self._over.wait(CLOSE_TIMEOUT_S)
        self._end(Ending(Fate.LEFT, "left", self._leaving_us))

    # Opening and ending

    def _connect(self) -> None:
        """Connect, send the handshake and wait for the first tick frame or the end."""
        assert self._handshake is not None  # noqa: S101 - it is given up when it was answered
        self._begin(self._handshake.target)
        settled = self._settled
        if settled is not None:
            settled.wait()

    def _opened(self, tls_us: int | None) -> None:
        """Send the handshake."""
        if tls_us is not None:
            self._observer.secured(self.index, tls_us)
        assert self._handshake is not None  # noqa: S101 - as above
        self._send(self._handshake.request())

    def _end(self, ending: Ending) -> None:
        """Release the socket and tell the observer; only the first call counts."""
        if self._over.is_set():
            return
        self.ending = ending
        self.ticking = self._plain = False
        self._release()
        self._inflater = None  # its window takes 32 KiB
        self._over.set()
        self._settle()
        self._observer.ended(self.index, ending)

    def _lose(
        self, why: str, stamp: bytes = b"", close_code: int | None = None, *, broke_protocol: bool = False
    ) -> None:
        """End a connection that the server ended, or made impossible to go on with."""
        if self._leaving_us:
            complete = close_code is not None
            why = why if broke_protocol else "left"
            self._end(Ending(Fate.LEFT, why, self._leaving_us, complete=complete, broke_protocol=broke_protocol))
            return
        fate = Fate.CLOSED_EARLY if self.ticking else Fate.REFUSED
        self._end(Ending(fate, why, stamp_us(stamp), close_code, broke_protocol))

    def _settle(self) -> None:
        if self._settled is not None:
            self._settled.set()
            self._settled = None  # to free its memory: there are thousands

    # Receiving

    def _expect_plain(self, *, plain: bool) -> None:
        """Say whether what is read next begins a frame, and ticks have come before."""
        if plain == self._plain:
            return
        self._plain = plain
        if self._reader is not None:
            self._reader.callback, self._reader.args = self._on_read()

    def _on_read(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """Return what the hub shall call when there is something to read, and with which arguments."""
        latest, tls = self._latest, self._tls
        if not self._plain or self.on_text is not None:
            return (
                (on_readable, (self._receive, self))
                if tls is None
                else (on_encrypted_readable, (self._receive, tls, self))
            )
        inflate = self._inflater.inflate if self._inflater is not None and latest.has_contexts else None
        if tls is not None:
            return on_encrypted_plain_readable, (self._receive, tls, tls.bounds, inflate, latest, self)
        if inflate is not None:
            return on_compressed_readable, (self._receive, inflate, latest, self)
        return on_plain_readable, (self._receive, latest, self.index, self)

    def take_fault(self, error: Exception, stamp: bytes) -> None:
        """End: the server broke the protocol."""
        self._lose(str(error), stamp, broke_protocol=True)

    def take_read(self, data: memoryview, stamp: bytes, *, cut_off: bool = False) -> None:
        """Take what was read, none at the end; ``cut_off``: behind it was what can't be understood yet."""
        latest, size = self._latest, len(data)
        if not size:
            self._lose("end of stream without a close frame")
            return
        number = None
        if self._plain:
            is_latest = size == latest.size and not latest.has_contexts and data == latest.read
            number = latest.number if is_latest else self._log.number_of(latest, bytes(data))
        if number is None:
            self._take_all(data, stamp, cut_off=cut_off)
            return
        self._log.append(self.index, number, stamp, size)
        if cut_off:
            self._log.mark_coalesced()
        if self.on_text is not None:
            self._tell(number, data, stamp)

    def _tell(self, number: int, read: memoryview, stamp: bytes) -> None:
        """Tell the listener of a read that was one tick frame."""
        if self.on_text is not None and not self._leaving_us:
            text = bytes(read[payload_start(read) :])
            if read[0] == COMPRESSED_TEXT and self._inflater is not None:
                text = self._inflater.inflate(text)  # in the log it went well
            self.on_text(self._log.frame(number).n, text, stamp_us(stamp))

    def _take_all(self, data: memoryview, stamp: bytes, *, cut_off: bool) -> None:
        """Take whatever was read: part of a frame, many, or the answer to the handshake."""
        self._expect_plain(plain=False)
        self._partial += data
        if len(self._partial) < self._needed_bytes:
            return
        try:
            if self._upgraded or self._take_answer():
                self._take_frames(stamp, cut_off=cut_off)
        except (PeerError, InflateError) as error:
            self._lose(str(error), stamp, broke_protocol=not str(error).startswith("HTTP status"))

    def _take_answer(self) -> bool:
        """Take the answer to the handshake; return whether it is whole."""
        assert self._handshake is not None  # noqa: S101 - it is given up when it was answered
        start = self._handshake.response_end(self._partial)
        if not start:
            return False
        agreement = self._handshake.agreement(self._partial[: start - 4])
        self._observer.agreed(self.index, "" if agreement is None else agreement.text)
        if agreement is not None:
            self._latest = self._log.latest(self._latest.room, agreement)
            self._inflater = self._latest.inflater or agreement.client_inflater(MAX_MESSAGE_BYTES)
        del self._partial[:start]
        self._upgraded = True
        self._handshake = None
        self.send_text(self._greeting())
        return True

    def _take_frames(self, stamp: bytes, *, cut_off: bool) -> None:
        data = memoryview(bytes(self._partial))
        end, size = 0, len(data)
        for frame in frames_in(data, may_deflate=self._inflater is not None):
            end = frame.end
            # Only the last byte of a read has an exact time.
            self._take_frame(frame, stamp, coalesced=cut_off or end < size)
            if self._socket is None:
                return
        del self._partial[:end]
        self._needed_bytes = frame_bytes(self._partial)
        self._expect_plain(plain=self._settled is None and not self._partial and not self._assembler.waiting)

    def _take_frame(self, frame: ReceivedFrame, stamp: bytes, *, coalesced: bool) -> None:
        if frame.opcode == CLOSE:
            self._take_close(bytes(frame.payload), stamp)
        elif frame.opcode == PING:
            if not self._leaving_us:  # nothing may follow a close frame
                self._send(masked_frame(PONG, bytes(frame.payload), os.urandom(4)))
        elif frame.opcode != PONG:
            message = self._assembler.take(frame)
            if message is None:
                return
            payload = message.payload
            if message.compressed and self._inflater is not None:
                payload = self._inflater.inflate(payload)  # whatever it is: the context goes on
            if message.opcode == TEXT:  # the game has no binary messages
                self._take_text(payload, stamp, message.wire_bytes, coalesced=coalesced)

    def _take_close(self, payload: bytes, stamp: bytes) -> None:
        if len(payload) == 1 or not is_utf8(payload[2:]):
            raise PeerError("a close frame without a whole code, or a reason that is not UTF-8")
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        if not self._leaving_us:
            self._send(masked_frame(CLOSE, payload[:2], os.urandom(4)))
        self._lose(f"close {code}", stamp, code)

    def take_text(self, text: bytes, stamp: bytes, wire_bytes: int, *, coalesced: bool = False) -> None:
        """Take a whole text message, which took so many bytes on the wire."""
        try:
            self._take_text(text, stamp, wire_bytes, coalesced=coalesced)
        except PeerError as error:
            self.take_fault(error, stamp)

    def _take_text(self, text: bytes, stamp: bytes, wire_bytes: int, *, coalesced: bool) -> None:
        log, latest = self._log, self._latest
        number, slow = log.numbers.get(text), False
        if number is None:
            if not is_utf8(text):
                raise PeerError("a text that is not UTF-8")
            number = log.parse(text[:HEAD_BYTES], len(text))
            slow = number is None
            if number is None:
                number = self._take_commands(text, stamp)
            else:
                log.remember(text, number)
                log.note_step(latest, number, text)
        if number is not None:
            is_newer = latest.size < 0 or number > latest.number
            if latest.has_contexts and is_newer and not slow:
                log.renew(latest, text, number)
            log.append(self.index, number, stamp, wire_bytes)
            if coalesced:
                log.mark_coalesced()
            if slow:
                log.mark_slow_parse()
            self._tick_came(number, stamp)
        if self.on_text is not None and not self._leaving_us:
            self.on_text(-1 if number is None else log.frame(number).n, text, stamp_us(stamp))

    def _tick_came(self, number: int, stamp: bytes) -> None:
        if self._settled is not None and not self._leaving_us:
            self.ticking = True
            self._observer.began(self.index, self._log.frame(number))
            self._observer.connected(self.index, self._started_us, stamp_us(stamp))
            self._settle()

    def _take_commands(self, text: bytes, stamp: bytes) -> int | None:
        """Take a message whose head is not that of a tick frame; if it is one all the same, give it a number."""
        match commands_of(text):
            case ArrivedTick() as tick:
                return self._log.add(tick)
            case Entered():
                self._observer.entered(self.index, stamp_us(stamp))
            case Pong(sent_us, server_us):
                self._observer.ponged(sent_us, server_us, stamp_us(stamp))
            case Told(why):
                self._observer.told(self.index, why)
        return None
