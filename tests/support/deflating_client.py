"""
A WebSocket client that takes permessage-deflate (RFC 7692) to any agreement, and holds the server to it.

It compresses and inflates by zlib itself and shares no code with the servers. What comes is inflated with no more of a
window than was agreed on, and with what came before only where the server may refer to that: what goes beyond an
agreement does not come apart here. What goes out is compressed as the agreement has it, or however a test likes.
"""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.support.client import (
    BINARY,
    CONTINUATION,
    TEXT,
    Client,
    Frame,
    Response,
    check_switch,
    client_frame,
    pop_frame,
    request_bytes,
    upgrade_headers,
)
from tests.support.player import Player
from tests.support.server import RunningServer

NAME = "permessage-deflate"
AS_BROWSERS = f"{NAME}; client_max_window_bits"
"""What every browser offers."""

RSV1 = 4
"""Of a frame, as :func:`client_frame` takes reserved bits."""
MARK = RSV1 << 4
"""Of its first byte."""

TAIL = b"\x00\x00\xff\xff"
"""What a message is sent without (RFC 7692, section 7.2.1)."""
LAST_BLOCK = b"\x01" + TAIL
"""An empty block that says that it is the last: it is read as one only where a block has just ended."""
EMPTY_BLOCK = b"\x00"
"""A message of nothing, and what follows a last block in one (sections 7.2.3.4 and 7.2.3.6)."""

MOST_STORED = 65535
STEP_BYTES, PART_BYTES = 32, 1024
MOST_BITS, LEAST_ZLIB_BITS = 15, 9

Parameters = dict[str, str | None]

_BITS = re.compile("[89]|1[0-5]")
_PARAMETER = re.compile(r'([a-z_]+)(?:="?([0-9]+)"?)?')
FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
WINDOWS = ("server_max_window_bits", "client_max_window_bits")


class Agreement(NamedTuple):
    """What both ends keep to."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = MOST_BITS
    client_max_window_bits: int = MOST_BITS


def parsed(text: str) -> Parameters | None:
    """Return the parameters of one offer or answer; None if it is none that RFC 7692, section 7.1, knows."""
    name, *words = (word.strip() for word in text.split(";"))
    if name != NAME:
        return None
    parameters: Parameters = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1] in parameters:
            return None
        parameters[match[1]] = match[2]
    return parameters if all(_is_known(*parameter) for parameter in parameters.items()) else None


def _is_known(name: str, value: str | None) -> bool:
    if name in FLAGS:
        return value is None
    return name in WINDOWS and (value is None or _BITS.fullmatch(value) is not None)


def answers(answer: Parameters, offer: Parameters | None) -> bool:
    """Say whether a server may answer an offer so (sections 7.1.1 and 7.1.2)."""
    if offer is None:
        return False
    for name in WINDOWS:
        value, most = answer.get(name), offer.get(name)
        if name in answer and (value is None or int(value) > int(most or MOST_BITS)):
            return False
    if "server_max_window_bits" in offer and offer["server_max_window_bits"] is None:
        return False  # only the client's needs no value
    must = {name for name in ("server_no_context_takeover", "server_max_window_bits") if name in offer}
    may = "client_max_window_bits" in offer or "client_max_window_bits" not in answer
    return must <= answer.keys() and may


def agreed(answered: str | None, offers: Sequence[str]) -> Agreement | None:
    """Return what a server's answer agrees to, which one of the ``offers`` must allow."""
    if answered is None:
        return None
    parameters = parsed(answered)
    assert parameters is not None, f"not a permessage-deflate: {answered}"
    each = [parsed(offer) for line in offers for offer in line.split(",")]
    assert any(answers(parameters, offer) for offer in each), f"{answered}: nobody offered that, but {offers}"
    flags = [name in parameters for name in FLAGS]
    windows = [int(parameters.get(name) or MOST_BITS) for name in WINDOWS]
    return Agreement(flags[0], flags[1], windows[0], windows[1])


class Packer:
    """Compresses one message after the other, as the sender of an agreement may."""

    def __init__(self, bits: int = MOST_BITS, *, takes_over: bool = True, level: int = 6) -> None:
        self._bits = bits
        self._takes_over = takes_over
        self._level = level
        self._deflate = self._fresh()

    def pack(self, data: bytes, *, level: int | None = None) -> bytes:
        """Return a message as it is usually compressed: what is flushed, without its tail."""
        if level is not None:
            self._level = level
        if level is not None:
            self._deflate = self._fresh()
        packed = self._begin().compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        assert packed.endswith(TAIL)
        return packed.removesuffix(TAIL)

    def pack_in_blocks(self, *parts: bytes) -> bytes:
        """Return a message whose parts are blocks of their own, with an empty one behind each (section 7.2.3.5)."""
        first, *others = parts
        blocks = [self.pack(first) + TAIL]
        blocks += (self._deflate.compress(part) + self._deflate.flush(zlib.Z_SYNC_FLUSH) for part in others)
        return b"".join(blocks).removesuffix(TAIL)

    def pack_with_an_end(self, data: bytes) -> bytes:
        """Return a message that ends with a block that says that it is the last (section 7.2.3.4)."""
        packed = self._begin().compress(data) + self._deflate.flush(zlib.Z_FINISH) + EMPTY_BLOCK
        self._deflate = self._fresh()
        return packed

    def store(self, data: bytes) -> bytes:
        """Return a message in blocks that are not compressed (section 7.2.3.3)."""
        blocks = b""
        for first in range(0, len(data), MOST_STORED):
            block = data[first : first + MOST_STORED]
            length = len(block)
            blocks += b"\x00" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + block
        self._deflate = self._fresh()  # it does not know of them
        return blocks + EMPTY_BLOCK

    def _begin(self) -> "zlib._Compress":
        if not self._takes_over:
            self._deflate = self._fresh()
        return self._deflate

    def _fresh(self) -> "zlib._Compress":
        # zlib has no window of 256 bytes; what refers to nothing needs none.
        strategy = zlib.Z_HUFFMAN_ONLY if self._bits < LEAST_ZLIB_BITS else zlib.Z_DEFAULT_STRATEGY
        return zlib.compressobj(self._level, zlib.DEFLATED, -max(self._bits, LEAST_ZLIB_BITS), 8, strategy)


class Unpacker:
    """Inflates one message after the other, each of which must end as it has to."""

    def __init__(self, bits: int = MOST_BITS, *, takes_over: bool = True) -> None:
        self._bits = bits
        self._takes_over = takes_over
        self._inflate = self._fresh()

    def unpack(self, packed: bytes) -> bytes:
        """Return a message; zlib.error where it refers to what it must not."""
        if not self._takes_over:
            self._inflate = self._fresh()
        data, rest, parts = bytearray(), b"", _parts(packed + TAIL)
        while rest := rest or next(parts, b""):
            # Within what it returns at once zlib takes references that are too long for the window.
            data += self._inflate.decompress(rest, 0 if self._bits == MOST_BITS else STEP_BYTES)
            rest = self._inflate.unconsumed_tail
            if self._inflate.eof:  # a last block is the last before the next one
                rest, self._inflate = self._inflate.unused_data, self._fresh()
        end = self._inflate.copy()
        assert end.decompress(LAST_BLOCK) == b""
        assert end.eof, "a message that does not end with a block"
        return bytes(data)

    def _fresh(self) -> "zlib._Decompress":
        return zlib.decompressobj(-self._bits)


def _parts(data: bytes) -> Iterator[bytes]:
    """Yield it part by part: what is left of one is copied at each step."""
    for first in range(0, len(data), PART_BYTES):
        yield data[first : first + PART_BYTES]


def in_pieces(opcode: int, payload: bytes, piece_bytes: int, reserved: int = RSV1) -> bytes:
    """Return a message in fragments, of which the first alone has the ``reserved`` bits."""
    pieces = [payload[first : first + piece_bytes] for first in range(0, len(payload), piece_bytes)] or [b""]
    frames = [
        client_frame(
            CONTINUATION if number else opcode,
            piece,
            fin=number == len(pieces) - 1,
            reserved=0 if number else reserved,
        )
        for number, piece in enumerate(pieces)
    ]
    return b"".join(frames)


class DeflatingClient(Client):
    """One WebSocket, which may have agreed on deflate; ``packer`` compresses as it was agreed on."""

    agreement: Agreement | None = None
    packer: Packer
    was_packed = False
    """Whether the frame that came last was compressed."""
    wire_bytes = 0
    """Of its payload, as it came."""

    def offer(self, target: str, offers: Sequence[str], headers: Mapping[str, str | None]) -> Response:
        """Ask for the upgrade, with a header line for each string of ``offers``; return the answer, a 101 checked."""
        asked = upgrade_headers(headers)
        lines = "".join(f"Sec-WebSocket-Extensions: {line}\r\n" for line in offers)
        head = request_bytes("GET", target, asked).removesuffix(b"\r\n")
        self.send_raw(head + lines.encode("latin-1") + b"\r\n")
        answer = self.read_response()
        if answer.status == 101:
            check_switch(answer, asked["Sec-WebSocket-Key"])
            self.agreement = agreed(answer.headers.get("sec-websocket-extensions"), offers)
            mine = self.agreement or Agreement()
            self.packer = Packer(mine.client_max_window_bits, takes_over=not mine.client_no_context_takeover)
            self._unpacker = Unpacker(mine.server_max_window_bits, takes_over=not mine.server_no_context_takeover)
        return answer

    # What is sent

    def send_packed(self, opcode: int, packed: bytes, piece_bytes: int = 0) -> None:
        """Send a message that is compressed already, in pieces of so many bytes or in one."""
        self.send_raw(in_pieces(opcode, packed, piece_bytes or max(1, len(packed))))

    def send_message(self, opcode: int, data: bytes, piece_bytes: int = 0) -> None:
        """Send a message, compressed if that was agreed on."""
        if self.agreement:
            self.send_packed(opcode, self.packer.pack(data), piece_bytes)
        else:
            self.send_raw(in_pieces(opcode, data, piece_bytes or max(1, len(data)), reserved=0))

    def send_text(self, text: str) -> None:
        self.send_message(TEXT, text.encode())

    # What comes

    def receive_frame(self) -> Frame:
        """Return the next frame, inflated; it is compressed only where that was agreed on."""
        while (frame := pop_frame(self._buffer, marks := self._marks())) is None:
            self._fill()
        self.was_packed, self.wire_bytes = bool(marks), len(frame.payload)
        return frame._replace(payload=self._unpacker.unpack(frame.payload)) if marks else frame

    def _marks(self) -> int:
        first = self._buffer[0] if self._buffer else 0
        is_packed = first & (MARK | 0x0F) in (MARK | TEXT, MARK | BINARY)
        return MARK if self.agreement and is_packed else 0


class DeflatingPlayer(DeflatingClient, Player):
    """One who is in a room, or is about to enter one."""


def open_echo(server: RunningServer, *offers: str) -> DeflatingClient:
    """Return a WebSocket of ``/echo`` for which so much was offered."""
    client = DeflatingClient(server.dial())
    assert client.offer("/echo", offers, {"Host": "{}:{}".format(*server.address)}).status == 101
    return client


def open_room(
    server: RunningServer, room: str, *offers: str, receive_buffer_bytes: int | None = None
) -> DeflatingPlayer:
    """Return a WebSocket of a room, in which nothing was said yet."""
    player = DeflatingPlayer(server.dial(receive_buffer_bytes))
    assert player.offer(f"/connect?room={room}", offers, {"Host": "{}:{}".format(*server.address)}).status == 101
    return player
