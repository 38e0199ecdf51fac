"""
Absolute timers of the kernel's as readable descriptors (Linux, timerfd_create(2)), which don't round to milliseconds.

By ctypes: Python has them from 3.13 on, and 3.11 is the least that is supported. Knows nothing of event loops.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME
REALTIME: Final = 0
MONOTONIC: Final = 1
"""The clocks, by the numbers of <time.h>."""


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


def create_timer(clock: int) -> int:
    """Return the descriptor of a timer that is not set, -1 where the system has none."""
    create: Callable[..., int] | None = getattr(_library(), "timerfd_create", None)
    return -1 if create is None else create(clock, os.O_NONBLOCK | os.O_CLOEXEC)


def set_timer(timer: int, due_ns: int, period_ns: int = 0) -> None:
    """Have the timer expire at ``due_ns`` of its clock, and every ``period_ns`` from then on; 0: just once."""
    setting = _Itimerspec(_Timespec(*divmod(period_ns, 1_000_000_000)), _Timespec(*divmod(due_ns, 1_000_000_000)))
    _library().timerfd_settime(timer, _ABSOLUTE, ctypes.byref(setting), None)


def expirations(timer: int) -> int:
    """Return how often the timer has expired since it was last read."""
    try:
        return int.from_bytes(os.read(timer, 8), "little")
    except BlockingIOError:
        return 0


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
