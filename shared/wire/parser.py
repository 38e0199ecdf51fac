"""
WebSocket frames from clients, RFC 6455, parsed and put together to messages.

For stacks whose library does not bound what a peer may send. Knows nothing of sockets.
"""

from dataclasses import dataclass

from shared.wire.errors import ProtocolError
from shared.wire.frames import MAX_CONTROL_PAYLOAD, CloseCode, Opcode

Message = tuple[Opcode, str | bytes | int]
"""TEXT with its text, BINARY, PING and PONG with their bytes, CLOSE with its code (0: it had none)."""

_OPCODES = frozenset(Opcode)

MIN_FRAGMENTS = 64
BYTES_A_FRAGMENT = 16
"""More fragments than 64, and than one for each 16 bytes that a message may have, are a flood of empty ones."""


@dataclass(slots=True)
class _Header:
    fin: bool
    opcode: int
    length: int
    size: int  # of the header itself, with the mask


class FrameParser:
    """
    Feed it what was read; take messages until there is none.

    A message larger than ``max_message_bytes`` is refused as soon as a header declares it: nothing is kept of it.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self.max_message_bytes = max_message_bytes
        self._buffer = bytearray()
        self._opcode: Opcode | None = None  # of the message that is being put together
        self._message = bytearray()
        self._fragments = 0  # of the message that is being put together
        self._max_fragments = max(MIN_FRAGMENTS, max_message_bytes // BYTES_A_FRAGMENT)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._buffer += data

    def next_message(self) -> Message | None:
        """
        Return the next message, or None until more bytes come.

        Raises:
            ProtocolError: the peer broke the protocol; nothing more can be parsed.

        """
        while (header := self._header()) is not None:
            end = header.size + header.length
            if len(self._buffer) < end:
                return None
            mask = self._buffer[header.size - 4 : header.size]
            payload = unmask(self._buffer[header.size : end], mask)
            del self._buffer[:end]
            if header.opcode >= Opcode.CLOSE:
                return _control(Opcode(header.opcode), payload)
            if (message := self._continue(header, payload)) is not None:
                return message
        return None

    def _header(self) -> _Header | None:
        """Parse and judge the next header, as soon as it is there."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode, length, size = first & 0x0F, second & 0x7F, 2
        fin = bool(first & 0x80)
        if first & 0x70 or opcode not in _OPCODES:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # reserved bits or opcode
        if not second & 0x80:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # a client's frame must be masked
        if opcode >= Opcode.CLOSE and (not fin or length > MAX_CONTROL_PAYLOAD):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # a control frame is one frame of at most 125 bytes
        if length > 125:
            size += 2 if length == 126 else 8
            if len(buffer) < size:
                return None
            length = int.from_bytes(buffer[2:size])
        if opcode < Opcode.CLOSE:
            self._judge(Opcode(opcode), length)
        return _Header(fin, opcode, length, size + 4)

    def _judge(self, opcode: Opcode, length: int) -> None:
        if (opcode is Opcode.CONTINUATION) != (self._opcode is not None):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # a fragment out of order
        if len(self._message) + length > self.max_message_bytes:
            raise ProtocolError(CloseCode.MESSAGE_TOO_BIG)

    def _continue(self, header: _Header, payload: bytes) -> Message | None:
        if header.opcode != Opcode.CONTINUATION:
            self._opcode = Opcode(header.opcode)
        self._message += payload
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise ProtocolError(CloseCode.POLICY_VIOLATION)
        if not header.fin:
            return None
        opcode, message = self._opcode, bytes(self._message)
        self._opcode = None
        self._message.clear()
        self._fragments = 0
        if opcode is Opcode.TEXT:
            return Opcode.TEXT, _decode(message)
        return Opcode.BINARY, message


def unmask(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """XOR a payload with its 4-byte mask, RFC 6455, section 5.3; as one large integer, for speed."""
    length = len(payload)
    if not length:
        return b""
    key = (bytes(mask) * (length // 4 + 1))[:length]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)


def _control(opcode: Opcode, payload: bytes) -> Message:
    if opcode is not Opcode.CLOSE:
        return opcode, payload
    if len(payload) == 1:
        raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # a close code has two bytes
    _decode(payload[2:])
    code = int.from_bytes(payload[:2])
    if payload and not code:
        raise ProtocolError(CloseCode.PROTOCOL_ERROR)  # no such close code
    return Opcode.CLOSE, code


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError(CloseCode.INVALID_TEXT) from None
