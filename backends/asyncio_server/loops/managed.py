"""
Managed: the loop runs while somebody is in the room, and somebody owns it.

The article's example 3.3. What runs it is ended and waited for, and what that raises ends the room, never in silence.
"""

import asyncio

from shared.loops.lifecycle import CLOSED, CRASHED, RUNNING, STOPPING, Lifecycle, LoopEvent, LoopState

from ..host import Host
from ..ticker import Ticker
from . import RoomLoop


class ManagedLoop(RoomLoop):
    """Owns what runs one room."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        super().__init__(host, ticker)
        self._lifecycle = Lifecycle()
        self._occupied = False
        self._running: asyncio.Task[None] | None = None

    def is_over(self) -> bool:
        """Say whether nobody is let in any more."""
        return self._lifecycle.state in (CRASHED, CLOSED)

    def update(self) -> None:
        """Look whether somebody is in the room, and start or end the loop."""
        occupied = self._is_occupied()
        if occupied != self._occupied:
            self._occupied = occupied
            self._feed(LoopEvent.OCCUPIED if occupied else LoopEvent.VACATED)

    async def stop(self) -> None:
        """End the loop for good and wait until it has ended."""
        self._feed(LoopEvent.CLOSE)
        if self._running:
            await asyncio.wait([self._running])

    # Private methods

    def _is_occupied(self) -> bool:
        return bool(self.ticker.room.members)

    def _feed(self, event: LoopEvent) -> None:
        self._act(self._lifecycle.feed(event))

    def _act(self, state: LoopState | None) -> None:
        """Do what entering a state asks for."""
        if state is RUNNING:
            self._running = asyncio.create_task(self._run(), name=f"room {self.ticker.room.name}")
            self._running.add_done_callback(self._ended)
        elif state in (STOPPING, CLOSED, CRASHED) and self._running:
            self._running.cancel()

    async def _run(self) -> None:
        self.ticker.resume()
        while True:
            await self.ticker.tick(await self.ticker.wait(), self.game)

    def _ended(self, ended: "asyncio.Task[None]") -> None:
        if ended is self._running:
            self._running = None  # an empty room need not hold what ended it, and where that was
        if ended.cancelled():
            self._feed(LoopEvent.STOPPED)
        elif error := ended.exception():
            self._fail(error)

    def _fail(self, error: BaseException | None = None) -> None:
        """End the room; what fails in one that has crashed already is no cause of it."""
        if self._lifecycle.state is not CRASHED:
            self._feed(LoopEvent.FAILED)
            self._host.room_crashed(self, error)
