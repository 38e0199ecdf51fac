"""
Compression of messages: permessage-deflate (RFC 7692), what two ends agree on, and the bytes of a message.

For both ends: :func:`choose` answers a client's offers, :func:`read_answer` reads what a server said. A server that
keeps no context between messages compresses one for all who agreed on the same window.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from shared.wire.frames import CloseCode

EXTENSION = "permessage-deflate"

BROWSER_OFFER = f"{EXTENSION}; client_max_window_bits"
"""What Chromium, Firefox and Safari send."""

MAX_WINDOW_BITS = 15
LEAST_DEFLATED_BITS = 9
"""zlib makes no raw stream with a window of 8 bits; it reads one like any other."""

TAIL = b"\x00\x00\xff\xff"
"""Ends each flush, and is left out of a message (RFC 7692, section 7.2.1)."""

LAST_BLOCK = b"\x01" + TAIL
"""An empty one that ends a stream: behind a message it is read as one only if that was whole."""

LEVEL = 6
MEMORY_LEVEL = 5
"""
zlib's, as measured on a tick of 1,224 bytes and a world of 10.1 kB (Python 3.11, zlib 1.2.13, the best of 3,000 times).

Level 6 makes 340 bytes of the tick in 10 us, level 3 makes 383 in 8 us, level 1 390 in 8 us; the world takes 23, 6 and
6 us. The strategy Z_FIXED saves half a microsecond and costs 80 bytes. With zlib's usual memory level, 8, nothing gets
smaller, but a small window much slower: the world takes 246 us with 9 bits, and 57 us with memory level 5.
"""

QUICK_LEVEL = 3
"""For what one connection alone gets."""

MOST_STREAMS = 16
"""A message may end a stream and go on with another one (section 7.2.3.4); more than so many are there to cost time."""

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME = re.compile(rf"[ \t]*({_WORD})[ \t]*")
_PARAMETER = re.compile(rf';[ \t]*({_WORD})[ \t]*(?:=[ \t]*(?:({_WORD})|"({_WORD})")[ \t]*)?')
_NEXT = re.compile(r"[ \t]*,[ \t,]*")
"""Empty elements of a list mean nothing (RFC 9110, section 5.6.1)."""
_EMPTY = re.compile(r"[ \t,]*")

_NO_CONTEXT = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS = {"server_max_window_bits": range(8, 16), "client_max_window_bits": range(8, 16)}


class InflateError(Exception):
    """A message can't be inflated: close its connection with ``code``."""

    def __init__(self, code: CloseCode, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Parameters:
    """
    The parameters of one offer, or of the answer to one; of a window None where it is not named, which means 15 bits.

    ``client_max_window_bits`` is 0 where it is offered without a value: a server may choose.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None


@dataclass(frozen=True, slots=True)
class Agreement(Parameters):
    """What two ends have agreed on; what it says of a window is what the server answered."""

    @property
    def text(self) -> str:
        """The answer, as in a header."""
        parts = [EXTENSION, *(name for name in _NO_CONTEXT if getattr(self, name))]
        named = ((name, getattr(self, name)) for name in _WINDOWS)
        return "; ".join([*parts, *(f"{name}={bits}" for name, bits in named if bits is not None)])

    @property
    def server_window_bits(self) -> int:
        """Of what the server sends."""
        return self.server_max_window_bits or MAX_WINDOW_BITS

    @property
    def client_window_bits(self) -> int:
        """Of what the client sends."""
        return self.client_max_window_bits or MAX_WINDOW_BITS

    def client_inflater(self, max_bytes: int) -> "Inflater":
        """Return what a client reads its server's messages with."""
        return Inflater(self.server_window_bits, max_bytes, takes_over=not self.server_no_context_takeover)

    def server_inflater(self, max_bytes: int) -> "Inflater":
        """Return what a server reads this client's messages with."""
        return Inflater(self.client_window_bits, max_bytes, takes_over=not self.client_no_context_takeover)

    def client_deflater(self) -> "Deflater":
        """Return what a client writes with; ValueError where the server asked for a window of 8 bits."""
        return Deflater(self.client_window_bits, takes_over=not self.client_no_context_takeover)

    def server_deflater(self) -> "Deflater":
        """Return what a server writes to this client with."""
        return Deflater(self.server_window_bits, takes_over=not self.server_no_context_takeover)


def choose(offers: str, *, takes_over: bool = False) -> Agreement | None:
    """
    Return what a server answers to a client's ``Sec-WebSocket-Extensions``; None: nothing, no extension is used.

    It takes the first offer that it can. Unless it ``takes_over`` contexts, no end keeps any, whatever was offered: a
    server may ask for both (sections 7.1.1.1 and 7.1.1.2). A header that can't be parsed offers nothing.
    """
    try:
        extensions = list(parse_extensions(offers))
    except ValueError:
        return None
    for name, parameters in extensions:
        try:
            offer = _read(name, parameters, is_offer=True)
        except ValueError:
            continue
        if offer.server_max_window_bits == LEAST_DEFLATED_BITS - 1:
            continue
        return Agreement(
            server_no_context_takeover=offer.server_no_context_takeover or not takes_over,
            client_no_context_takeover=offer.client_no_context_takeover or not takes_over,
            server_max_window_bits=offer.server_max_window_bits,
            client_max_window_bits=(offer.client_max_window_bits or None) if takes_over else None,
        )
    return None


def read_answer(answer: str, offers: str) -> Agreement | None:
    """
    Return what a server agreed on with a client that offered ``offers``; None where it used no extension.

    Raises:
        ValueError: it answered what nobody offered; the client must fail the connection.

    """
    answered = list(parse_extensions(answer)) if answer else []
    if not answered:
        return None
    if len(answered) > 1:
        raise ValueError(f"the server agreed to more than one extension: {answer}")
    read = _read(*answered[0], is_offer=False)
    offered = [_read(name, parameters, is_offer=True) for name, parameters in parse_extensions(offers)]
    if not any(_fits(read, offer) for offer in offered):
        raise ValueError(f"the server agreed to what was not offered: {answer}")
    return Agreement(
        read.server_no_context_takeover,
        read.client_no_context_takeover,
        read.server_max_window_bits,
        read.client_max_window_bits,
    )


def parse_extensions(header: str) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """
    Yield each extension of a header, with its parameters: RFC 6455, section 9.1.

    Raises:
        ValueError: that is no list of extensions.

    """
    at, end = _EMPTY.match(header).end(), len(header.rstrip(" \t,"))  # type: ignore[union-attr] # it always matches
    while at < end:
        name = _NAME.match(header, at)
        if not name:
            raise ValueError(f"{header!r} is no list of extensions")
        at, parameters = name.end(), list[tuple[str, str | None]]()
        while parameter := _PARAMETER.match(header, at):
            parameters.append((parameter[1], parameter[2] or parameter[3]))
            at = parameter.end()
        yield name[1], parameters
        if at < end:
            following = _NEXT.match(header, at)
            if not following or following.end() >= end:
                raise ValueError(f"{header!r} is no list of extensions")
            at = following.end()


class Inflater:
    """
    Inflates the messages that one end sends to the other, each up to ``max_bytes``.

    One that does not take over holds nothing between two messages, and sees whether one was cut off within a block; one
    that does can read both kinds.
    """

    __slots__ = ("_context", "_max_bytes", "_takes_over", "_wbits")

    def __init__(self, window_bits: int, max_bytes: int, *, takes_over: bool) -> None:
        self._wbits = -max(window_bits, LEAST_DEFLATED_BITS)  # older libraries use 9 bits where they agreed on 8
        self._max_bytes = max_bytes
        self._takes_over = takes_over
        self._context = None if not takes_over else zlib.decompressobj(self._wbits)

    def inflate(self, payload: bytes | bytearray) -> bytes:
        """
        Return a message, of whose frames ``payload`` is what they carried.

        Raises:
            InflateError: it is corrupt, or too long; then all that was inflated of it is dropped.

        """
        context, end = (self._context, TAIL) if self._context else (zlib.decompressobj(self._wbits), TAIL + LAST_BLOCK)
        try:
            message = self._inflate(context, bytes(payload) + end)
        except zlib.error:
            raise InflateError(CloseCode.INVALID_TEXT, "a message can't be inflated") from None
        if len(message) > self._max_bytes:
            raise InflateError(CloseCode.MESSAGE_TOO_BIG, f"a message inflates to more than {self._max_bytes} bytes")
        return message

    def _inflate(self, context: "zlib._Decompress", data: bytes) -> bytes:
        most = self._max_bytes + 1
        message = context.decompress(data, most)
        for _ in range(MOST_STREAMS):
            if len(message) >= most or (self._takes_over and not context.eof):
                return message
            if not context.eof:
                raise zlib.error("the message ends within a block")
            data, dictionary = context.unused_data, message[-(1 << MAX_WINDOW_BITS) :]
            if not data:
                return message
            # A sender that ends a stream, as it may, has nothing to take over in the next one but this message.
            context = zlib.decompressobj(self._wbits, dictionary) if dictionary else zlib.decompressobj(self._wbits)
            if self._takes_over:
                self._context = context
            message += context.decompress(data, most - len(message))
        raise zlib.error("too many streams")


class Deflater:
    """
    Compresses messages; with a ``level`` of zlib's.

    One that does not take over can compress for any number of connections, one after the other.

    Raises:
        ValueError: zlib has no such window.

    """

    __slots__ = ("_compress", "_flush", "_how")

    def __init__(self, window_bits: int, *, takes_over: bool, level: int = LEVEL) -> None:
        if not LEAST_DEFLATED_BITS <= window_bits <= MAX_WINDOW_BITS:
            raise ValueError(f"zlib makes no raw stream with a window of {window_bits} bits")
        stream = zlib.compressobj(level, zlib.DEFLATED, -window_bits, MEMORY_LEVEL)
        self._compress, self._flush = stream.compress, stream.flush
        # A full flush writes what a sync flush does, and forgets the window: no message refers to one before it.
        # To make a new stream for each takes a microsecond more.
        self._how = zlib.Z_SYNC_FLUSH if takes_over else zlib.Z_FULL_FLUSH

    def deflate(self, message: bytes | memoryview) -> bytes:
        """Return what the frames of a message carry."""
        return (self._compress(message) + self._flush(self._how))[: -len(TAIL)]

    def part(self, message: bytes | memoryview) -> bytes:
        """Return a part of a message: such parts, and at last one that :meth:`deflate` returned, make one."""
        return self._compress(message) + self._flush(self._how)


# Private functions


def _read(name: str, parameters: list[tuple[str, str | None]], *, is_offer: bool) -> Parameters:
    """Return the parameters of an extension; ValueError if they, or the extension, are none that RFC 7692 knows."""
    if name != EXTENSION:
        raise ValueError(f"the extension {name} is not known")
    values: dict[str, int | bool] = {}
    for key, text in parameters:
        if key in values:
            raise ValueError(f"{EXTENSION} has {key} twice")
        if key in _NO_CONTEXT and text is None:
            values[key] = True
        elif key in _WINDOWS and text is not None and text in map(str, _WINDOWS[key]):
            values[key] = int(text)
        elif key == "client_max_window_bits" and text is None and is_offer:
            values[key] = 0
        else:
            raise ValueError(f"{EXTENSION} has no {key if text is None else f'{key}={text}'}")
    return Parameters(**values)  # type: ignore[arg-type] # by name


def _fits(answer: Parameters, offer: Parameters) -> bool:
    """Whether a server may give this answer to an offer (section 7.1)."""
    if offer.server_no_context_takeover and not answer.server_no_context_takeover:
        return False
    if offer.server_max_window_bits is not None and (
        answer.server_max_window_bits is None or answer.server_max_window_bits > offer.server_max_window_bits
    ):
        return False
    if answer.client_max_window_bits is None:
        return True
    if offer.client_max_window_bits is None:
        return False
    return answer.client_max_window_bits <= (offer.client_max_window_bits or MAX_WINDOW_BITS)
