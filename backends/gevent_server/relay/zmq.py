"""A relay behind ZeroMQ: our own hub, to whose ROUTER we are a DEALER."""

from typing import Any
from urllib.parse import urlsplit

import gevent
import zmq.green as zmq
from gevent import socket

from shared.relay.hub import MOST_BODY_BYTES

from .link import HubLink

MOST_MESSAGES = 1_000
"""What ZeroMQ holds of each way."""
TAKES_S = 0.25
"""After how long without taking what is sent it counts as gone: nothing is held for a relay that is not there."""


class RelayLink(HubLink):
    """
    A socket and a context of its own: both go with it, and the context's threads too.

    ZeroMQ connects again by itself, silently; but what is said to a relay that has begun anew it answers with a word
    that ends this connection.
    """

    gone = (*HubLink.gone, zmq.ZMQError)
    _context: Any = None
    _socket: Any

    def connect(self) -> None:
        """Make the socket; that it has connected shows when it is welcome."""
        self._look()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.SNDHWM, MOST_MESSAGES)
        self._socket.setsockopt(zmq.RCVHWM, MOST_MESSAGES)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BODY_BYTES)
        self._socket.connect(self.url.where)

    def send_bodies(self, bodies: list[bytes]) -> None:
        """Hand them over."""
        with gevent.Timeout(TAKES_S, TimeoutError):
            for body in bodies:
                self._socket.send(body)

    def receive_bodies(self) -> list[bytes]:
        """Wait for the next one."""
        return [self._socket.recv()]

    def close(self) -> None:
        """Close the socket, and end the context's threads."""
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    # Private methods

    def _look(self) -> None:
        """Raise OSError where nobody listens: ZeroMQ would not say so."""
        kind, _, path = self.url.where.partition("://")
        if kind == "ipc":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
        else:
            parts = urlsplit(self.url.where)
            socket.create_connection((parts.hostname or "", parts.port or 0)).close()
