"""
Manages a server's memory: the same heap at every start, full garbage collections only when needed.

The memory that importing leaves free is enough for the first hundreds of connections, and for more after a start that
had to compile its modules: without a clean start, the memory of a connection would depend on bytecode caches.

A full collection stops the server, as it looks at every object of every connection: some 30 us for each, so 200 ms and
more for 6,500. Python starts one whenever the objects have grown by a quarter; here it never does. Connections
leave next to nothing to the collector, since nothing of ours is in reference cycles: so it is called where there is
more than connections and rooms account for, and with thousands of them only where it is far more. The number of young
objects says nothing about that: the same few hundred come and go with every tick.

glibc keeps free memory that lies below a block in use, and such blocks lie everywhere after a crowd. It returns these
pages when it is told to, which takes a millisecond or so for every ten MiB.
"""

import ctypes
import gc
import sys
from collections import deque
from collections.abc import Callable

from shared.system.descriptors import open_descriptors

NEVER = 1_000_000_000
"""The threshold of full collections; Python goes on collecting young objects by itself."""

LOOK_EVERY_US = 1_000_000
LOOKS = 5
"""So many in a row have to find garbage: what is left of thousands of connections that are just ending is none."""

BLOCKS_EACH = 250
"""Small objects of a room or a connection, in Python's count: 155 to 175, and 60 more where it sends all it may."""

LEAST_BLOCKS = 50_000
"""The least garbage to collect: some megabytes; to look through as many takes about 10 ms."""

ENDINGS = 100
"""Of connections and rooms, after which free memory is returned: some megabytes at most."""

OF_AN_ECHO = 20
"""Endings that the end of a connection to ``/echo`` counts for: it may have held a MiB, others some tens of KiB."""

TRIM_EVERY_US = 1_000_000
"""While thousands come and go: so each time there is little to return, which takes little time."""


def settle_heap() -> None:
    """Collect the garbage of importing, return free memory to the system, and exempt what is left from collections."""
    gc.collect()
    trim()
    gc.freeze()
    first, second, _ = gc.get_threshold()
    gc.set_threshold(first, second, NEVER)


def trim() -> None:
    """Return free memory to the system, where the C library can."""
    # Of glibc. musl has none and needs none: it returns free memory by itself.
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)


class Heap:
    """
    Collects garbage and returns free memory now and then while a server serves.

    ``give_back`` returns free memory to the system, ``collect`` collects garbage; ``count_blocks`` and
    ``count_descriptors`` return how many small objects there are, and how many connections and files.
    """

    def __init__(
        self,
        give_back: Callable[[], object] = trim,
        collect: Callable[[], object] = gc.collect,
        count_blocks: Callable[[], int] = sys.getallocatedblocks,
        count_descriptors: Callable[[], int] = open_descriptors,
    ) -> None:
        self._give_back = give_back
        self._collect = collect
        self._count_blocks = count_blocks
        self._count_descriptors = count_descriptors
        self._endings = 0  # since memory was last returned
        self._next_us = 0
        self._next_look_us = 0
        self._unexplained: deque[int] = deque(maxlen=LOOKS)  # blocks that no connection and no room accounts for
        self._in_use: int | None = None  # of those, what is no garbage: what the last collection, or the start, left

    def note_end(self, endings: int = 1) -> None:
        """Note that a connection or a room has ended, so that its memory is free: what ``endings`` usually hold."""
        self._endings += endings

    def tidy(self, seats: int, rooms: int, now_us: int) -> None:
        """Collect garbage where there is much beside what ``seats`` and ``rooms`` hold; return free memory."""
        if now_us >= self._next_look_us:
            self._next_look_us = now_us + LOOK_EVERY_US
            self.collect_much(seats, rooms)
        self.give_back(now_us)

    def collect_much(self, seats: int, rooms: int) -> None:
        """Count what nothing accounts for; collect all garbage if that has been much in ``LOOKS`` calls in a row."""
        blocks, accounted = self._count_blocks(), BLOCKS_EACH * (seats + rooms)
        if self._in_use is None:
            self._in_use = blocks - accounted
        if blocks - accounted - self._in_use >= LEAST_BLOCKS:  # there may be thousands who have no seat
            accounted = BLOCKS_EACH * (max(seats, self._count_descriptors()) + rooms)
        self._unexplained.append(blocks - accounted)
        lasting = min(self._unexplained)
        if len(self._unexplained) == LOOKS and lasting - self._in_use >= LEAST_BLOCKS + accounted:
            self._collect()
            self._unexplained.clear()
            self._in_use = self._count_blocks() - accounted  # or what is no garbage would be looked through again

    def give_back(self, now_us: int) -> None:
        """Return free memory, if many connections and rooms have ended since the last time."""
        if self._endings >= ENDINGS and now_us >= self._next_us:
            self._endings, self._next_us = 0, now_us + TRIM_EVERY_US
            self._give_back()
