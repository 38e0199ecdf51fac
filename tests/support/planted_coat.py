"""
What the planted server's bytes have around them on their way to one peer: compression, TLS, both or nothing.

The kinds of compression (RFC 7692), by how contexts are kept: ``own``, a context a connection; ``none``, none is kept,
and all get the same bytes; ``shared``: that a context is kept is agreed on, and all get the same bytes all the same, as
nothing refers to it. It shares no code with the generator.
"""

import ssl
import zlib
from typing import Any

from tests.support.planted_wire import header

EXTENSIONS = {
    "own": "permessage-deflate",
    "shared": "permessage-deflate",
    "none": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
}
WHOLE_TEXT = 0x81
LEVEL = 6


def server_context(both: str) -> ssl.SSLContext:
    """Return the server's end of TLS; ``both`` is a file with certificate and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    context.num_tickets = 0  # a client that resumes nothing has no use for them
    return context


class Compressor:
    """Compresses for everybody who gets the same."""

    def __init__(self) -> None:
        self._data = self._compressed = b""

    def compress(self, data: bytes) -> bytes:
        """Return a frame with a text, compressed; of the last one it is known."""
        if data is not self._data:
            self._data, self._compressed = data, compressed(data, zlib.compressobj(LEVEL, wbits=-15))
        return self._compressed


def compressed(data: bytes, stream: Any) -> bytes:
    """Return a frame with its text compressed."""
    payload: bytes = stream.compress(data[payload_start(data) :]) + stream.flush(zlib.Z_SYNC_FLUSH)
    return header(len(payload) - 4, 0xC1) + payload[:-4]


def payload_start(data: bytes) -> int:
    return 2 if data[1] < 126 else 4 if data[1] == 126 else 10


class Coat:
    """One peer's."""

    def __init__(self, kind: str, shared: Compressor, context: ssl.SSLContext | None) -> None:
        self.deflates = False  # once it was agreed on
        self._shared = shared
        self._stream: Any = zlib.compressobj(LEVEL, wbits=-15) if kind == "own" else None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if context is not None:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._has_met = False

    def dress(self, data: bytes) -> bytes:
        """Return what is to be sent for ``data``, behind all that was dressed before."""
        # What is no whole text, as a part of one, is not compressed; nor need it be.
        if self.deflates and data[0] == WHOLE_TEXT and len(data) == frame_bytes(data):
            data = self._shared.compress(data) if self._stream is None else compressed(data, self._stream)
        if self._tls is None:
            return data
        self._tls.write(data)
        return self._outgoing.read()

    def undress(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what a peer said with ``data``, and what TLS has to answer; ssl.SSLError where it is none."""
        if self._tls is None:
            return data, b""
        self._incoming.write(data)
        said = b""
        try:
            if not self._has_met:
                self._tls.do_handshake()
                self._has_met = True
            while piece := self._tls.read(65536):
                said += piece
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return said, self._outgoing.read()


def frame_bytes(data: bytes) -> int:
    start = payload_start(data)
    return start + (data[1] if start == 2 else int.from_bytes(data[2:start], "big"))
