"""
Puts the heap of a process that has started, and not yet served, into a state that is the same every time.

What importing leaves free swallows the first connections, hundreds of them, and more after a start that had to compile
its modules: what a connection weighs would depend on whether there were bytecode caches.
"""

import ctypes
import gc


def settle_heap() -> None:
    """Collect what importing left, give it back to the system where the C library can, and never look at the rest."""
    gc.collect()
    # glibc's, whichever function frees; musl has none, and needs none: it gives back what is free by itself.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    gc.freeze()
