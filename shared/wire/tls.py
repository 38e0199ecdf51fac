"""
The client's end of TLS in memory: whoever holds the socket gives it what was read, and sends what it has to send.

Knows nothing of sockets. A connection read so keeps what the kernel says of each read.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOL: Final = "http/1.1"
"""What is asked for by ALPN (RFC 7301): a WebSocket begins with HTTP/1.1."""
HEAD_BYTES: Final = 5
"""Of a record (RFC 8446, 5.1): its type, a version and the length of what follows."""


class TlsError(Exception):
    """The other end broke the protocol; the text says how, in words that can be counted."""


class CertificateError(TlsError):
    """The server's certificate is not trusted."""


@cache
def client_context(*, verifies: bool) -> ssl.SSLContext:
    """Return what all connections share: which certificates are trusted (all, unless it ``verifies``), and ALPN."""
    context = ssl.create_default_context()
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([PROTOCOL])
    return context


def server_name(host: str) -> str:
    """Return a host as a certificate names it, and as SNI does: without a final dot, or the zone of an address."""
    return host.partition("%")[0].removesuffix(".")


def error_of(error: ssl.SSLError) -> TlsError:
    """Return what an error of OpenSSL's means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateError(f"the certificate is not trusted: {str(error.verify_message).rstrip('.')}")
    return TlsError(f"TLS: {(error.reason or 'no reason is given').replace('_', ' ').lower()}")


class RecordBounds:
    """Follows where records begin and end in what is read: a message is whole when its last record is."""

    __slots__ = ("_head", "left_bytes")

    def __init__(self) -> None:
        self.left_bytes = 0
        """How many bytes of a begun record are still to come; of a begun head, at least so many."""
        self._head = b""

    def take(self, data: memoryview) -> None:
        """Take what was read next."""
        at, size = self.left_bytes, len(data)
        if self._head:
            head = self._head + bytes(data[: HEAD_BYTES - len(self._head)])
            if len(head) < HEAD_BYTES:
                self._head, self.left_bytes = head, HEAD_BYTES - len(head)
                return
            at = HEAD_BYTES - len(self._head) + int.from_bytes(head[3:], "big")
            self._head = b""
        while size - at >= HEAD_BYTES:
            at += HEAD_BYTES + (data[at + 3] << 8) + data[at + 4]
        if at < size:
            self._head = bytes(data[at:])
            self.left_bytes = HEAD_BYTES - len(self._head)
        else:
            self.left_bytes = at - size


class ClientTls:
    """One connection. ``host`` is who its certificate has to be for."""

    __slots__ = ("_incoming", "_object", "_outgoing", "bounds", "feed", "read")

    def __init__(self, host: str, *, verifies: bool) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = client_context(verifies=verifies).wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name(host)
        )
        self.bounds = RecordBounds()
        self.feed = self._incoming.write
        """Takes what was read."""
        self.read: Callable[[int, bytearray | memoryview], int] = self._object.read  # type: ignore[assignment] # by size
        """``read(size, buffer)`` decrypts what is left of a record into a buffer and returns how much that was; an
        :class:`ssl.SSLError` says why it did not."""

    def shake_hands(self) -> bool:
        """
        Go on with the handshake; return whether it is done. Either way there may be something to send.

        Raises:
            TlsError: it failed.

        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise error_of(error) from error
        return True

    def decrypt(self, into: memoryview) -> tuple[int, bool]:
        """
        Decrypt what was fed into a buffer; return how many bytes that made, and whether the other end said goodbye.

        Raises:
            TlsError: it is no TLS of this connection.

        """
        size = 0
        try:
            while size < len(into):
                got = self.read(len(into) - size, into[size:])
                if not got:
                    return size, True
                size += got
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return size, True
        except ssl.SSLError as error:
            raise error_of(error) from error
        return size, False

    def encrypt(self, data: bytes) -> bytes:
        """Return what to send for ``data``; raise :class:`TlsError` where nothing more can be sent."""
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise error_of(error) from error
        return self._outgoing.read()

    def to_send(self) -> bytes:
        """Return what TLS itself has to say, and forget it: parts of the handshake, alerts, answers."""
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """Return the last that is sent: that nothing follows (RFC 8446, 6.1)."""
        with suppress(ssl.SSLError, ValueError):  # the other end has not said it yet, or there was no handshake
            self._object.unwrap()
        return self._outgoing.read()
