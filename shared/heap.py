"""
The heap of a server: the same every time when it begins to serve, and looked through seldom from then on.

What importing leaves free swallows the first connections, hundreds of them, and more after a start that had to compile
its modules: what a connection weighs would depend on whether there were bytecode caches.

A full collection stops the server: it looks at every object of every connection, which is some 40 us each, and Python
makes one whenever what it looks at has grown by a quarter. Of 8,000 who came slowly one after the other, that kept
ticks waiting for 90, 110, 150, 230 and 350 ms. What a connection leaves to the collector is little, since nothing of
ours holds itself in a circle: so it is called where there is much of it beside what is in use.
"""

import ctypes
import gc

NEVER = 1_000_000_000
"""As the threshold of full collections: of the young objects only, Python makes its own."""

OBJECTS_A_CONNECTION = 60
"""Which the collector looks at, more or less."""

LEAST_OBJECTS = 50_000
"""Some megabytes; to look through as many takes about 5 ms."""

TIMES = 2
"""So many objects must have come for each that is in use, and what a pause takes is little beside what they took."""


def settle_heap() -> None:
    """Collect what importing left, give it back to the system where the C library can, and never look at the rest."""
    gc.collect()
    # glibc's, whichever function frees; musl has none, and needs none: it gives back what is free by itself.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    gc.freeze()
    first, second, _ = gc.get_threshold()
    gc.set_threshold(first, second, NEVER)


def tidy_heap(connections: int) -> bool:
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
