"""The client's side of RFC 6455 on bytes: the opening handshake, masked frames out, frames in."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from loadtests.receive.arrivals import MAX_MESSAGE_BYTES
from shared.printable import plain
from shared.wire.deflate import Agreement, read_answer
from shared.wire.target import Target

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

MAX_RESPONSE_HEAD_BYTES: Final = 16 * 1024

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 4.2.2."""


class PeerError(Exception):
    """The server broke the protocol; its text says how, in words that can be counted."""


class ReceivedFrame(NamedTuple):
    """One frame; ``payload`` is a view on the bytes it was read from."""

    final: bool
    opcode: int
    payload: memoryview
    end: int
    """Where the frame ends in the bytes it was read from."""
    size_bytes: int = 0
    """Of the whole frame."""
    compressed: bool = False
    """Whether it begins a message that is (RFC 7692, section 6)."""


class Message(NamedTuple):
    """A whole message, as it came."""

    opcode: int
    payload: bytes
    compressed: bool
    wire_bytes: int
    """Of all its frames."""


@dataclass(frozen=True, slots=True)
class ClientHandshake:
    """One opening handshake; ``nonce`` is 16 random bytes, ``offers`` the extensions that are offered."""

    target: Target
    nonce: bytes
    offers: str = ""

    def request(self) -> bytes:
        """Return what to send."""
        return self.target.request(
            self.target.resource,
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self._key()}",
            "Sec-WebSocket-Version: 13",
            *([f"Sec-WebSocket-Extensions: {self.offers}"] if self.offers else []),
        )

    def response_end(self, received: bytes | bytearray) -> int:
        """
        Return where the first frame begins in what the server sent, 0 while the response is not whole.

        Raises:
            PeerError: it is another status than 101, or no answer to this request.

        """
        end = received.find(b"\r\n\r\n")
        if received[:5] != b"HTTP/"[: len(received)]:
            raise PeerError("the answer to the handshake is not HTTP")
        if end < 0:
            if len(received) > MAX_RESPONSE_HEAD_BYTES:
                raise PeerError("the head of the answer to the handshake does not end")
            return 0
        self._check(bytes(received[:end]))
        return end + 4

    def agreement(self, head: bytes | bytearray) -> Agreement | None:
        """
        Return what a server that sent this head of an answer agreed on; None where it used no extension.

        Raises:
            PeerError: it used what was not offered.

        """
        answers = [value for name, value in _headers(bytes(head)) if name == "sec-websocket-extensions"]
        try:
            return read_answer(", ".join(answers), self.offers)
        except ValueError as error:
            raise PeerError(plain(str(error))) from error

    def _key(self) -> str:
        return base64.b64encode(self.nonce).decode("ascii")

    def _check(self, head: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) < 2 or not re.fullmatch(r"[1-9][0-9]{2}", words[1]):
            raise PeerError("the answer to the handshake has no HTTP status")
        if words[1] != "101":
            raise PeerError(f"HTTP status {words[1]}")
        digest = hashlib.sha1(self._key().encode("ascii") + _GUID).digest()  # noqa: S324 - RFC 6455 asks for it
        if dict(_headers(head)).get("sec-websocket-accept") != base64.b64encode(digest).decode("ascii"):
            raise PeerError("the answer to the handshake has a wrong Sec-WebSocket-Accept")
        self.agreement(head)


class Assembler:
    """Puts fragmented messages together (RFC 6455, 5.4)."""

    def __init__(self) -> None:
        self._opcode = 0
        self._compressed = False
        self._wire_bytes = 0
        self._fragments: bytearray | None = None

    @property
    def waiting(self) -> bool:
        """Whether the rest of a message is still to come."""
        return self._fragments is not None

    def take(self, frame: ReceivedFrame) -> Message | None:
        """
        Take a data frame; return the message that it completes, None where it does not.

        Raises:
            PeerError: it continues nothing, begins a message inside another or makes one of over 16 MiB.

        """
        if frame.opcode != CONTINUATION:
            if self._fragments is not None:
                raise PeerError("a message inside another")
            if frame.final:
                return Message(frame.opcode, bytes(frame.payload), frame.compressed, frame.size_bytes)
            self._opcode, self._compressed = frame.opcode, frame.compressed
            self._wire_bytes, self._fragments = 0, bytearray()
        if self._fragments is None:
            raise PeerError("a continuation of nothing")
        if len(self._fragments) + len(frame.payload) > MAX_MESSAGE_BYTES:
            raise PeerError("a message of more than 16 MiB")
        self._fragments += frame.payload
        self._wire_bytes += frame.size_bytes
        if not frame.final:
            return None
        message, self._fragments = bytes(self._fragments), None
        return Message(self._opcode, message, self._compressed, self._wire_bytes)


def masked_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """Return one final frame from client to server; ``mask`` is 4 random bytes (RFC 6455, 5.3)."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    repeated = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + masked.to_bytes(size, "big")


def frames_in(data: memoryview, *, may_deflate: bool = False) -> Iterator[ReceivedFrame]:
    """
    Yield the whole frames at the beginning of ``data``; what is behind the last one is the beginning of another.

    Messages may be compressed where that was agreed on.

    Raises:
        PeerError: a head that no server may send.

    """
    start, size = 0, len(data)
    first_bytes = _FIRST_BYTES_DEFLATED if may_deflate else _FIRST_BYTES
    while size - start >= 2:
        first, second = data[start], data[start + 1]
        if first not in first_bytes or second > 127 or (second > 125 and first & 0x08):
            raise PeerError(_fault(first, second))
        head, length = start + 2, second
        if second > 125:
            head += 2 if second == 126 else 8
            if head > size:
                return
            length = int.from_bytes(data[start + 2 : head], "big")
            if length > MAX_MESSAGE_BYTES:
                raise PeerError("a frame of more than 16 MiB")
        end = head + length
        if end > size:
            return
        yield ReceivedFrame(first >= 0x80, first & 0x0F, data[head:end], end, end - start, first & 0x40 > 0)
        start = end


_FIRST_BYTES: Final = frozenset((0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A))
"""What a server may begin a frame with where no extension was agreed on (RFC 6455, 5.2)."""
_FIRST_BYTES_DEFLATED: Final = _FIRST_BYTES | {0x41, 0x42, 0xC1, 0xC2}
"""And where permessage-deflate was: a first frame may say that its message is compressed (RFC 7692, section 6)."""


def frame_bytes(data: bytes | bytearray) -> int:
    """Return how many bytes the frame at the beginning of ``data`` takes, or that are needed to know it."""
    if len(data) < 2:
        return 2
    length = data[1]
    if length < 126:
        return 2 + length
    head = 4 if length == 126 else 10
    return head if len(data) < head else head + int.from_bytes(data[2:head], "big")


def _headers(head: bytes) -> Iterator[tuple[str, str]]:
    """Yield the headers of an answer, names in lower case."""
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        yield name.strip().lower(), value.strip()


def _fault(first: int, second: int) -> str:
    """Say in words what RFC 6455, 5.1 to 5.5, forbids about the first two bytes of a frame."""
    if first & 0x70:
        return "a frame with reserved bits"
    if first & 0x0F not in {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}:
        return "a frame with a reserved opcode"
    if second > 127:
        return "a masked frame"
    return "a control frame that is fragmented or over 125 bytes"
