"""
What a small message and its answer look like on the wire, on both ends of a bench of reading.

A client says ``["ping", t]`` in one masked frame, and the server ``[["pong", t, server_us]]`` in one frame.
"""

from collections.abc import Iterator

MASK = bytes.fromhex("37fa213d")
TEXT, PING, PONG = 0x81, 0x89, 0x8A
MASKED = 0x80
LONGER, LONGEST = 126, 127
"""What stands for a length of two bytes, or of eight, in a frame's header."""

ANSWER_BEGINS = b'[["pong",'


def client_frame(first: int, payload: bytes) -> bytes:
    """Return a short frame as a client sends it; ``first`` is its first byte."""
    masked = bytes(byte ^ MASK[place % 4] for place, byte in enumerate(payload))
    return bytes((first, MASKED | len(payload))) + MASK + masked


KNOCK = client_frame(TEXT, b'["ping",1000001]')
"""About as long as a message of the game is, and answered at once."""

ANSWER_TEXT = ANSWER_BEGINS + b"1000001,1763694000123456]]"
ANSWER = bytes((TEXT, len(ANSWER_TEXT))) + ANSWER_TEXT


def server_frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take all whole frames of a server out of a buffer, each with its first byte and its payload."""
    begin, size = 0, len(buffer)
    while size - begin >= 2:
        length, head = buffer[begin + 1], 2
        if length >= LONGER:
            head = 4 if length == LONGER else 10
            if size - begin < head:
                break
            length = int.from_bytes(buffer[begin + 2 : begin + head])
        if size - begin < head + length:
            break
        yield buffer[begin], bytes(buffer[begin + head : begin + head + length])
        begin += head + length
    del buffer[:begin]
