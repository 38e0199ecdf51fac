"""
How late the hub gets round to things: a timer of the kernel's whose every due time is compared with the clock.

Knows nothing of the load. Linux only, as is timerfd; ``gevent.sleep`` would add its own rounding to whole milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import TYPE_CHECKING, Any, Final

import gevent

from shared.measure.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_NS: Final = 20_000_000
_CLOCK_MONOTONIC: Final = 1
_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class DriftProbe:
    """Records the lag of the hub every 20 ms, from :meth:`start` to :meth:`stop`; a long one counts in each period."""

    def __init__(self) -> None:
        self.lag = Histogram()
        self._due_ns = 0
        self._timer = -1
        self._watcher: Any = None

    def start(self) -> bool:
        """Begin; return False where the system has no such timer."""
        self._due_ns = time.monotonic_ns() + PERIOD_NS
        self._timer = _create_timer(self._due_ns)
        if self._timer < 0:
            return False
        self._watcher = gevent.get_hub().loop.io(self._timer, 1)
        self._watcher.start(self._on_expired)
        return True

    def reset(self) -> None:
        """Forget the lags so far."""
        self.lag = Histogram()

    def stop(self) -> None:
        """Let go of the timer."""
        if self._timer >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._timer)
            self._timer = -1

    def _on_expired(self) -> None:
        expired = int.from_bytes(os.read(self._timer, 8), "little")
        now_ns = time.monotonic_ns()
        for _ in range(expired):
            self.lag.record((now_ns - self._due_ns) // 1000)
            self._due_ns += PERIOD_NS


def _create_timer(first_due_ns: int) -> int:
    """Return a readable descriptor of a periodic absolute timer, -1 without timerfd (Python has it from 3.13 on)."""
    library = ctypes.CDLL(None, use_errno=True)
    create: Callable[..., int] | None = getattr(library, "timerfd_create", None)
    if create is None:
        return -1
    timer = create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if timer < 0:
        return -1
    setting = _Itimerspec(_Timespec(0, PERIOD_NS), _Timespec(*divmod(first_due_ns, 1_000_000_000)))
    library.timerfd_settime(timer, _ABSOLUTE, ctypes.byref(setting), None)
    return timer
