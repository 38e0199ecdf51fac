"""Handing one tick's frame to every connection of a room: the ways that ``--fanout`` names. Knows nothing of rooms."""

from collections.abc import Iterable
from typing import Protocol

from backends.asyncio_server.connection import Connection
from shared.measure.counters import Counters


class Fanout(Protocol):
    """A way to send."""

    async def send(self, connections: Iterable[Connection], frame: bytes) -> None:
        """Send ``frame`` to each; return when no more can be done now."""


class NaiveFanout:
    """The loop of every tutorial: one send after the other, each waited for. One stalled peer silences the room."""

    def __init__(self, counters: Counters) -> None:
        """Take ``counters`` as every fan-out does; this one skips nobody."""

    async def send(self, connections: Iterable[Connection], frame: bytes) -> None:
        """Send to one after the other."""
        text = frame.decode()
        for connection in connections:
            if connection.session.is_open:
                await connection.send_frame(text)


class LibraryFanout:
    """The library's own send, only where the last frame has been handed to the kernel: the tick waits for nobody."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def send(self, connections: Iterable[Connection], frame: bytes) -> None:
        """Send to those who take it; count the others."""
        text = frame.decode()
        for connection in connections:
            if not connection.session.is_open:
                continue
            if connection.takes_frames():
                await connection.send_frame(text)  # never waits: NEVER_WAIT_BYTES
            else:
                self._counters.slow_skips += 1


FANOUTS: dict[str, type[NaiveFanout] | type[LibraryFanout]] = {"naive": NaiveFanout, "library": LibraryFanout}
