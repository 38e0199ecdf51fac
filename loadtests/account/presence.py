"""Which connection was in which room, since when and until when: columns with one row per connection."""

import numpy as np
from numpy.typing import NDArray

NEVER = 2**62
"""Later than any time."""
STAYED = -1
"""In place of the time when a connection would have left: it stayed until it left by plan."""
CUT = -2
"""In its place: it was cut off, and its user comes back by another, so that nothing is waited for behind its end."""

FILLS = {"entered_us": NEVER, "first_n": -1, "last_n": -1, "ended_us": NEVER, "until_us": NEVER, "reads": 1}
"""The values of a connection of which nothing is known yet, in columns where it is not 0."""


class Presences:
    """
    The columns, with spare rows at the end. Times are microseconds of the server's clock.

    Only ``first_arrival_us`` and ``last_arrival_us`` are on a steady clock: see
    :class:`~loadtests.receive.arrivals.SortedArrivals`.

    """

    room: NDArray[np.int64]
    """The room's number; the next column has the group's."""
    group: NDArray[np.int64]
    asked_us: NDArray[np.int64]
    """When it began to connect."""
    entered_us: NDArray[np.int64]
    """Since when all ticks are sent to it, too."""
    first_n: NDArray[np.int64]
    """The first tick that came, -1 without any; the next column is when it came, the four behind are of the newest."""
    first_arrival_us: NDArray[np.int64]
    last_n: NDArray[np.int64]
    last_arrival_us: NDArray[np.int64]
    last_due_us: NDArray[np.int64]
    last_placed_us: NDArray[np.int64]
    silence_us: NDArray[np.int64]
    """The longest time in the window without a frame, so far."""
    due: NDArray[np.int64]
    """How many ticks of the window were due to it, of those that came or that are accounted for."""
    in_time: NDArray[np.int64]
    """How many of these came no later than half a period."""
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

    def enter(self, index: int, at_us: int) -> None:
        """Say that a connection gets the ticks that are sent after ``at_us``, though none may have come yet."""
        # A server may welcome us again and again.
        self.entered_us[index] = min(self.entered_us[index], at_us)

    def begin_window(self) -> None:
        """Forget what was counted in the last window."""
        for column in (self.silence_us, self.due, self.in_time):
            column[:] = 0

    def count_due(self, connection: NDArray[np.int64], in_time: NDArray[np.bool_]) -> None:
        """Count ticks of the window that came, each by its connection, and whether it was in time."""
        self.due += np.bincount(connection, minlength=len(self.due))
        self.in_time += np.bincount(connection[in_time], minlength=len(self.in_time))

    def stop_reading(self, index: int) -> None:
        """Say that what is sent to a connection need not be waited for."""
        self.reads[index] = 0

    def end(self, index: int, at_us: int) -> None:
        """Say that a connection gets no ticks that are sent after ``at_us``."""
        self.ended_us[index] = min(self.ended_us[index], at_us)

    def leave(self, index: int, at_us: int | None = None) -> None:
        """
        Say that a connection leaves by plan, so that nothing more is due to it.

        ``at_us`` is when it would have left, of a connection that had ended before or never got in.

        """
        until_us = STAYED if at_us is None else at_us
        self.until_us[index] = min(self.until_us[index], until_us)

    def cut(self, index: int) -> None:
        """Say that a connection was cut off whose user comes back."""
        self.until_us[index] = CUT

    def end_with_last(self, index: int) -> None:
        """Say that a connection got all that was sent to it: the server's close frame followed its last frame."""
        self.ended_us[index] = -1
