"""A connection for one question, with TLS or without, that waits up to a limit in all: answers may come in pieces."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from loadtests.receive.transport import Address
from shared.wire.target import Target
from shared.wire.tls import ClientTls, TlsError

PIECE_BYTES = 16 * 1024


class Line:
    """Waits for ``limit_s`` seconds in all; any method raises :class:`TimeoutError` then."""

    def __init__(self, connection: socket.socket, target: Target, limit_s: float) -> None:
        self._connection = connection
        self._target = target
        self._limit_s = limit_s
        self._deadline_s = time.monotonic() + limit_s
        self._tls: ClientTls | None = None

    def connect(self, where: Any) -> None:
        """Connect, and shake hands where TLS is spoken; raise :class:`TlsError` if that fails."""
        self._wait_no_longer()
        self._connection.connect(where)
        if self._target.secure:
            self._tls = ClientTls(self._target.host, verifies=self._target.verifies)
            self._shake_hands(self._tls)

    def send(self, data: bytes) -> None:
        """Send everything."""
        self._wait_no_longer()
        self._connection.sendall(data if self._tls is None else self._tls.encrypt(data))

    def read_into(self, buffer: Any) -> int:
        """Wait for something, and read it into a buffer; return how much that was, 0 at the end."""
        if self._tls is None:
            self._wait_no_longer()
            return self._connection.recv_into(buffer)
        while True:
            size, is_over = self._tls.decrypt(memoryview(buffer))
            if size or is_over:
                return size
            data = self._receive()
            if not data:
                return 0
            self._tls.feed(data)

    def _shake_hands(self, tls: ClientTls) -> None:
        try:
            while not tls.shake_hands():
                self._connection.sendall(tls.to_send())
                data = self._receive()
                if not data:
                    raise TlsError("TLS: the server hung up")
                tls.feed(data)
        finally:
            with suppress(OSError):  # an alert, if it failed
                self._connection.sendall(tls.to_send())

    def _receive(self) -> bytes:
        self._wait_no_longer()
        return self._connection.recv(PIECE_BYTES)

    def _wait_no_longer(self) -> None:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no whole answer in {self._limit_s:g} s")
        self._connection.settimeout(left_s)


@contextmanager
def line_to(target: Target, address: Address, limit_s: float) -> Iterator[Line]:
    """Connect to one address of a target, for ``limit_s`` at most, and hang up at the end."""
    family, where = address
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        line = Line(connection, target, limit_s)
        line.connect(where)
        yield line
