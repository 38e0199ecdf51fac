"""A relay behind ZeroMQ: our own hub, to whose ROUTER we are a DEALER."""

import asyncio
from urllib.parse import urlsplit

import zmq
import zmq.asyncio

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
    _context: zmq.asyncio.Context | None = None
    _socket: zmq.asyncio.Socket

    async def connect(self) -> None:
        """Make the socket; that it has connected shows when it is welcome."""
        await self._look()
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.SNDHWM, MOST_MESSAGES)
        self._socket.setsockopt(zmq.RCVHWM, MOST_MESSAGES)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BODY_BYTES)
        self._socket.connect(self.url.where)

    async def send_bodies(self, bodies: list[bytes]) -> None:
        """Hand them over."""
        async with asyncio.timeout(TAKES_S):
            for body in bodies:
                await self._socket.send(body)

    async def receive_bodies(self) -> list[bytes]:
        """Wait for the next one."""
        return [await self._socket.recv()]

    async def close(self) -> None:
        """Close the socket, and end the context's threads."""
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    # Private methods

    async def _look(self) -> None:
        """Raise OSError where nobody listens: ZeroMQ would not say so."""
        kind, _, path = self.url.where.partition("://")
        if kind == "ipc":
            _, writer = await asyncio.open_unix_connection(path)
        else:
            parts = urlsplit(self.url.where)
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.transport.abort()
