"""
What the hub calls when there is something to read: once a frame, so each does as little as can be done.

Everything that they need is an argument or shared by all: with thousands of connections each object that is looked into
is a cache miss, and these, not the instructions, are what a frame costs beside the system call.
"""

import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

from loadtests.receive.arrivals import COMPRESSED_TEXT, Latest
from loadtests.receive.stamps import ANCILLARY_BYTES, stamp_of
from shared.wire.deflate import InflateError
from shared.wire.tls import HEAD_BYTES, ClientTls, RecordBounds

Inflate = Callable[[memoryview], bytes]
"""Inflates the payload of a message; raises :class:`InflateError`."""
Receive = Callable[..., tuple[int, list[tuple[int, int, bytes]], int, Any]]
"""``recvmsg_into`` of a socket."""

# The callbacks of the hub run one after the other, so all connections read into the same buffer.
_BUFFER: Final = bytearray(256 * 1024)
_VIEW: Final = memoryview(_BUFFER)
_BUFFERS: Final = [_BUFFER]
_begins_with: Final = _BUFFER.startswith

# What is decrypted of one read: that, and the record that it completes.
TEXT: Final = bytearray(len(_BUFFER) + 64 * 1024)
TEXT_VIEW: Final = memoryview(TEXT)
_text_begins_with: Final = TEXT.startswith


class Taker(Protocol):
    """The connection that something was read for."""

    index: int

    def take_read(self, data: memoryview, stamp: bytes, *, cut_off: bool = False) -> None:
        """Take what was read, none at the end; ``cut_off``: behind it was what can't be understood yet."""

    def take_text(self, text: bytes, stamp: bytes, wire_bytes: int, *, coalesced: bool = False) -> None:
        """Take a whole text message, which took so many bytes on the wire."""

    def take_fault(self, error: Exception, stamp: bytes) -> None:
        """End: the server broke the protocol."""

    def take_encrypted(self, stamp: bytes, *, is_over: bool) -> None:
        """Take what its TLS was fed with; ``is_over``: it was the last."""

    def take_failure(self, error: OSError) -> None:
        """End: reading failed."""


def on_readable(receive: Receive, taker: Taker) -> None:
    """Read whatever there is; :func:`on_plain_readable` is the faster way where a tick frame is expected."""
    try:
        size, ancillary, _, _ = receive(_BUFFERS, ANCILLARY_BYTES)
    except BlockingIOError:
        return
    except OSError as error:
        taker.take_failure(error)
        return
    taker.take_read(_VIEW[:size], stamp_of(ancillary))


def on_plain_readable(receive: Receive, latest: Latest, index: int, taker: Taker) -> None:
    """Read what nearly always is one tick frame, with the same bytes as another connection of the room got."""
    try:
        size, ancillary, _, _ = receive(_BUFFERS, ANCILLARY_BYTES)
    except BlockingIOError:
        return
    except OSError as error:
        taker.take_failure(error)
        return
    if size == latest.size and ancillary and _begins_with(latest.read):
        latest.take_row((index, latest.number, size))
        latest.take_stamp(ancillary[0][2])
    else:
        taker.take_read(_VIEW[:size], stamp_of(ancillary))


def on_compressed_readable(receive: Receive, inflate: Inflate, latest: Latest, taker: Taker) -> None:
    """Read what nearly always is one tick frame, compressed in a context that this connection alone has."""
    try:
        size, ancillary, _, _ = receive(_BUFFERS, ANCILLARY_BYTES)
    except BlockingIOError:
        return
    except OSError as error:
        taker.take_failure(error)
        return
    _take_compressed(_VIEW[:size], inflate, latest, taker, ancillary)


def on_encrypted_readable(receive: Receive, tls: ClientTls, taker: Taker) -> None:
    """Read and decrypt whatever there is."""
    try:
        size, ancillary, _, _ = receive(_BUFFERS, ANCILLARY_BYTES)
    except BlockingIOError:
        return
    except OSError as error:
        taker.take_failure(error)
        return
    data = _VIEW[:size]
    tls.bounds.take(data)
    tls.feed(data)
    taker.take_encrypted(stamp_of(ancillary), is_over=not size)


def on_encrypted_plain_readable(
    receive: Receive, tls: ClientTls, bounds: RecordBounds, inflate: Inflate | None, latest: Latest, taker: Taker
) -> None:
    """Read what nearly always is one record, that is one tick frame, as one of the two above does."""
    try:
        size, ancillary, _, _ = receive(_BUFFERS, ANCILLARY_BYTES)
    except BlockingIOError:
        return
    except OSError as error:
        taker.take_failure(error)
        return
    data = _VIEW[:size]
    tls.feed(data)
    if bounds.left_bytes or size != HEAD_BYTES + (_BUFFER[3] << 8) + _BUFFER[4]:
        bounds.take(data)
        taker.take_encrypted(stamp_of(ancillary), is_over=not size)
        return
    try:
        size = tls.read(len(TEXT), TEXT)
    except ssl.SSLError:  # no text, but something of TLS itself: it says the same again
        taker.take_encrypted(stamp_of(ancillary), is_over=False)
        return
    if inflate is not None:
        _take_compressed(TEXT_VIEW[:size], inflate, latest, taker, ancillary)
    elif size == latest.size and ancillary and _text_begins_with(latest.read):
        latest.take_row((taker.index, latest.number, size))
        latest.take_stamp(ancillary[0][2])
    else:
        taker.take_read(TEXT_VIEW[:size], stamp_of(ancillary))


def _take_compressed(
    data: memoryview, inflate: Inflate, latest: Latest, taker: Taker, ancillary: list[tuple[int, int, bytes]]
) -> None:
    """Take what nearly always is one compressed tick frame, whose text another connection of the room got, too."""
    size = len(data)
    if size > 2 and data[0] == COMPRESSED_TEXT:
        length = data[1]
        start = 2 if length < 126 else 4
        if length == 126:
            length = (data[2] << 8) + data[3]
        if size == start + length:
            try:
                text = inflate(data[start:])
            except InflateError as error:
                taker.take_fault(error, stamp_of(ancillary))
                return
            if len(text) == latest.size and text == latest.read and ancillary:
                latest.take_row((taker.index, latest.number, size))
                latest.take_stamp(ancillary[0][2])
            else:
                taker.take_text(text, stamp_of(ancillary), size)
            return
    taker.take_read(data, stamp_of(ancillary))
