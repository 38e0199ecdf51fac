"""
Always on: the loop runs from when its room is opened until that is disposed of, whether somebody is in it or not.

The article's example 3.1. Its loop slept after its work, so that its rate fell with its load; this one keeps due times.
While nobody is in the room it ticks, but the game stands still, so that it is the same game in every mode.
"""

from typing import TYPE_CHECKING

from backends.gevent_server.loops.managed import ManagedLoop
from shared.loops.lifecycle import Event

if TYPE_CHECKING:
    from backends.gevent_server.server import Server
    from backends.gevent_server.ticker import Ticker


class AlwaysOnLoop(ManagedLoop):
    """Owns the greenlet of one room, as long as the room is there."""

    def __init__(self, server: "Server", ticker: "Ticker") -> None:
        super().__init__(server, ticker)
        self._feed(Event.OCCUPIED)

    def update(self) -> None:
        """Do nothing: it runs anyway."""

    # Private methods

    def _run(self) -> None:
        self.ticker.resume()
        while True:
            due = self.ticker.wait()
            if self.ticker.room.members:
                self.ticker.tick(due, self.game)
            else:
                self.ticker.fan_out(due, [])
