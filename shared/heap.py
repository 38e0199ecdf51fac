"""
The heap of a server: the same every time when it begins to serve, and looked through seldom from then on.

What importing leaves free swallows the first connections, hundreds of them, and more after a start that had to compile
its modules: what a connection weighs would depend on whether there were bytecode caches.

A full collection stops the server: it looks at every object of every connection, which is some 40 us each, and Python
makes one whenever what it looks at has grown by a quarter. Of 8,000 who came slowly one after the other, that kept
ticks waiting for 90, 110, 150, 230 and 350 ms. What a connection leaves to the collector is little, since nothing of
ours holds itself in a circle: so it is called where there is much of it beside what is in use.

What is free is another matter: glibc keeps whatever lies below a block that is in use, and such blocks lie everywhere
after a crowd. It gives the pages back when it is told to, which takes a millisecond or so for every ten MiB.
"""

import ctypes
import gc
from collections.abc import Callable

NEVER = 1_000_000_000
"""As the threshold of full collections: of the young objects only, Python makes its own."""

OBJECTS_A_CONNECTION = 60
"""Which the collector looks at, more or less."""

LEAST_OBJECTS = 50_000
"""Some megabytes; to look through as many takes about 5 ms."""

TIMES = 2
"""So many objects must have come for each that is in use, and what a pause takes is little beside what they took."""


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

    ``give_back`` is what gives free memory back to the system.
    """

    def __init__(self, give_back: Callable[[], None] = trim) -> None:
        self._give_back = give_back
        self._endings = 0  # since it was last called
        self._next_us = 0

    def note_end(self) -> None:
        """Take note that a connection or a room has ended, and what it held is free."""
        self._endings += 1

    def tidy(self, connections: int, now_us: int) -> None:
        """Collect garbage where there is much beside what ``connections`` have in use; give back what is free."""
        collect_much(connections)
        self.give_back(now_us)

    def give_back(self, now_us: int) -> None:
        """Give back what is free, if many have ended since the last time."""
        if self._endings >= ENDINGS and now_us >= self._next_us:
            self._endings, self._next_us = 0, now_us + TRIM_EVERY_US
            self._give_back()


def collect_much(connections: int) -> bool:
    """
    Collect all garbage if there may be much of it beside what so many ``connections`` have in use; say whether it was.

    How many objects have come since the last time, and not gone again, is known from the collections of young ones.
    """
    first, second, _ = gc.get_threshold()
    came = gc.get_count()[2] * first * second
    if came < LEAST_OBJECTS + TIMES * OBJECTS_A_CONNECTION * connections:
        return False
    gc.collect()
    return True
