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
from shared.wire.deflate import Agreement, InflateError, Inflater

Integers = NDArray[np.int64]

MAX_REMEMBERED_BYTES: Final = 4096
"""Longer texts are not remembered but parsed each time: to read them takes longer than to parse their heads."""
MAX_RECENT: Final = 64
"""Reads of a room that are remembered at a time: ticks that come late are of the last few."""
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
COLUMNS: Final = 3
PLAIN_TEXT: Final = 0x81
COMPRESSED_TEXT: Final = 0xC1
"""What a frame begins with that is a whole text (RFC 6455, 5.2; RFC 7692, section 6)."""
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
    wire_bytes: Integers
    """Of the frames that it came in."""
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
    The last whole read of a room that was exactly one tick frame, for those who agreed on the same extensions.

    Many connections get the same bytes for the same tick: a read that equals it needs no parsing, and no inflating.
    Where each connection has a context of its own, no read equals another, but what is inflated of it does.

    """

    __slots__ = ("has_contexts", "inflater", "number", "read", "recent", "room", "size", "take_row", "take_stamp")

    def __init__(self, rows: list[int], stamps: bytearray, room: str = "", agreement: Agreement | None = None) -> None:
        self.take_row = rows.extend
        self.take_stamp = stamps.extend
        self.room = room
        self.has_contexts = agreement is not None and not agreement.server_no_context_takeover
        """Whether :attr:`read` is a text, inflated."""
        self.inflater: Inflater | None = None
        """Of a compressed read, where it is the same for all."""
        if agreement is not None and not self.has_contexts:
            self.inflater = agreement.client_inflater(MAX_MESSAGE_BYTES)
        self.recent: dict[bytes, int] = {}
        """Numbers of frames by read, for those that come when others have the next tick already."""
        self.forget()

    def forget(self) -> None:
        """Equal nothing: no read has a size of -1."""
        self.read = b""
        self.size = -1
        self.number = 0
        """The frame's number in the log."""
        self.recent.clear()


class ArrivalLog:
    """
    Appends arrivals; :meth:`drain` hands them over.

    The receive path holds on to :attr:`rows` and :attr:`stamps`, which therefore stay the same objects.

    """

    def __init__(self) -> None:
        self.rows: list[int] = []
        """:data:`COLUMNS` for each arrival: connection, number of the frame, bytes of the frames on the wire."""
        self.stamps = bytearray()
        """:data:`~loadtests.receive.stamps.STAMP_BYTES` for each arrival, as the kernel gave them."""
        self.numbers: dict[bytes, int] = {}
        """
        Numbers of frames by text, for reads that are not exactly one frame: a generator that has fallen behind gets
        many frames in one read, and must not fall further behind for that.
        """
        self.steps = StepLog()
        """The digests of the first room's ticks."""
        self._latest: dict[tuple[str, Agreement | None], Latest] = {}
        self._fresh: list[Latest] = []
        self._frames: list[ArrivedTick] = []
        self._coalesced: list[int] = []
        self._slow_parse: list[int] = []
        self._unstamped: list[int] = []

    def __len__(self) -> int:
        return len(self.rows) // COLUMNS

    # Frames

    def latest(self, room: str, agreement: Agreement | None = None) -> Latest:
        """Return the last read of a room, and an agreement; always the same object."""
        key = (room, agreement)
        if key not in self._latest:
            self._latest[key] = Latest(self.rows, self.stamps, room, agreement)
        return self._latest[key]

    def number_of(self, latest: Latest, read: bytes) -> int | None:
        """Return the number of a read of a room, which is known or can be learnt; None if it is no whole tick frame."""
        number = latest.recent.get(read) if len(read) <= MAX_REMEMBERED_BYTES else None
        # One that comes late does not become the latest: the others still get that.
        return latest.number if number is None and self.learn(latest, read) else number

    def learn(self, latest: Latest, read: bytes) -> bool:
        """
        Remember a read as the latest of its room if it is one whole tick frame of valid UTF-8; return whether.

        Nothing is ever learnt so where connections have contexts: what is inflated can't be inflated again.

        """
        start = payload_start(read)
        if not start or latest.has_contexts:
            return False
        text = read[start:]
        if read[0] == COMPRESSED_TEXT:
            if latest.inflater is None:
                return False
            try:
                text = latest.inflater.inflate(text)
            except InflateError:
                return False  # whoever takes it apart will say so
        if not is_utf8(text):
            return False
        number = self.parse(text[:HEAD_BYTES], len(text))
        if number is None:
            return False
        self.renew(latest, read, number)
        if len(read) <= MAX_REMEMBERED_BYTES:
            if len(latest.recent) == MAX_RECENT:  # a server that tells each something else
                latest.recent.clear()
            latest.recent[read] = number
        self.note_step(latest, number, text)
        return True

    def renew(self, latest: Latest, read: bytes, number: int) -> None:
        """Remember what is the latest of a room, up to the next drain."""
        latest.read, latest.size, latest.number = read, len(read), number
        self._fresh.append(latest)

    def remember(self, text: bytes, number: int) -> None:
        """Remember the number of a text, so that it is not parsed again."""
        if len(text) <= MAX_REMEMBERED_BYTES:
            self.numbers[text] = number

    def note_step(self, latest: Latest, number: int, text: bytes) -> None:
        """Take down the digest of a tick frame, if it is one of the first room."""
        if latest.room == next(iter(self._latest))[0]:
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

    def append(self, connection: int, frame: int, stamp: bytes, wire_bytes: int = 0) -> None:
        """Log that ``frame``, by its number, arrived on ``connection``; now, where the kernel gave no stamp."""
        if not stamp:
            self._unstamped.append(len(self))
            stamp = packed_now()
        self.rows.extend((connection, frame, wire_bytes))
        self.stamps.extend(stamp)

    def mark_coalesced(self) -> None:
        """Say of the last arrival that other bytes were read behind it, so that its time is an upper bound."""
        self._coalesced.append(len(self) - 1)

    def mark_slow_parse(self) -> None:
        """Say of the last arrival that its head was not as the protocol writes it."""
        self._slow_parse.append(len(self) - 1)

    def drain(self) -> Arrivals:
        """Return everything that was logged, and forget it."""
        rows = np.array(self.rows, dtype=np.int64).reshape(-1, COLUMNS)
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
            wire_bytes=rows[:, 2],
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


def payload_start(read: bytes | memoryview) -> int:
    """Return where the text of a read begins that is one whole frame, compressed or not; 0 where it is none."""
    size = len(read)
    if size < 2 or read[0] not in {PLAIN_TEXT, COMPRESSED_TEXT} or read[1] > 126:
        return 0
    start = 4 if read[1] == 126 else 2
    return start if size == start + (read[1] if start == 2 else int.from_bytes(read[2:4], "big")) else 0


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
