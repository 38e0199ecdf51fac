"""
On demand: the loop starts with the first one in the room, and ends by itself when it finds nobody there.

The article's example 3.2. Its flag said that a loop runs once that had begun, so two who came at once started two, and
for ever when it had failed; here the table of states does. An abandoned loop waits on until its next tick is due: who
comes back by then finds it running.
"""

from shared.loops.lifecycle import RUNNING, STOPPING, Event, LoopState

from .managed import ManagedLoop


class OnDemandLoop(ManagedLoop):
    """Lets a task look after one room until nobody is there."""

    # Private methods

    def _act(self, state: LoopState | None) -> None:
        if state is not STOPPING:  # the loop finds out by itself
            super()._act(state)

    async def _run(self) -> None:
        self.ticker.resume()
        while True:
            due = await self.ticker.wait()
            if self._lifecycle.state is not RUNNING and self._lifecycle.feed(Event.STOPPED) is not RUNNING:
                return
            await self.ticker.tick(due, self.game)
