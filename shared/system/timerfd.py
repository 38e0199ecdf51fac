"""
The kernel's absolute timers as readable descriptors (Linux, timerfd_create(2)), which don't round to milliseconds.

From the standard library where it has them (Python 3.13), else by the same system calls through ctypes.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Final

REALTIME: Final = 0
MONOTONIC: Final = 1
"""The clocks, by the numbers of <time.h>."""

_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


_library: Final = ctypes.CDLL(None, use_errno=True)
_create: Final[Any] = getattr(_library, "timerfd_create", None)
_set: Final[Any] = getattr(_library, "timerfd_settime", None)


def has_timers() -> bool:
    """Return whether the system has such timers."""
    return _create is not None


def create_timer(clock: int) -> int:
    """Return the descriptor of a timer that is not set, -1 where the system has none."""
    if _create is None:
        return -1
    if sys.version_info >= (3, 13):
        return os.timerfd_create(clock, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
    timer: int = _create(clock, os.O_NONBLOCK | os.O_CLOEXEC)
    return timer


def set_timer(timer: int, due_ns: int, period_ns: int = 0) -> None:
    """Have the timer expire at ``due_ns`` of its clock, and every ``period_ns`` from then on; 0: just once."""
    if sys.version_info >= (3, 13):
        os.timerfd_settime_ns(timer, flags=os.TFD_TIMER_ABSTIME, initial=due_ns, interval=period_ns)
        return
    setting = _Itimerspec(_Timespec(*divmod(period_ns, 1_000_000_000)), _Timespec(*divmod(due_ns, 1_000_000_000)))
    _set(timer, _ABSOLUTE, ctypes.byref(setting), None)


def expirations(timer: int) -> int:
    """Return how often the timer has expired since it was last read."""
    try:
        return int.from_bytes(os.read(timer, 8), sys.byteorder)
    except BlockingIOError:
        return 0
