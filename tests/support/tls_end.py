"""The server's end of TLS in memory: a test says which records go out in which writes."""

import socket
import ssl
from contextlib import suppress

from tests.support.certificates import Certificate


def server_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsEnd:
    """As much of a socket as scripts have a use for, with TLS on it; :meth:`records` and ``raw`` for those who mind."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        self.raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._exchange()
        raw.sendall(self._outgoing.read())

    def records(self, data: bytes) -> bytes:
        """Return the record, or the records of 16 KiB, that hold ``data``."""
        self.tls.write(data)
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """Return the record that says that nothing follows."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._outgoing.read()

    def sendall(self, data: bytes) -> None:
        self.raw.sendall(self.records(data))

    def recv(self, size: int) -> bytes:
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                if not self._exchange():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    def _exchange(self) -> bool:
        self.raw.sendall(self._outgoing.read())
        data = self.raw.recv(65536)
        self._incoming.write(data)
        return bool(data)
