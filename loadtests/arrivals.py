"""
Which tick frame arrived when: the raw log that the receive path appends to and the recorder drains.

Everything here is on the path of every frame, so it only appends integers; numpy does the rest once a second.
Knows nothing of sockets, rooms or of what the figures mean.
"""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

HEAD_BYTES: Final = 66
"""As long as the head of a tick frame can be: three numbers of 18 digits."""

_HEAD: Final = re.compile(rb'\[\["tick",(\d{1,18}),(\d{1,18}),(\d{1,18})\]')


class TickHead(NamedTuple):
    """The arguments of the ``tick`` command."""

    n: int
    due_us: int
    sent_us: int


class Arrivals(NamedTuple):
    """What arrived between two drains, one element a tick frame, in order of reading."""

    connection: Integers
    n: Integers
    due_us: Integers
    sent_us: Integers
    arrival_us: Integers
    size_bytes: Integers
    frame: Integers
    """Which of the different frames of this drain it was."""
    coalesced: NDArray[np.bool_]
    slow_parse: NDArray[np.bool_]
    unstamped: NDArray[np.bool_]
    """The kernel gave no receive timestamp: the time is that of the read."""


class ArrivalLog:
    """
    Appends arrivals; :meth:`drain` hands them over.

    Many connections get the same bytes for the same tick, so a head is parsed once and then found by its bytes:
    :attr:`frames` maps the first :data:`HEAD_BYTES` of a payload to the number of the frame in this log.

    """

    def __init__(self) -> None:
        self.frames: dict[bytes, int] = {}
        self._heads: list[TickHead] = []
        self._connection = array("q")
        self._frame = array("q")
        self._arrival_us = array("q")
        self._size_bytes = array("q")
        self._coalesced: list[int] = []
        self._slow_parse: list[int] = []
        self._unstamped: list[int] = []

    def __len__(self) -> int:
        return len(self._connection)

    # Heads

    def parse(self, head: bytes) -> int | None:
        """Return the number of the frame that begins with ``head``, None if it is not the head of a tick frame."""
        match = _HEAD.match(head)
        if match is None:
            return None
        n, due_us, sent_us = match.groups()
        frame = self.add_head(TickHead(int(n), int(due_us), int(sent_us)))
        self.frames[head] = frame
        return frame

    def add_head(self, head: TickHead) -> int:
        """Give the next number to a frame with this head."""
        self._heads.append(head)
        return len(self._heads) - 1

    def head(self, frame: int) -> TickHead:
        """Return the head of a frame by its number."""
        return self._heads[frame]

    # Arrivals

    def append(self, connection: int, frame: int, arrival_us: int, size_bytes: int) -> None:
        """Log that ``frame``, with a payload of ``size_bytes``, arrived on ``connection``."""
        self._connection.append(connection)
        self._frame.append(frame)
        self._arrival_us.append(arrival_us)
        self._size_bytes.append(size_bytes)

    def mark_coalesced(self) -> None:
        """Say of the last arrival that other bytes were read behind it, so that its time is an upper bound."""
        self._coalesced.append(len(self._connection) - 1)

    def mark_slow_parse(self) -> None:
        """Say of the last arrival that its head was not as the protocol writes it."""
        self._slow_parse.append(len(self._connection) - 1)

    def mark_unstamped(self) -> None:
        """Say of the last arrival that its time is that of the read."""
        self._unstamped.append(len(self._connection) - 1)

    def drain(self) -> Arrivals:
        """Return everything that was logged, and forget it."""
        frame = np.array(self._frame, dtype=np.int64)
        heads = np.array(self._heads, dtype=np.int64).reshape(-1, 3)
        arrivals = Arrivals(
            connection=np.array(self._connection, dtype=np.int64),
            n=heads[frame, 0],
            due_us=heads[frame, 1],
            sent_us=heads[frame, 2],
            arrival_us=np.array(self._arrival_us, dtype=np.int64),
            size_bytes=np.array(self._size_bytes, dtype=np.int64),
            frame=frame,
            coalesced=_marked(self._coalesced, len(frame)),
            slow_parse=_marked(self._slow_parse, len(frame)),
            unstamped=_marked(self._unstamped, len(frame)),
        )
        # Cleared in place: the receive path holds on to these objects.
        for log in (self._connection, self._frame, self._arrival_us, self._size_bytes):
            del log[:]
        for marks in (self._coalesced, self._slow_parse, self._unstamped, self._heads):
            marks.clear()
        self.frames.clear()
        return arrivals


def _marked(indexes: list[int], size: int) -> NDArray[np.bool_]:
    marks = np.zeros(size, dtype=np.bool_)
    marks[indexes] = True
    return marks
