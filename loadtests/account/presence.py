"""Which connection was in which room, since when and until when: columns with one row per connection."""

import numpy as np
from numpy.typing import NDArray

NEVER = 2**62
"""Later than any time."""

FILLS = {"entered_us": NEVER, "first_n": -1, "last_n": -1, "ended_us": NEVER, "until_us": NEVER, "reads": 1}
"""The values of a connection of which nothing is known yet, in columns where it is not 0."""


class Presences:
    """
    The columns, with spare rows at the end. Times are microseconds of the server's clock.

    Only ``last_arrival_us`` is on a steady clock: see :class:`~loadtests.account.recorder.ConnectionRows`.

    """

    room: NDArray[np.int64]
    """The room's number; the next column has the group's."""
    group: NDArray[np.int64]
    asked_us: NDArray[np.int64]
    """When it began to connect."""
    entered_us: NDArray[np.int64]
    """Since when all ticks are sent to it, too."""
    first_n: NDArray[np.int64]
    """The first tick that came, -1 without any; the next four columns are of the newest tick."""
    last_n: NDArray[np.int64]
    last_arrival_us: NDArray[np.int64]
    last_due_us: NDArray[np.int64]
    last_placed_us: NDArray[np.int64]
    silence_us: NDArray[np.int64]
    """The longest time in the window without a frame, so far."""
    ended_us: NDArray[np.int64]
    """When it ended: what is sent later does not reach it; -1 if what came last was all that was sent."""
    until_us: NDArray[np.int64]
    """When it left by plan, or would have: until then it should have had ticks, whatever became of it."""
    reads: NDArray[np.int64]
    """1 if frames sent to it are waited for, 0 once it has stopped reading by plan."""

    def __init__(self) -> None:
        self.count = 0
        """The number of connections."""
        for name in type(self).__annotations__:
            setattr(self, name, np.zeros(0, dtype=np.int64))

    def add(self) -> int:
        """Return the row of one more connection."""
        size = len(self.room)
        if self.count == size:
            more = max(1024, size)
            for name in type(self).__annotations__:
                column = np.concatenate((getattr(self, name), np.full(more, FILLS.get(name, 0), dtype=np.int64)))
                setattr(self, name, column)
        self.count += 1
        return self.count - 1
