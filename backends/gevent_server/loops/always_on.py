"""
Always on: the loop runs from when somebody first enters the room until the room is closed, also while it is empty.

The article's example 3.1. Its loop slept after its work, so that its rate fell with its load; this one keeps due times.
While nobody is in the room it ticks, but the game stands still, so that it is the same game in every mode.
"""

from .managed import ManagedLoop


class AlwaysOnLoop(ManagedLoop):
    """Owns what runs one room, as long as the room is there."""

    # Private methods

    def _is_occupied(self) -> bool:
        return self.room.was_entered  # a room that nobody ever is in costs no tick

    def _run(self) -> None:
        self.ticker.resume()
        while True:
            due = self.ticker.wait()
            if self.room.members:
                self.ticker.tick(due, self.game)
            else:
                self.ticker.fan_out(due, [])
