"""
Managed: the loop runs while somebody is in the room, and somebody owns it.

The article's example 3.3. Its task is cancelled and awaited, and what it raises ends the room, never in silence.
"""

import asyncio
from typing import TYPE_CHECKING

from shared.loops.lifecycle import CLOSED, RUNNING, STOPPING, Event, Lifecycle

if TYPE_CHECKING:
    from backends.asyncio_server.server import Server
    from backends.asyncio_server.ticker import Ticker


class ManagedLoop:
    """Owns the task of one room."""

    def __init__(self, server: "Server", ticker: "Ticker") -> None:
        self.ticker = ticker
        self._server = server
        self._lifecycle = Lifecycle()
        self._occupied = False
        self._task: asyncio.Task[None] | None = None

    def update(self) -> None:
        """Look whether somebody is in the room, and start or end the loop."""
        occupied = bool(self.ticker.room.members)
        if occupied != self._occupied:
            self._occupied = occupied
            self._feed(Event.OCCUPIED if occupied else Event.VACATED)

    async def stop(self) -> None:
        """End the loop for good and wait until it has ended."""
        self._feed(Event.CLOSE)
        if self._task:
            await asyncio.wait([self._task])

    # Private methods

    def _feed(self, event: Event) -> None:
        match self._lifecycle.feed(event):
            case state if state is RUNNING:
                self._task = asyncio.create_task(self._run(), name=f"room {self.ticker.room.name}")
                self._task.add_done_callback(self._ended)
            case state if state in (STOPPING, CLOSED) and self._task:
                self._task.cancel()

    async def _run(self) -> None:
        self.ticker.resume()
        while True:
            await self.ticker.tick(await self.ticker.wait())

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            self._feed(Event.STOPPED)
        elif error := task.exception():
            self._feed(Event.FAILED)
            self._server.room_crashed(self, error)
