"""
The heap of a server: the same every time when it begins to serve, and looked through seldom from then on.

What importing leaves free swallows the first connections, hundreds of them, and more after a start that had to compile
its modules: what a connection weighs would depend on whether there were bytecode caches.

A full collection stops the server: it looks at every object of every connection, which is some 30 us each: 200 ms and
more of 6,500. Python makes one whenever what it looks at has grown by a quarter, so it never does here. What a
connection leaves to the collector is next to nothing, since nothing of ours holds itself in a circle: so it is called
where there is more than connections and rooms account for, and beside thousands of them only where it is far more.
How many young objects were looked at says nothing of that: the same few hundred come and go with every tick.

What is free is another matter: glibc keeps whatever lies below a block that is in use, and such blocks lie everywhere
after a crowd. It gives the pages back when it is told to, which takes a millisecond or so for every ten MiB.
"""

import ctypes
import gc
import sys
from collections import deque
from collections.abc import Callable

from shared.system.descriptors import open_descriptors

NEVER = 1_000_000_000
"""As the threshold of full collections: of the young objects only, Python makes its own."""

LOOK_EVERY_US = 1_000_000
LOOKS = 5
"""Of so many, one after the other, each has to find it: what thousands held who are leaving now is no garbage."""

BLOCKS_EACH = 250
"""Of Python's small objects, of a connection (155 to 175, and 60 more where it speaks as often as it may) or a room."""

LEAST_BLOCKS = 50_000
"""Some megabytes; to look through as many takes about 10 ms."""

ENDINGS = 100
"""Of connections and rooms: some megabytes at most, which are worth a look."""

TRIM_EVERY_US = 1_000_000
"""While thousands come and go: each look has little to give back, and takes as little time."""


def settle_heap() -> None:
    """Collect what importing left, give it back to the system where the C library can, and never look at the rest."""
    gc.collect()
    trim()
    gc.freeze()
    first, second, _ = gc.get_threshold()
    gc.set_threshold(first, second, NEVER)


def trim() -> None:
    """Give what is free back to the system, where the C library can."""
    # glibc's, whichever function frees; musl has none, and needs none: it gives back what is free by itself.
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)


class Heap:
    """
    What is looked at now and then while a server serves.

    ``give_back`` is what gives free memory back to the system, ``collect`` what collects garbage; ``count_blocks`` and
    ``count_descriptors`` say how many small objects there are, and how many connections and files.
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
        self._endings = 0  # since it was last called
        self._next_us = 0
        self._next_look_us = 0
        self._unexplained: deque[int] = deque(maxlen=LOOKS)  # blocks that no connection and no room accounts for
        self._in_use: int | None = None  # of those, what is no garbage: what a collection left, or what was at first

    def note_end(self) -> None:
        """Take note that a connection or a room has ended, and what it held is free."""
        self._endings += 1

    def tidy(self, seats: int, rooms: int, now_us: int) -> None:
        """Collect garbage where there is much beside what ``seats`` and ``rooms`` hold; give back what is free."""
        if now_us >= self._next_look_us:
            self._next_look_us = now_us + LOOK_EVERY_US
            self.collect_much(seats, rooms)
        self.give_back(now_us)

    def collect_much(self, seats: int, rooms: int) -> None:
        """Look how much there is that nothing accounts for; collect all garbage if for some looks it was much."""
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
        """Give back what is free, if many have ended since the last time."""
        if self._endings >= ENDINGS and now_us >= self._next_us:
            self._endings, self._next_us = 0, now_us + TRIM_EVERY_US
            self._give_back()
