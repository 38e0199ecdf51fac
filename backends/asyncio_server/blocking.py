"""Logs the stack of what blocks the event loop, with ``--debug-blocking``."""

import asyncio
import logging
import sys
import threading
import time
import traceback

from shared.server.config import BLOCKING_LIMIT_S

logger = logging.getLogger("tickbench")

BEAT_S = 0.01
"""How often the event loop, while it is watched, notes that it runs."""


class BlockingWatch:
    """
    A thread that, between :meth:`open` and :meth:`close`, logs the stack of an event loop that is blocked.

    It does so as long as that lasts: never within ``BLOCKING_LIMIT_S``, and surely after twice that and a beat.
    A stack that ends where the loop waits for events means that the machine held up the thread, not the code.

    asyncio's debug mode is of no use: its report, like uvloop's, names the task and where that waits afterwards, not
    what blocked; and a callback takes 11 to 22 times as long, so that it watches a different server.
    """

    def __init__(self) -> None:
        self._beat_at_s = 0.0
        self._next_beat: asyncio.TimerHandle | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin to watch the event loop of this thread."""
        self._beat(asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._watch, args=(threading.get_ident(),), name="blocking", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch, if it was begun."""
        if self._next_beat and self._thread:
            self._closing.set()
            self._thread.join()
            self._next_beat.cancel()

    # Private methods

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beat_at_s = time.monotonic()
        self._next_beat = loop.call_later(BEAT_S, self._beat, loop)

    def _watch(self, thread: int) -> None:
        while not self._closing.wait(BLOCKING_LIMIT_S):
            # By time, and not by a count of beats: while a C function holds the GIL, this thread can't count.
            blocked_s = time.monotonic() - self._beat_at_s - BEAT_S
            if blocked_s > BLOCKING_LIMIT_S:
                stack = "".join(traceback.format_stack(sys._current_frames()[thread]))  # noqa: SLF001 # no other way
                logger.warning("the event loop appears to be blocked, for %.0f ms so far:\n%s", blocked_s * 1000, stack)
