"""
The forms in which a message goes out: as it is, or compressed for those who agreed on a window of so many bits.

What many get is compressed once a form, whoever gets it: none of them keeps a context between two messages.
"""

from functools import cache

from shared.wire.deflate import LEVEL, QUICK_LEVEL, Deflater
from shared.wire.frames import COMPRESSED, Opcode, server_frame

PLAIN = 0
"""The form of those who agreed on nothing; that of the others is the window's bits."""

LEAST_BYTES = 128
"""A shorter text goes out as it is: it takes one packet either way."""


class Texts(dict[int, bytes]):
    """The frame of one text by form, each built when somebody is the first to need it."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self._text = text

    def __missing__(self, form: int) -> bytes:
        """Build the frame."""
        text = self._text
        frame = server_frame(Opcode.TEXT, text)
        if form and len(text) >= LEAST_BYTES:
            frame = shorter(frame, Opcode.TEXT, _deflater(form, LEVEL).deflate(text))
        self[form] = frame
        return frame


class World:
    """An encoded field, which begins what many are sent who missed frames: it is compressed once a form."""

    def __init__(self, field: bytes) -> None:
        self.field = field
        self._parts: dict[int, bytes] = {}

    def frame(self, text: bytes, form: int) -> bytes:
        """Return the frame of a text that begins with the field; the form is not plain."""
        shared_bytes = len(self.field) - 1  # its last bracket belongs behind what follows
        deflater = _deflater(form, QUICK_LEVEL)
        if form not in self._parts:
            self._parts[form] = deflater.part(text[:shared_bytes])
        compressed = self._parts[form] + deflater.deflate(text[shared_bytes:])
        return shorter(server_frame(Opcode.TEXT, text), Opcode.TEXT, compressed)


def own_frame(opcode: Opcode, payload: bytes, form: int) -> bytes:
    """Return the frame of a message that one connection alone gets."""
    frame = server_frame(opcode, payload)
    if not form or opcode >= Opcode.CLOSE or len(payload) < LEAST_BYTES:
        return frame
    return shorter(frame, opcode, _deflater(form, QUICK_LEVEL).deflate(payload))


def shorter(frame: bytes, opcode: Opcode, compressed: bytes) -> bytes:
    """Return a message's frame, or the one that carries it ``compressed`` if that is shorter."""
    other = server_frame(opcode, compressed, COMPRESSED)
    return other if len(other) < len(frame) else frame


@cache
def _deflater(form: int, level: int) -> Deflater:
    """Return the process's one compressor of a window: it has 70 to 300 KiB, and forgets each message."""
    return Deflater(form, takes_over=False, level=level)
