"""
How long a server was ready to run while others had its core: what they took is no attacker's doing.

The kernel counts it for every thread (Documentation/scheduler/sched-stats.rst); it is looked at every few hundredths of
a second, so that it can be told what was taken within the length of one silence.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

LOOK_EVERY_S = 0.025


def taken_ms(pids: list[int]) -> float:
    """Return for how long all threads of these processes have waited for a core so far, in milliseconds."""
    waited_ns = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(OSError):  # it has ended
                waited_ns += int((task / "schedstat").read_text("ascii").split()[1])
    return waited_ns / 1e6


class Taken:
    """Looks, from a thread, for the length of a ``with`` block."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids()
        self._seen: list[tuple[float, float]] = []  # when, in ms, and how much until then
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def within_ms(self, length_ms: float) -> float:
        """Return the most that was taken within any stretch of that length."""
        most, first = 0.0, 0
        for now, taken in self._seen:
            while self._seen[first][0] < now - length_ms:
                first += 1
            most = max(most, taken - self._seen[first][1])
        return min(most, length_ms)

    @property
    def all_ms(self) -> float:
        """What was taken from the first look to the last."""
        return self._seen[-1][1] - self._seen[0][1] if self._seen else 0.0

    def _look(self) -> None:
        while True:
            self._seen.append((time.monotonic() * 1000, taken_ms(self._pids)))
            if self._over.wait(LOOK_EVERY_S):
                return
