"""A relay behind a Unix socket: our own hub."""

from gevent import socket

from shared.relay.bus import RelayError
from shared.relay.hub import BodyReader, framed

from .link import HubLink

READ_BYTES = 262_144


class RelayLink(HubLink):
    """A stream of bodies, each behind its length."""

    _is_open = False
    _socket: socket.socket

    def connect(self) -> None:
        """Connect to the path."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._is_open = True
        self._socket.connect(self.url.where)
        self._bodies = BodyReader()

    def send_bodies(self, bodies: list[bytes]) -> None:
        """Write them, and wait until all are with the kernel."""
        self._socket.sendall(b"".join(map(framed, bodies)))

    def receive_bodies(self) -> list[bytes]:
        """Read what there is."""
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise RelayError("it has closed the connection")
        return list(self._bodies.feed(data))

    def close(self) -> None:
        """Close the socket."""
        if self._is_open:
            self._is_open = False
            self._socket.close()
