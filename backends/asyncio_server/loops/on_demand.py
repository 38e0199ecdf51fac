"""
On demand: the loop starts when the first player enters the room, and ends by itself when it finds the room empty.

The article's example 3.2. Its flag was set only when the loop had begun, so that two who came at once started two, and
stayed set when the loop had failed; here the table of states replaces it. The loop of an empty room waits until its
next tick is due: who comes back by then finds it running.
"""

from shared.loops.lifecycle import RUNNING, STOPPING, LoopEvent, LoopState

from .managed import ManagedLoop


class OnDemandLoop(ManagedLoop):
    """Owns what runs one room until nobody is there."""

    # Private methods

    def _act(self, state: LoopState | None) -> None:
        if state is not STOPPING:  # the loop finds out by itself
            super()._act(state)

    async def _run(self) -> None:
        self.ticker.resume()
        while True:
            due = await self.ticker.wait()
            if self._lifecycle.state is not RUNNING and self._lifecycle.feed(LoopEvent.STOPPED) is not RUNNING:
                return
            await self.ticker.tick(due, self.game)
