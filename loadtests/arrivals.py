"""
Which tick frame arrived when: the raw log that the receive path appends to and the recorder drains.

Everything here is on the path of every frame, so it only appends integers; numpy does the rest once a second.
Knows nothing of sockets, rooms or of what the figures mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

HEAD_BYTES: Final = 66
"""As long as the head of a tick frame can be: three numbers of 18 digits."""
READ_BYTES: Final = 4 + HEAD_BYTES
"""As much of a read as says which tick frame it is."""

_HEAD: Final = re.compile(rb'\[\["tick",(\d{1,18}),(\d{1,18}),(\d{1,18})\]')


class TickFrame(NamedTuple):
    """The arguments of a ``tick`` command, and how long the text is that it begins."""

    n: int
    due_us: int
    sent_us: int
    size_bytes: int


class Arrivals(NamedTuple):
    """What arrived between two drains, one element a tick frame, in order of reading."""

    connection: Integers
    n: Integers
    due_us: Integers
    sent_us: Integers
    size_bytes: Integers
    arrival_us: Integers
    frame: Integers
    """Which of the different frames of this drain it was."""
    coalesced: NDArray[np.bool_]
    slow_parse: NDArray[np.bool_]
    unstamped: NDArray[np.bool_]
    """The kernel gave no receive timestamp: the time is that of the read."""


class ArrivalLog:
    """
    Appends arrivals; :meth:`drain` hands them over.

    The receive path holds on to :attr:`reads` and :attr:`rows`, which therefore stay the same objects.

    """

    def __init__(self) -> None:
        self.reads: dict[bytes, tuple[int, int]] = {}
        """
        Many connections get the same bytes for the same tick: by the first :data:`READ_BYTES` of a read that was one
        whole tick frame, the number of the frame in this log and how long the read was.
        """
        self.rows: list[int] = []
        """Three for each arrival: connection, number of the frame, arrival in microseconds."""
        self._frames: list[TickFrame] = []
        self._coalesced: list[int] = []
        self._slow_parse: list[int] = []
        self._unstamped: list[int] = []

    def __len__(self) -> int:
        return len(self.rows) // 3

    # Frames

    def learn(self, read: bytes, size: int) -> tuple[int, int] | None:
        """
        Look at the first :data:`READ_BYTES` of a read of ``size`` bytes, and remember it if it is one tick frame.

        Return what :attr:`reads` then has for it, None if it is anything else.

        """
        if size < 2 or read[0] != 0x81 or read[1] > 126:
            return None
        start = 4 if read[1] == 126 else 2
        length = read[1] if start == 2 else int.from_bytes(read[2:4], "big")
        if start + length != size:
            return None
        frame = self.parse(read[start:], length)
        if frame is None:
            return None
        self.reads[read] = known = (frame, size)
        return known

    def parse(self, head: bytes, size_bytes: int) -> int | None:
        """Give a number to a text that begins with ``head``; None if it is not that of a tick frame."""
        match = _HEAD.match(head)
        if match is None:
            return None
        n, due_us, sent_us = match.groups()
        return self.add(TickFrame(int(n), int(due_us), int(sent_us), size_bytes))

    def add(self, frame: TickFrame) -> int:
        """Give the next number to a frame."""
        self._frames.append(frame)
        return len(self._frames) - 1

    def frame(self, number: int) -> TickFrame:
        """Return a frame by its number."""
        return self._frames[number]

    # Arrivals

    def append(self, connection: int, frame: int, arrival_us: int) -> None:
        """Log that ``frame``, by its number, arrived on ``connection``."""
        self.rows.extend((connection, frame, arrival_us))

    def mark_coalesced(self) -> None:
        """Say of the last arrival that other bytes were read behind it, so that its time is an upper bound."""
        self._coalesced.append(len(self) - 1)

    def mark_slow_parse(self) -> None:
        """Say of the last arrival that its head was not as the protocol writes it."""
        self._slow_parse.append(len(self) - 1)

    def mark_unstamped(self) -> None:
        """Say of the last arrival that its time is that of the read."""
        self._unstamped.append(len(self) - 1)

    def drain(self) -> Arrivals:
        """Return everything that was logged, and forget it."""
        rows = np.array(self.rows, dtype=np.int64).reshape(-1, 3)
        frames = np.array(self._frames, dtype=np.int64).reshape(-1, 4)
        frame = rows[:, 1]
        arrivals = Arrivals(
            connection=rows[:, 0],
            n=frames[frame, 0],
            due_us=frames[frame, 1],
            sent_us=frames[frame, 2],
            size_bytes=frames[frame, 3],
            arrival_us=rows[:, 2],
            frame=frame,
            coalesced=_marked(self._coalesced, len(rows)),
            slow_parse=_marked(self._slow_parse, len(rows)),
            unstamped=_marked(self._unstamped, len(rows)),
        )
        for logged in (self.rows, self._frames, self._coalesced, self._slow_parse, self._unstamped):
            logged.clear()
        self.reads.clear()
        return arrivals


def _marked(indexes: list[int], size: int) -> NDArray[np.bool_]:
    marks = np.zeros(size, dtype=np.bool_)
    marks[indexes] = True
    return marks
