"""
One WebSocket connection of the load: a bare non-blocking socket that is read in callbacks of gevent's hub.

No greenlet waits for a frame: the hub calls one of :mod:`loadtests.receive.reads`, which reads what there is, asks the
kernel when it arrived and logs it. A greenlet waits only for the first tick and for the end.
"""

import _socket  # the C type: what Python and gevent lay over it costs more than the read itself
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn

import gevent
import msgspec
from gevent.event import Event

from loadtests.receive.arrivals import HEAD_BYTES, ArrivedTick, Latest, is_utf8
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
    TEXT_VIEW,
    Receive,
    on_encrypted_plain_readable,
    on_encrypted_readable,
    on_plain_readable,
    on_readable,
)
from loadtests.receive.stamps import ask_for_stamps, now_us, stamp_us
from shared.system.descriptors import descriptor_limits
from shared.wire.target import Target
from shared.wire.tls import CertificateError, ClientTls, TlsError

Address = tuple[int, tuple[Any, ...]]
"""Family and socket address, as getaddrinfo gives them."""
Listener = Callable[[int, bytes, int], None]
"""Takes the n of the tick (-1 for other messages), the text and when it arrived, on CLOCK_REALTIME."""

CLOSE_TIMEOUT_S: Final = 1.0
READ, WRITE = 1, 2
MAX_UNSENT_BYTES: Final = 64 * 1024
RESERVED_DESCRIPTORS: Final = 32
"""Below the limit of open files, for what else the generator has to open: /stats, /proc, its files."""
OWN_LIMITS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))

_HANDSHAKE: Final = b'[["handshake",'
_WELCOMES: Final = (_HANDSHAKE, b'[["world",')
"""Large, and nothing in them is measured: not decoded."""
_BAD_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_decode = msgspec.json.Decoder(list[list[Any]]).decode


class Connection:
    """
    A connection to ``target``, whose resolved address is ``address``.

    Call :meth:`open` in a greenlet, then :meth:`send_text` and at last :meth:`close`. ``greeting`` gives the first
    text message. ``on_text``, if it is set, is called in the hub with each text message, and must not block.
    Connections that get the same frames share ``latest``.

    """

    __slots__ = (
        "_address",
        "_assembler",
        "_greeting",
        "_handshake",
        "_latest",
        "_leaving_us",
        "_log",
        "_needed_bytes",
        "_observer",
        "_over",
        "_partial",
        "_plain",
        "_reader",
        "_receive",
        "_secured_us",
        "_settled",
        "_socket",
        "_started_us",
        "_tls",
        "_unsent",
        "_upgraded",
        "_writer",
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
    ) -> None:
        self.index = index
        self.on_text = on_text
        self.ticking = False
        """Whether the first tick frame has arrived and neither side has begun to close."""
        self._handshake: ClientHandshake | None = ClientHandshake(target, os.urandom(16))
        self._address = address
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
        self._unsent = bytearray()
        self._started_us = 0
        self._socket: _socket.socket | None = None
        self._tls: ClientTls | None = None
        self._secured_us = 0  # when the handshake of TLS began; 0 when it was over
        self._receive: Receive
        self._reader: Any = None
        self._writer: Any = None

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
        family, address = self._address
        self._socket = connection = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
        if connection.fileno() >= descriptor_limits()[0] - RESERVED_DESCRIPTORS:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        ask_for_stamps(connection)
        self._receive = connection.recvmsg_into
        loop = gevent.get_hub().loop
        self._reader = loop.io(connection.fileno(), READ)
        result = connection.connect_ex(address)
        if result == errno.EINPROGRESS:
            self._writer = loop.io(connection.fileno(), WRITE)
            gevent.get_hub().wait(self._writer)
            result = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if result:
            raise OSError(result, os.strerror(result))
        assert self._handshake is not None  # noqa: S101 - it is given up when it was answered
        target = self._handshake.target
        if target.secure:
            self._tls = ClientTls(target.host, verifies=target.verifies)
            self._secured_us = now_us()
        callback, arguments = self._on_read()
        self._reader.start(callback, *arguments)
        if self._tls is None:
            self._send(self._handshake.request())
        else:
            self.take_encrypted(b"", is_over=False)
        settled = self._settled
        if settled is not None:
            settled.wait()

    def _end(self, ending: Ending) -> None:
        """Release the socket and tell the observer; only the first call counts."""
        if self._over.is_set():
            return
        self.ticking = self._plain = False
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        if self._socket is not None:
            self._say_goodbye(self._socket)
            self._socket.close()
        self._socket = self._reader = self._writer = self._tls = None
        self._receive = _closed  # the socket's own method would keep the descriptor open
        self._over.set()
        self._settle()
        self._observer.ended(self.index, ending)

    def _say_goodbye(self, connection: _socket.socket) -> None:
        """Say by TLS that nothing follows, if the kernel takes it."""
        if self._tls is not None and not self._unsent:
            with suppress(OSError):
                connection.send(self._tls.goodbye())

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

    # Sending

    def _send(self, data: bytes) -> None:
        if self._tls is None:
            self._write(data)
            return
        try:
            encrypted = self._tls.encrypt(data)
        except TlsError as error:
            self._lose(str(error), broke_protocol=True)
        else:
            self._write(encrypted)

    def _write(self, data: bytes) -> None:
        """Give the kernel what is to be sent as it is."""
        if self._socket is None or not data:
            return
        sent = 0
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                self._lose(reason_of(error))
                return
        if sent < len(data):
            if len(self._unsent) > MAX_UNSENT_BYTES:  # one message may be longer
                self._lose("the server does not read")
                return
            self._unsent += data[sent:]
            if self._writer is None:
                self._writer = gevent.get_hub().loop.io(self._socket.fileno(), WRITE)
            self._writer.start(self._on_writable)

    def _on_writable(self) -> None:
        self._writer.stop()
        unsent, self._unsent = self._unsent, bytearray()
        self._write(bytes(unsent))

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
        is_plain, tls = self._plain and self.on_text is None, self._tls
        if tls is not None and is_plain:
            return on_encrypted_plain_readable, (self._receive, tls, tls.bounds, self._latest, self)
        if tls is not None:
            return on_encrypted_readable, (self._receive, tls, self)
        if is_plain:
            return on_plain_readable, (self._receive, self._latest, self.index, self)
        return on_readable, (self._receive, self)

    def take_failure(self, error: OSError) -> None:
        """End: reading failed."""
        self._lose(reason_of(error))

    def take_encrypted(self, stamp: bytes, *, is_over: bool) -> None:
        """Take what TLS was fed with; ``is_over``: it was the last."""
        tls = self._tls
        if tls is None:
            return
        size, says_goodbye = 0, False
        try:
            if not self._secured_us or self._shake_hands(tls, stamp):
                size, says_goodbye = tls.decrypt(TEXT_VIEW)
            self._write(tls.to_send())
        except TlsError as error:
            self._write(tls.to_send())
            self._lose(str(error), stamp, broke_protocol=not isinstance(error, CertificateError))
            return
        if size:
            self.take_read(TEXT_VIEW[:size], stamp, cut_off=tls.bounds.left_bytes > 0)
        if is_over or says_goodbye:
            self.take_read(TEXT_VIEW[:0], stamp)

    def _shake_hands(self, tls: ClientTls, stamp: bytes) -> bool:
        """Go on with the handshake of TLS; when it is done, begin that of the WebSocket, and return True."""
        if not tls.shake_hands():
            return False
        self._observer.secured(self.index, stamp_us(stamp) - self._secured_us)
        self._secured_us = 0
        assert self._handshake is not None  # noqa: S101 - it is given up when it was answered
        self._send(self._handshake.request())
        return True

    def take_read(self, data: memoryview, stamp: bytes, *, cut_off: bool = False) -> None:
        """Take what was read, none at the end; ``cut_off``: behind it was what can't be understood yet."""
        latest, size = self._latest, len(data)
        if not size:
            self._lose("hung up in the handshake of TLS" if self._secured_us else "end of stream without a close frame")
            return
        is_known = size == latest.size and data == latest.read
        if self._plain and (is_known or self._log.learn(latest, bytes(data))):
            self._log.append(self.index, latest.number, stamp)
            if cut_off:
                self._log.mark_coalesced()
            if self.on_text is not None:
                self._tell(latest.number, data, stamp)
        else:
            self._take_all(data, stamp, cut_off=cut_off)

    def _tell(self, number: int, read: memoryview, stamp: bytes) -> None:
        """Tell the listener of a read that was one tick frame."""
        frame = self._log.frame(number)
        if self.on_text is not None and not self._leaving_us:
            self.on_text(frame.n, bytes(read[-frame.size_bytes :]), stamp_us(stamp))

    def _take_all(self, data: memoryview, stamp: bytes, *, cut_off: bool) -> None:
        """Take whatever was read: part of a frame, many, or the answer to the handshake."""
        self._expect_plain(plain=False)
        self._partial += data
        if len(self._partial) < self._needed_bytes:
            return
        try:
            if self._upgraded or self._take_answer():
                self._take_frames(stamp, cut_off=cut_off)
        except PeerError as error:
            self._lose(str(error), stamp, broke_protocol=not str(error).startswith("HTTP status"))

    def _take_answer(self) -> bool:
        """Take the answer to the handshake; return whether it is whole."""
        assert self._handshake is not None  # noqa: S101 - it is given up when it was answered
        start = self._handshake.response_end(self._partial)
        if not start:
            return False
        del self._partial[:start]
        self._upgraded = True
        self._handshake = None
        self.send_text(self._greeting())
        return True

    def _take_frames(self, stamp: bytes, *, cut_off: bool) -> None:
        data = memoryview(bytes(self._partial))
        end, size = 0, len(data)
        for frame in frames_in(data):
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
            if message is not None and message[0] == TEXT:  # the game has no binary messages
                self._take_text(message[1], stamp, coalesced=coalesced)

    def _take_close(self, payload: bytes, stamp: bytes) -> None:
        if len(payload) == 1 or not is_utf8(payload[2:]):
            raise PeerError("a close frame without a whole code, or a reason that is not UTF-8")
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        if not self._leaving_us:
            self._send(masked_frame(CLOSE, payload[:2], os.urandom(4)))
        self._lose(f"close {code}", stamp, code)

    def _take_text(self, text: bytes, stamp: bytes, *, coalesced: bool) -> None:
        log = self._log
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
                log.note_step(self._latest, number, text)
        if number is not None:
            log.append(self.index, number, stamp)
            if coalesced:
                log.mark_coalesced()
            if slow:
                log.mark_slow_parse()
            self._tick_came(stamp)
        if self.on_text is not None and not self._leaving_us:
            self.on_text(-1 if number is None else log.frame(number).n, text, stamp_us(stamp))

    def _tick_came(self, stamp: bytes) -> None:
        if self._settled is not None and not self._leaving_us:
            self.ticking = True
            self._observer.connected(self.index, self._started_us, stamp_us(stamp))
            self._settle()

    def _take_commands(self, text: bytes, stamp: bytes) -> int | None:
        """Take a message whose head is not that of a tick frame; if it is one all the same, give it a number."""
        if text.startswith(_WELCOMES):
            if text.startswith(_HANDSHAKE):
                self._observer.entered(self.index, stamp_us(stamp))
            return None
        try:
            commands = _decode(text)
        except _BAD_JSON as error:
            raise PeerError("a text that is no array of commands") from error
        match commands[0] if commands else []:
            case ["tick", int(n), int(due_us), int(sent_us)] if (
                0 <= n < 10**18 and max(abs(due_us), abs(sent_us)) < 10**18
            ):
                return self._log.add(ArrivedTick(n, due_us, sent_us, len(text)))
            case ["pong", int(sent_us), int(server_us)] if max(abs(sent_us), abs(server_us)) < 10**18:
                self._observer.ponged(sent_us, server_us, stamp_us(stamp))
            case ["error", str(why)]:
                self._observer.told(self.index, why)
        return None


def _closed(*_: Any) -> NoReturn:
    raise BlockingIOError


def reason_of(error: OSError) -> str:
    """Say in words that can be counted why a system call failed."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
