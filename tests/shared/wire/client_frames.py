"""Frames as clients send them, right and wrong ones."""

import struct


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    declared: int | None = None,
) -> bytes:
    """Build a frame by RFC 6455, section 5.2; ``declared`` is another length than the payload's."""
    length = len(payload) if declared is None else declared
    masked = 0x80 if mask else 0
    first = (0x80 if fin else 0) | reserved | opcode
    if length < 126:
        header = struct.pack("!BB", first, masked | length)
    elif length < 65536:
        header = struct.pack("!BBH", first, masked | 126, length)
    else:
        header = struct.pack("!BBQ", first, masked | 127, length)
    if mask is None:
        return header + payload
    return header + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
