"""
Asks the kernel for short time slices, so that a process that wakes up need not wait until a busy one has had its own.

Linux hands a core over when the running process has had its slice (some ms), however nice it is: a process that wants
to run at once asks for short slices for itself. Linux 6.12 and later, without privileges; older ones ignore it.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any, Final

_RESET_ON_FORK: Final = 1
_NUMBERS: Final = {"x86_64": 314, "aarch64": 274}
"""Of sched_setattr(2), which the C library has from glibc 2.41 on."""


class _Attributes(ctypes.Structure):
    """The first version of struct sched_attr, see sched_setattr(2)."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def ask_for_slices(slice_ns: int) -> bool:
    """
    Ask for slices of ``slice_ns`` for this thread; the kernel takes less as 100,000.

    Its children and its other threads, new ones too, have the usual slices, and no nice level below 0. Return False
    where that is impossible: the thread's scheduling policy is not the usual one, or the system has no such call.
    """
    number = _NUMBERS.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    library: Any = ctypes.CDLL(None, use_errno=True)
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _Attributes(ctypes.sizeof(_Attributes), os.SCHED_OTHER, _RESET_ON_FORK, nice, 0, slice_ns, 0, 0)
    return bool(library.syscall(number, 0, ctypes.byref(attributes), 0) == 0)
