"""Opcodes, close codes and the WebSocket frames that a server sends (RFC 6455), each built once for all connections."""

import struct
from enum import IntEnum


class Opcode(IntEnum):
    """RFC 6455, section 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


OPCODES = {opcode.value: opcode for opcode in Opcode}
"""By number: to call the class takes ten times as long."""


class CloseCode(IntEnum):
    """The close codes that the server sends, RFC 6455, section 7.4.1, and the IANA registry."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013


COMPRESSED = 0x40
"""The bit of a message's first frame that says so: RFC 7692, section 6."""

MAX_CONTROL_PAYLOAD = 125
MAX_CLOSE_REASON = MAX_CONTROL_PAYLOAD - 2


def server_frame(opcode: int, payload: bytes, marks: int = 0) -> bytes:
    """Build one final, unmasked frame; ``marks`` is :data:`COMPRESSED` if its message is."""
    first = 0x80 | marks | opcode
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", first, length)
    elif length < 65536:
        header = struct.pack("!BBH", first, 126, length)
    else:
        header = struct.pack("!BBQ", first, 127, length)
    return header + payload


def close_payload(code: int, reason: str = "") -> bytes:
    """Encode what a close frame carries; the reason is cut to the 123 bytes that fit, at a character's border."""
    text = reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore")
    return struct.pack("!H", code) + text.encode()


def echoed_close_code(code: int) -> int:
    """
    Return the code that answers a peer's close frame with ``code`` (0: the frame had none).

    RFC 6455, section 7.4: 1004, 1005, 1006 and 1015 never travel, nor do codes below 1000 and unregistered ones below
    3000; they are answered with 1002.
    """
    if code == 0:
        return CloseCode.NORMAL
    registered = 1000 <= code <= 1014 and code not in (1004, 1005, 1006)
    return code if registered or 3000 <= code <= 4999 else CloseCode.PROTOCOL_ERROR
