"""A relay behind a Unix socket: our own hub."""

import asyncio
from contextlib import suppress

from shared.relay.bus import RelayError
from shared.relay.hub import BodyReader, framed

from .link import HubLink

READ_BYTES = 262_144


class RelayLink(HubLink):
    """A stream of bodies, each behind its length."""

    _is_open = False
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    async def connect(self) -> None:
        """Connect to the path."""
        self._reader, self._writer = await asyncio.open_unix_connection(self.url.where)
        self._is_open = True
        self._bodies = BodyReader()

    async def send_bodies(self, bodies: list[bytes]) -> None:
        """Write them, and wait until most are with the kernel."""
        self._writer.write(b"".join(map(framed, bodies)))
        await self._writer.drain()

    async def receive_bodies(self) -> list[bytes]:
        """Read what there is."""
        data = await self._reader.read(READ_BYTES)
        if not data:
            raise RelayError("it has closed the connection")
        return list(self._bodies.feed(data))

    async def close(self) -> None:
        """Close the socket."""
        if self._is_open:
            self._is_open = False
            self._writer.transport.abort()
            with suppress(OSError):
                await self._writer.wait_closed()
