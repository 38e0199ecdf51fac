"""
One WebSocket connection of the load: a bare non-blocking socket whose frames are taken in by a watcher of the hub.

No greenlet waits for a frame: the hub calls :meth:`Connection._on_readable`, which reads what there is, asks the
kernel when it arrived and logs it. A greenlet waits only for the first tick and for the end. Knows nothing of Locust,
of statistics or of the game.
"""

from __future__ import annotations

import _socket  # the C type: what Python and gevent lay over it costs more than the read itself
import errno
import os
from typing import TYPE_CHECKING, Any, Final

import gevent
import msgspec
from gevent.event import Event

from loadtests.arrivals import HEAD_BYTES, READ_BYTES, TickFrame
from loadtests.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Assembler,
    Frame,
    Handshake,
    PeerError,
    frame_bytes,
    frames_in,
    masked_frame,
)
from loadtests.stamps import ANCILLARY_BYTES, ask_for_stamps, now_us, stamp_us
from loadtests.witness import Fate

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.target import Target
    from loadtests.witness import Witness

    Address = tuple[int, tuple[Any, ...]]
    """Family and socket address, as getaddrinfo gives them."""

CLOSE_TIMEOUT_S: Final = 1.0
READ, WRITE = 1, 2
MAX_UNSENT_BYTES: Final = 64 * 1024
_OWN_LIMITS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))

# The callbacks of the hub run one after the other, so all connections read into the same buffer.
_BUFFER: Final = bytearray(256 * 1024)
_VIEW: Final = memoryview(_BUFFER)
_BUFFERS: Final = [_BUFFER]

_WELCOMES: Final = (b'[["handshake",', b'[["world",')
"""Large and of no interest to the instrument: not decoded."""

_decode = msgspec.json.Decoder(list[list[Any]]).decode


class Connection:
    """
    A connection to ``target``, whose resolved address is ``address``, in the name of ``name``.

    Call :meth:`open` in a greenlet, then :meth:`send_text` and at last :meth:`close`. ``on_text`` is called in the
    hub with each text message and the n of its tick (-1 for other messages), and must not block.

    """

    def __init__(
        self,
        target: Target,
        address: Address,
        index: int,
        name: str,
        witness: Witness,
        on_text: Callable[[int, bytes], None] | None = None,
    ) -> None:
        self.index = index
        self.ticking = False
        """The first tick frame has arrived, and the end has not come."""
        self._handshake = Handshake(target, os.urandom(16))
        self._address = address
        self._name = name
        self._witness = witness
        self._log = log = witness.log
        self._reads = log.reads
        self._rows_extend = log.rows.extend
        self._on_text = on_text
        self._settled = Event()  # the first tick frame, or the end
        self._over = Event()
        self._reported = False
        self._upgraded = False
        self._plain = False  # what is read next begins a frame, and ticks have come before
        self._partial = bytearray()  # the beginning of a frame
        self._needed_bytes = 0  # until the frame in _partial can be whole
        self._assembler = Assembler()
        self._unsent = bytearray()
        self._started_us = 0
        self._socket: _socket.socket | None = None
        self._receive: Callable[..., tuple[int, list[tuple[int, int, bytes]], int, Any]]
        self._reader: Any = None
        self._writer: Any = None

    # Public methods

    def open(self, timeout_s: float) -> bool:
        """Connect, say who we are and wait for the first tick frame; return whether it came."""
        self._started_us = now_us()
        try:
            gevent.with_timeout(timeout_s, self._connect, timeout_value=None)
        except OSError as error:
            own = error.errno in _OWN_LIMITS
            self._end(Fate.OWN_LIMIT if own else Fate.REFUSED, reason_of(error))
        if not self._settled.is_set():
            self._end(Fate.TIMED_OUT, "no tick frame in time")
        return self.ticking

    def wait_end(self) -> None:
        """Wait until the connection is over."""
        self._over.wait()

    def send_text(self, text: bytes) -> None:
        """Send a text message; do nothing once the connection is over."""
        self._send(masked_frame(TEXT, text, os.urandom(4)))

    def ping(self) -> None:
        """Ask the server for a pong; the witness is told how long it took."""
        self.send_text(b'["ping",%d]' % now_us())

    def close(self) -> None:
        """Leave: say goodbye and let go of the socket, at the latest :data:`CLOSE_TIMEOUT_S` later."""
        if self._socket is None:
            return
        self._report(Fate.LEFT, "left")
        if self._upgraded:
            self._send(masked_frame(CLOSE, (1000).to_bytes(2, "big"), os.urandom(4)))
            self._over.wait(CLOSE_TIMEOUT_S)
        self._end(Fate.LEFT, "left")

    # Opening and ending

    def _connect(self) -> None:
        """Connect, send the handshake and wait for the first tick frame or the end."""
        family, address = self._address
        self._socket = connection = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        ask_for_stamps(connection)
        self._receive = connection.recvmsg_into
        loop = gevent.get_hub().loop
        self._reader = loop.io(connection.fileno(), READ)
        self._writer = loop.io(connection.fileno(), WRITE)
        result = connection.connect_ex(address)
        if result == errno.EINPROGRESS:
            gevent.get_hub().wait(self._writer)
            result = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if result:
            raise OSError(result, os.strerror(result))
        self._reader.start(self._on_readable)
        self._send(self._handshake.request())
        self._settled.wait()

    def _report(self, fate: Fate, why: str) -> None:
        if not self._reported:
            self._reported = True
            self.ticking = self._plain = False
            self._witness.ended(self.index, now_us(), fate, why)

    def _end(self, fate: Fate, why: str) -> None:
        self._report(fate, why)
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._reader = self._writer = None
        self._over.set()
        self._settled.set()

    def _lose(self, why: str) -> None:
        self._end(Fate.CLOSED_EARLY if self.ticking else Fate.REFUSED, why)

    # Sending

    def _send(self, data: bytes) -> None:
        if self._socket is None:
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
            self._unsent += data[sent:]
            if len(self._unsent) > MAX_UNSENT_BYTES:
                self._lose("the server does not read")
                return
            self._writer.start(self._on_writable)

    def _on_writable(self) -> None:
        self._writer.stop()
        unsent, self._unsent = self._unsent, bytearray()
        self._send(bytes(unsent))

    # Receiving

    def _on_readable(self) -> None:
        try:
            size, ancillary, _, _ = self._receive(_BUFFERS, ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(reason_of(error))
            return
        stamp = stamp_us(ancillary)
        if self._plain:  # then nearly every read is exactly one tick frame, and somebody else's was the same
            read = bytes(_VIEW[: size if size < READ_BYTES else READ_BYTES])  # noqa: FURB136 - min() takes a call
            known = self._reads.get(read) or self._log.learn(read, size)
            if known is not None and known[1] == size:
                self._rows_extend((self.index, known[0], stamp or now_us()))
                if not stamp:
                    self._log.mark_unstamped()
                if self._on_text is not None:
                    frame = self._log.frame(known[0])
                    self._on_text(frame.n, bytes(_VIEW[size - frame.size_bytes : size]))
                return
        if size:
            self._take_all(_VIEW[:size], stamp)
        else:
            self._lose("end of stream without a close frame")

    def _take_all(self, data: memoryview, stamp: int) -> None:
        """Take whatever was read: part of a frame, many, or the answer to the handshake."""
        self._plain = False
        self._partial += data
        if len(self._partial) < self._needed_bytes:
            return
        try:
            if self._upgraded or self._take_answer():
                self._take_frames(stamp)
        except PeerError as error:
            self._lose(str(error))

    def _take_answer(self) -> bool:
        """Take the answer to the handshake; return whether it is whole."""
        start = self._handshake.response_end(self._partial)
        if not start:
            return False
        del self._partial[:start]
        self._upgraded = True
        self.send_text(msgspec.json.encode(["new_player", self._name]))
        return True

    def _take_frames(self, stamp: int) -> None:
        data = memoryview(bytes(self._partial))
        end, size = 0, len(data)
        for frame in frames_in(data):
            end = frame.end
            # Only the last byte of a read has an exact time.
            self._take_frame(frame, stamp, coalesced=end < size)
            if self._socket is None:
                return
        del self._partial[:end]
        self._needed_bytes = frame_bytes(self._partial)
        self._plain = self.ticking and not self._partial and not self._assembler.waiting

    def _take_frame(self, frame: Frame, stamp: int, *, coalesced: bool) -> None:
        if frame.opcode == CLOSE:
            self._take_close(bytes(frame.payload))
        elif frame.opcode == PING:
            self._send(masked_frame(PONG, bytes(frame.payload), os.urandom(4)))
        elif frame.opcode != PONG:
            message = self._assembler.take(frame)
            # Of binary messages the game has none; what comes after our goodbye is not for us.
            if message is not None and message[0] == TEXT and not self._reported:
                self._take_text(message[1], stamp, coalesced=coalesced)

    def _take_close(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
        self._send(masked_frame(CLOSE, payload[:2], os.urandom(4)))
        self._lose(f"close {code}")

    def _take_text(self, text: bytes, stamp: int, *, coalesced: bool) -> None:
        log = self._log
        number = log.parse(text[:HEAD_BYTES], len(text))
        slow = number is None
        if number is None:
            number = self._take_commands(text, stamp)
        if number is not None:
            log.append(self.index, number, stamp or now_us())
            if coalesced:
                log.mark_coalesced()
            if slow:
                log.mark_slow_parse()
            if not stamp:
                log.mark_unstamped()
            self._tick_came(stamp or now_us())
        if self._on_text is not None:
            self._on_text(-1 if number is None else log.frame(number).n, text)

    def _tick_came(self, arrival_us: int) -> None:
        if not self.ticking:
            self.ticking = True
            self._witness.connected(self.index, self._started_us, arrival_us)
            self._settled.set()

    def _take_commands(self, text: bytes, stamp: int) -> int | None:
        """Take a message whose head is not that of a tick frame; if it is one all the same, give it a number."""
        if text.startswith(_WELCOMES):
            return None
        try:
            commands = _decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PeerError("a text that is no array of commands") from error
        match commands[0] if commands else []:
            case ["tick", int(n), int(due_us), int(sent_us)] if max(n, due_us, sent_us) < 10**18:
                return self._log.add(TickFrame(n, due_us, sent_us, len(text)))
            case ["pong", int(sent_us), _]:
                self._witness.ponged((stamp or now_us()) - sent_us)
            case ["error", str(why)]:
                self._witness.told(why)
        return None


def reason_of(error: OSError) -> str:
    """Say in words that can be counted why a system call failed."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
