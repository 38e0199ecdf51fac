"""
Logs which tick frame arrived when, on which connection: the receive path appends to it, the recorder drains it.

Everything here is on the path of every frame, so it only appends integers and bytes; numpy does the rest, five times a
second.
"""

import re
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtests.receive.stamps import STAMP_BYTES, packed_now
from loadtests.receive.steps import StepLog

Integers = NDArray[np.int64]

MAX_REMEMBERED_BYTES: Final = 4096
"""Longer texts are not remembered but parsed each time: to read them takes longer than to parse their heads."""
HEAD_BYTES: Final = 66
"""The longest head of a tick frame: three numbers of 18 digits."""

_HEAD: Final = re.compile(rb'\[\["tick",(\d{1,18}),(\d{1,18}),(\d{1,18})\]')


class ArrivedTick(NamedTuple):
    """The arguments of a ``tick`` command, and the length of the text that begins with it."""

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
    """The number of the frame among the different frames of this drain."""
    coalesced: NDArray[np.bool_]
    slow_parse: NDArray[np.bool_]
    unstamped: NDArray[np.bool_]
    """The kernel gave no receive timestamp: the time is that of the read."""


class SortedArrivals(NamedTuple):
    """Arrivals sorted by connection and, within one, in order of reading."""

    connection: Integers
    n: Integers
    due_us: Integers
    sent_us: Integers
    arrival_us: Integers
    """On a steady clock; the server's is ahead of it by the present estimate."""
    placed_us: Integers
    """The time that decides whether a tick is in the window: see :func:`~loadtests.account.room_ticks.placed_us`."""
    measured: NDArray[np.bool_]


class Latest:
    """
    The last whole read of a room that was exactly one tick frame.

    Many connections get the same bytes for the same tick: a read that equals it needs no parsing.

    """

    __slots__ = ("number", "read", "size", "take_row", "take_stamp")

    def __init__(self, rows: list[int], stamps: bytearray) -> None:
        self.take_row = rows.extend
        self.take_stamp = stamps.extend
        self.forget()

    def forget(self) -> None:
        """Equal nothing: no read has a size of -1."""
        self.read = b""
        self.size = -1
        self.number = 0
        """The frame's number in the log."""


class ArrivalLog:
    """
    Appends arrivals; :meth:`drain` hands them over.

    The receive path holds on to :attr:`rows` and :attr:`stamps`, which therefore stay the same objects.

    """

    def __init__(self) -> None:
        self.rows: list[int] = []
        """Two for each arrival: connection, number of the frame."""
        self.stamps = bytearray()
        """:data:`~loadtests.receive.stamps.STAMP_BYTES` for each arrival, as the kernel gave them."""
        self.numbers: dict[bytes, int] = {}
        """
        Numbers of frames by text, for reads that are not exactly one frame: a generator that has fallen behind gets
        many frames in one read, and must not fall further behind for that.
        """
        self.steps = StepLog()
        """The digests of the first room's ticks."""
        self._latest: dict[str, Latest] = {}
        self._fresh: list[Latest] = []
        self._frames: list[ArrivedTick] = []
        self._coalesced: list[int] = []
        self._slow_parse: list[int] = []
        self._unstamped: list[int] = []

    def __len__(self) -> int:
        return len(self.rows) // 2

    # Frames

    def latest(self, room: str) -> Latest:
        """Return the last read of a room; always the same object."""
        if room not in self._latest:
            self._latest[room] = Latest(self.rows, self.stamps)
        return self._latest[room]

    def learn(self, latest: Latest, read: bytes) -> bool:
        """Remember a read as the latest of its room if it is one whole tick frame of valid UTF-8; return whether."""
        size = len(read)
        if size < 2 or read[0] != 0x81 or read[1] > 126:
            return False
        start = 4 if read[1] == 126 else 2
        length = read[1] if start == 2 else int.from_bytes(read[2:4], "big")
        if start + length != size or not is_utf8(read[start:]):
            return False
        number = self.parse(read[start : start + HEAD_BYTES], length)
        if number is None:
            return False
        latest.read, latest.size, latest.number = read, size, number
        self._fresh.append(latest)
        self.note_step(latest, number, read[start:])
        return True

    def remember(self, text: bytes, number: int) -> None:
        """Remember the number of a text, so that it is not parsed again."""
        if len(text) <= MAX_REMEMBERED_BYTES:
            self.numbers[text] = number

    def note_step(self, latest: Latest, number: int, text: bytes) -> None:
        """Take down the digest of a tick frame, if it is one of the first room."""
        if latest is next(iter(self._latest.values()), None):
            self.steps.take(self._frames[number].n, text)

    def parse(self, head: bytes, size_bytes: int) -> int | None:
        """Give a number to a text that begins with ``head``; None if it is not that of a tick frame."""
        match = _HEAD.match(head)
        if match is None:
            return None
        n, due_us, sent_us = match.groups()
        return self.add(ArrivedTick(int(n), int(due_us), int(sent_us), size_bytes))

    def add(self, frame: ArrivedTick) -> int:
        """Give the next number to a frame."""
        self._frames.append(frame)
        return len(self._frames) - 1

    def frame(self, number: int) -> ArrivedTick:
        """Return a frame by its number."""
        return self._frames[number]

    # Arrivals

    def append(self, connection: int, frame: int, stamp: bytes) -> None:
        """Log that ``frame``, by its number, arrived on ``connection``; now, where the kernel gave no stamp."""
        if not stamp:
            self._unstamped.append(len(self))
            stamp = packed_now()
        self.rows.extend((connection, frame))
        self.stamps.extend(stamp)

    def mark_coalesced(self) -> None:
        """Say of the last arrival that other bytes were read behind it, so that its time is an upper bound."""
        self._coalesced.append(len(self) - 1)

    def mark_slow_parse(self) -> None:
        """Say of the last arrival that its head was not as the protocol writes it."""
        self._slow_parse.append(len(self) - 1)

    def drain(self) -> Arrivals:
        """Return everything that was logged, and forget it."""
        rows = np.array(self.rows, dtype=np.int64).reshape(-1, 2)
        frames = np.array(self._frames, dtype=np.int64).reshape(-1, 4)
        # Seconds and nanoseconds are the first two of the 64-bit numbers of a stamp.
        stamps = np.frombuffer(bytes(self.stamps), dtype=np.int64).reshape(-1, STAMP_BYTES // 8)
        frame = rows[:, 1]
        arrivals = Arrivals(
            connection=rows[:, 0],
            n=frames[frame, 0],
            due_us=frames[frame, 1],
            sent_us=frames[frame, 2],
            size_bytes=frames[frame, 3],
            arrival_us=stamps[:, 0] * 1_000_000 + stamps[:, 1] // 1000,
            frame=frame,
            coalesced=_marked(self._coalesced, len(rows)),
            slow_parse=_marked(self._slow_parse, len(rows)),
            unstamped=_marked(self._unstamped, len(rows)),
        )
        for logged in (self.rows, self.stamps, self._frames, self._coalesced, self._slow_parse, self._unstamped):
            logged.clear()
        self.numbers.clear()
        for latest in self._fresh:  # their numbers are gone
            latest.forget()
        self._fresh.clear()
        return arrivals


def is_utf8(text: bytes | memoryview) -> bool:
    """Return whether a text is valid UTF-8."""
    try:
        str(text, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _marked(indexes: list[int], size: int) -> NDArray[np.bool_]:
    marks = np.zeros(size, dtype=np.bool_)
    marks[indexes] = True
    return marks
