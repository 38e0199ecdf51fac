"""
Parses clients' WebSocket frames (RFC 6455) into messages, or checks them before a library parses them.

For stacks whose library does not bound what a peer may send.
"""

from dataclasses import dataclass

from shared.wire.deflate import InflateError, Inflater
from shared.wire.errors import ProtocolError
from shared.wire.frames import (
    COMPRESSED,
    MAX_CONTROL_PAYLOAD,
    OPCODES,
    CloseCode,
    Opcode,
    echoed_close_code,
    server_frame,
)

Message = tuple[Opcode, str | bytes | int]
"""TEXT with its text, BINARY, PING and PONG with their bytes, CLOSE with its code (0: it had none)."""

MIN_FRAGMENTS = 64
BYTES_A_FRAGMENT = 16
"""More than 64 fragments, and more than one for each 16 bytes that a message may have, are a flood of empty ones."""

FRAMES_A_CALL = 32
"""Frames parsed in one call, after which the caller can let others run: one read may hold thousands."""

SHORT_HEADER = 6
"""Bytes of the header of a frame with at most ``MAX_SHORT`` more: two and the mask."""

MAX_SHORT = 125
MASKED = 0x80
WHOLE = {0x80 | opcode: opcode for opcode in (Opcode.TEXT, Opcode.BINARY)}
"""The opcode by the first byte of a message that is one frame, and not compressed."""


@dataclass(slots=True)
class _Header:
    fin: bool
    opcode: int
    length: int
    size: int  # of the header itself, with the mask
    is_compressed: bool


class _Frames:
    """The frames of one connection, judged by their headers as soon as these are there."""

    __slots__ = (
        "_buffer",
        "_first_bits",
        "_fragments",
        "_inflater",
        "_is_compressed",
        "_max_fragments",
        "_message",
        "_message_bytes",
        "_opcode",
        "max_message_bytes",
        "needs_bytes",
    )

    def __init__(self, max_message_bytes: int, inflater: Inflater | None = None, *, deflate: bool = False) -> None:
        self.max_message_bytes = max_message_bytes
        self._inflater = inflater
        may_compress = deflate or inflater is not None
        self._first_bits = 0x70 & ~COMPRESSED if may_compress else 0x70  # that a message's first frame must not have
        self.needs_bytes = True  # nothing can be taken before more of them come
        self._buffer = bytearray()
        self._opcode: Opcode | None = None  # of the message that has begun and not ended
        self._is_compressed = False  # that message
        self._message = bytearray()  # what its frames carried so far, where we put it together
        self._message_bytes = 0  # of that message, so far
        self._fragments = 0  # of that message, so far
        self._max_fragments = max(MIN_FRAGMENTS, max_message_bytes // BYTES_A_FRAGMENT)

    def feed(self, data: bytes | bytearray) -> None:
        """Take bytes as they came."""
        self._buffer += data
        self.needs_bytes = False

    def _short_message_end(self) -> int:
        """Return the end of a short message of one frame that comes first, as one nearly always does, else 0."""
        buffer = self._buffer
        if len(buffer) < SHORT_HEADER or buffer[0] not in WHOLE or self._opcode is not None:
            return 0
        length = buffer[1] - MASKED
        if not 0 <= length <= MAX_SHORT or length > self.max_message_bytes:
            return 0
        end = SHORT_HEADER + length
        return end if end <= len(buffer) else 0

    def _header(self, at: int) -> _Header | None:
        """Parse and check the header that begins at ``at`` in the buffer; None while it is not complete."""
        buffer = self._buffer
        if len(buffer) < at + 2:
            return None
        first, second = buffer[at], buffer[at + 1]
        opcode, length, size = first & 0x0F, second & 0x7F, 2
        fin = bool(first & 0x80)
        begins = opcode in (Opcode.TEXT, Opcode.BINARY)
        if first & (self._first_bits if begins else 0x70) or opcode not in OPCODES:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # reserved bits or opcode
        if not second & 0x80:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # a client's frame must be masked
        if opcode >= Opcode.CLOSE and (not fin or length > MAX_CONTROL_PAYLOAD):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # a control frame is one frame of at most 125 bytes
        if length > 125:
            size += 2 if length == 126 else 8
            if len(buffer) < at + size:
                return None
            length = int.from_bytes(buffer[at + 2 : at + size])
        if opcode < Opcode.CLOSE:
            self._judge(OPCODES[opcode], length)
        return _Header(fin, opcode, length, size + 4, is_compressed=bool(first & COMPRESSED))

    def _judge(self, opcode: Opcode, length: int) -> None:
        if (opcode is Opcode.CONTINUATION) != (self._opcode is not None):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # a fragment out of order
        if self._message_bytes + length > self.max_message_bytes:
            raise ProtocolError(CloseCode.MESSAGE_TOO_BIG)

    def _payload(self, at: int, header: _Header) -> bytes:
        """Return the unmasked payload of the frame that begins at ``at``."""
        begin = at + header.size
        return unmask(self._buffer[begin : begin + header.length], self._buffer[begin - 4 : begin])

    def _take(self, header: _Header) -> Opcode | None:
        """Count a complete frame of a message; if it is the last one, return the message's opcode, else None."""
        if self._opcode is None:
            self._opcode, self._is_compressed = OPCODES[header.opcode], header.is_compressed
        self._message_bytes += header.length
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise ProtocolError(CloseCode.POLICY_VIOLATION)
        if not header.fin:
            return None
        opcode, self._opcode = self._opcode, None
        self._message_bytes = self._fragments = 0
        return opcode

    def _put_together(self) -> bytes:
        """Return the message whose last frame was taken, inflated if it is compressed."""
        message = bytes(self._message)
        self._message.clear()
        if not self._is_compressed or self._inflater is None:
            return message
        try:
            return self._inflater.inflate(message)
        except InflateError as error:
            raise ProtocolError(error.code) from None


class FrameParser(_Frames):
    """
    Feed it what was read; take messages until it :attr:`needs_bytes`.

    A message larger than ``max_message_bytes`` is refused as soon as a header declares it: nothing is kept of it. With
    an ``inflater`` a message may be compressed; as sent and inflated, it is bounded alike.
    """

    __slots__ = ()

    def __init__(self, max_message_bytes: int, inflater: Inflater | None = None) -> None:
        super().__init__(max_message_bytes, inflater)

    def next_message(self) -> Message | None:
        """
        Return the next message, or None if it is not there yet, or not within ``FRAMES_A_CALL`` frames.

        Raises:
            ProtocolError: the peer broke the protocol; nothing more can be parsed.

        """
        if end := self._short_message_end():  # which needs no further check
            buffer = self._buffer
            opcode, message = WHOLE[buffer[0]], unmask(buffer[SHORT_HEADER:end], buffer[2:SHORT_HEADER])
            del buffer[:end]
            self.needs_bytes = not buffer
            return (opcode, _decode(message)) if opcode is Opcode.TEXT else (opcode, message)
        for _ in range(FRAMES_A_CALL):
            header = self._header(0)
            if header is None or len(self._buffer) < (end := header.size + header.length):
                self.needs_bytes = True
                return None
            payload = self._payload(0, header)
            del self._buffer[:end]
            self.needs_bytes = not self._buffer
            if header.opcode >= Opcode.CLOSE:
                return _control(OPCODES[header.opcode], payload)
            self._message += payload
            kind = self._take(header)
            if kind is not None:
                message = self._put_together()
                return (kind, _decode(message)) if kind is Opcode.TEXT else (kind, message)
        return None


class FrameWalker(_Frames):
    """
    Feed it what was read; take the bytes of one message after the other until it :attr:`needs_bytes`.

    They are for a library that parses them itself. It sees nothing that :class:`FrameParser` would refuse, except texts
    that are not UTF-8, and no message before its last byte is here. ``deflate``: whether a message may be compressed
    (RFC 7692, which marks its first frame) for the library to inflate. With an ``inflater`` it may as well, and is
    returned as one frame that is not compressed.
    """

    __slots__ = ("_end", "close_code")

    def __init__(self, max_message_bytes: int, inflater: Inflater | None = None, *, deflate: bool = False) -> None:
        super().__init__(max_message_bytes, inflater, deflate=deflate)
        self._end = 0  # in the buffer, of the frames that were judged
        self.close_code: int | None = None
        """Of the last close frame (0: it had none), which ends what was returned with it; None: there was none yet."""

    def __len__(self) -> int:
        """Return how many bytes were not taken yet."""
        return len(self._buffer) + len(self._message)

    def next_message(self) -> bytes | None:
        """
        Return all frames up to the end of the next message, or None if it is not there yet, or not within a few frames.

        A control frame counts as a message; if it comes between fragments of another one, those before it are returned
        with it.

        Raises:
            ProtocolError: the peer broke the protocol; nothing more can be taken.

        """
        if end := self._short_message_end():  # which needs no further check
            frames = bytes(self._buffer[:end])
            del self._buffer[:end]
            self.needs_bytes = not self._buffer
            return frames
        for _ in range(FRAMES_A_CALL):
            header = self._header(self._end)
            if header is None or len(self._buffer) < (end := self._end + header.size + header.length):
                self.needs_bytes = True
                return None
            if header.opcode == Opcode.CLOSE:
                # Libraries do not agree on codes and texts.
                self.close_code = _close_code(self._payload(self._end, header))
            if self._inflater and self._belongs_to_compressed(header):
                if (frame := self._inflated(header, end)) is not None:
                    return frame
                continue
            self._end = end
            if header.opcode >= Opcode.CLOSE or self._take(header) is not None:
                frames = bytes(self._buffer[:end])
                del self._buffer[:end]
                self._end = 0
                self.needs_bytes = not self._buffer
                return frames
        return None

    def _belongs_to_compressed(self, header: _Header) -> bool:
        begins = self._opcode is None
        return header.opcode < Opcode.CLOSE and (header.is_compressed if begins else self._is_compressed)

    def _inflated(self, header: _Header, end: int) -> bytes | None:
        """Take a frame of a compressed message; return the message as one plain frame if that was its last."""
        self._message += self._payload(0, header)  # the frames of no other message are before it
        del self._buffer[:end]
        self.needs_bytes = not self._buffer
        opcode = self._take(header)
        return None if opcode is None else client_frame(opcode, self._put_together())


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Build one final frame as a client sends it, with a mask that changes nothing."""
    frame = server_frame(opcode, payload)
    size = len(frame) - len(payload)
    return bytes((frame[0], frame[1] | MASKED)) + frame[2:size] + b"\x00\x00\x00\x00" + payload


def unmask(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """XOR a payload with its 4-byte mask, RFC 6455, section 5.3; as one large integer, for speed."""
    length = len(payload)
    if not length:
        return b""
    key = (bytes(mask) * (length // 4 + 1))[:length]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)


def _control(opcode: Opcode, payload: bytes) -> Message:
    return (opcode, _close_code(payload)) if opcode is Opcode.CLOSE else (opcode, payload)


def _close_code(payload: bytes) -> int:
    """Return the code in a close frame, 0 if it has none."""
    code = int.from_bytes(payload[:2])
    if payload and (len(payload) == 1 or echoed_close_code(code) != code):
        raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # a close code has two bytes, and is one that may travel
    _decode(payload[2:])
    return code


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError(CloseCode.INVALID_TEXT) from None
