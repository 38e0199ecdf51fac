"""
Measures how late gevent's hub gets to its callbacks, by a kernel timer whose due times are compared with the clock.

Linux only, as is timerfd; ``gevent.sleep`` would add its own rounding to whole milliseconds.
"""

import os
import time
from typing import Any, Final

import gevent

from shared.measure.histogram import Histogram
from shared.system.timerfd import MONOTONIC, create_timer, expirations, set_timer

PERIOD_NS: Final = 20_000_000


class HubLag:
    """Records the hub's lag every 20 ms in us, from :meth:`start` to :meth:`stop`; a long one counts in each period."""

    def __init__(self) -> None:
        self.lag = Histogram()
        self._due_ns = 0
        self._timer = -1
        self._watcher: Any = None

    def start(self) -> bool:
        """Begin; return False where the system has no such timer."""
        self._timer = create_timer(MONOTONIC)
        if self._timer < 0:
            return False
        self._due_ns = time.monotonic_ns() + PERIOD_NS
        set_timer(self._timer, self._due_ns, PERIOD_NS)
        self._watcher = gevent.get_hub().loop.io(self._timer, 1)
        self._watcher.start(self._on_expired)
        return True

    def renew(self) -> Histogram:
        """Begin anew; return what was recorded up to now, by which also counts what is due and was not read yet."""
        if self._timer >= 0:
            self._on_expired()
        recorded, self.lag = self.lag, Histogram()
        return recorded

    def stop(self) -> None:
        """Release the timer."""
        if self._timer >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._timer)
            self._timer = -1

    def _on_expired(self) -> None:
        expired = expirations(self._timer)
        now_ns = time.monotonic_ns()
        for _ in range(expired):
            self.lag.record((now_ns - self._due_ns) // 1000)
            self._due_ns += PERIOD_NS
