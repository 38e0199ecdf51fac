"""Tells on stderr the stack of what blocks an event loop, with ``--debug-blocking``."""

import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Self

BLOCKING_LIMIT_S = 0.05
"""A tick's period at the default rate; what blocks the event loop for longer is named."""

BEAT_S = 0.01
"""How often an event loop that is watched says that it runs."""


class BlockingWatch:
    """
    A thread, as long as this is entered, that tells the stack of an event loop which does not :meth:`beat`.

    It does so as long as that lasts: never within ``BLOCKING_LIMIT_S``, and surely after twice that and a beat. A stack
    that ends where the loop waits for events means that the machine held up the thread, not the code.

    ``start``, ``new_lock`` and ``thread_id`` are those of :mod:`_thread`, as they were before any patch.

    What the libraries have is of little use: asyncio's debug mode and uvloop's name the task and where it waits
    afterwards, not what blocked, and a callback takes 11 to 22 times as long; gevent's monitor sees nothing that blocks
    in the hub itself, and holds up everybody while it formats the stacks of all greenlets (40 ms for 600 of them).
    """

    def __init__(self, start: Callable[..., Any], new_lock: Callable[[], Any], thread_id: Callable[[], int]) -> None:
        self._start = start
        self._is_watching = new_lock()
        self._thread = thread_id()  # the event loop's
        self._beat_at_s = 0.0

    def __enter__(self) -> Self:
        """Begin to watch the event loop of this thread."""
        self.beat()
        self._is_watching.acquire()
        self._start(self._watch, ())
        return self

    def __exit__(self, *_: object) -> None:
        """End the watch."""
        self._is_watching.release()

    def beat(self) -> None:
        """Note that the event loop runs; to be called every ``BEAT_S``."""
        self._beat_at_s = time.monotonic()

    def _watch(self) -> None:
        while not self._is_watching.acquire(timeout=BLOCKING_LIMIT_S):
            # By time, and not by a count of beats: while a C function holds the GIL, this thread can't count.
            blocked_s = time.monotonic() - self._beat_at_s - BEAT_S
            if blocked_s > BLOCKING_LIMIT_S:
                stack = "".join(traceback.format_stack(sys._current_frames()[self._thread]))  # noqa: SLF001 # no other way
                at, ms = time.strftime("%F %T"), round(blocked_s * 1000)
                told = f"{at} the event loop appears to be blocked, for {ms} ms so far:\n{stack}"
                print(told, end="", file=sys.stderr)  # noqa: T201 # the lock of a patched logging is not for a thread
