"""
Managed: the loop runs while somebody is in the room, and somebody owns it.

The article's example 3.3. Its task is cancelled and awaited, and what it raises ends the room, never in silence.
"""

import asyncio

from shared.loops.lifecycle import CLOSED, CRASHED, RUNNING, STOPPING, Event, Lifecycle, LoopState

from ..host import Host
from ..ticker import Ticker
from . import RoomLoop


class ManagedLoop(RoomLoop):
    """Owns the task of one room."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        super().__init__(host, ticker)
        self._lifecycle = Lifecycle()
        self._occupied = False
        self._task: asyncio.Task[None] | None = None

    def is_over(self) -> bool:
        """Say whether nobody is let in any more."""
        return self._lifecycle.state in (CRASHED, CLOSED)

    def update(self) -> None:
        """Look whether somebody is in the room, and start or end the loop."""
        occupied = self._is_occupied()
        if occupied != self._occupied:
            self._occupied = occupied
            self._feed(Event.OCCUPIED if occupied else Event.VACATED)

    async def stop(self) -> None:
        """End the loop for good and wait until it has ended."""
        self._feed(Event.CLOSE)
        if self._task:
            await asyncio.wait([self._task])

    # Private methods

    def _is_occupied(self) -> bool:
        return bool(self.ticker.room.members)

    def _feed(self, event: Event) -> None:
        self._act(self._lifecycle.feed(event))

    def _act(self, state: LoopState | None) -> None:
        """Do what entering a state asks for."""
        if state is RUNNING:
            self._task = asyncio.create_task(self._run(), name=f"room {self.ticker.room.name}")
            self._task.add_done_callback(self._ended)
        elif state in (STOPPING, CLOSED, CRASHED) and self._task:
            self._task.cancel()

    async def _run(self) -> None:
        self.ticker.resume()
        while True:
            await self.ticker.tick(await self.ticker.wait(), self.game)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task is self._task:
            self._task = None  # an empty room need not hold what ended it, and where that was
        if task.cancelled():
            self._feed(Event.STOPPED)
        elif error := task.exception():
            self._fail(error)

    def _fail(self, error: BaseException | None = None) -> None:
        """End the room; what fails in one that has crashed already is no cause of it."""
        if self._lifecycle.state is not CRASHED:
            self._feed(Event.FAILED)
            self._host.room_crashed(self, error)
