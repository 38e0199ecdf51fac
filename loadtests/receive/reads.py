"""
What the hub calls when there is something to read: once a frame, so each does as little as can be done.

Everything that they need is an argument or shared by all: with thousands of connections each object that is looked into
is a cache miss, and these, not the instructions, are what a frame costs beside the system call.
"""

import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

from loadtests.receive.arrivals import Latest
from loadtests.receive.stamps import ANCILLARY_BYTES, stamp_of
from shared.wire.tls import HEAD_BYTES, ClientTls, RecordBounds

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
        latest.take_row((index, latest.number))
        latest.take_stamp(ancillary[0][2])
    else:
        taker.take_read(_VIEW[:size], stamp_of(ancillary))


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
    receive: Receive, tls: ClientTls, bounds: RecordBounds, latest: Latest, taker: Taker
) -> None:
    """Read what nearly always is one record, that is one tick frame, as :func:`on_plain_readable` does."""
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
    if size == latest.size and ancillary and _text_begins_with(latest.read):
        latest.take_row((taker.index, latest.number))
        latest.take_stamp(ancillary[0][2])
    else:
        taker.take_read(TEXT_VIEW[:size], stamp_of(ancillary))
