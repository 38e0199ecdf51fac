"""
Logging to stderr that never blocks a server, and that repeats the same message once a minute at most.

A pipe that nobody reads, a terminal that is held (Ctrl-S) or a journal that is stuck would hold up every tick, for
ever. The time is that of the log records.
"""

import ctypes
import io
import logging
import os
import stat
import sys
from contextlib import suppress
from math import inf
from typing import Any

QUIET_S = 60.0
"""For as long the same message is not repeated."""

_PIECE_BYTES = 512
"""Written at once: whatever poll(2) says is writable takes as much (PIPE_BUF in POSIX)."""
_POLLOUT = 4
"""<poll.h>"""
_poll: Any = ctypes.CDLL(None).poll  # that of the select module may be gevent's, which switches greenlets


class OnceAMinute:
    """Lets one event through, and the next one only a minute later."""

    def __init__(self) -> None:
        self._let_s = -inf

    def lets(self, at_s: float) -> bool:
        """Say whether an event at this time may pass; the clock may have been set back."""
        if 0 <= at_s - self._let_s < QUIET_S:
            return False
        self._let_s = at_s
        return True


class SparingLog:
    """Logs the same message, whatever its arguments, once a minute at most."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._things: dict[str, OnceAMinute] = {}  # by text, of which there are few

    def say(self, text: str, *arguments: object, exc_info: BaseException | None = None) -> None:
        """Log ``text % arguments``, unless the same text was logged within a minute."""
        info = (type(exc_info), exc_info, exc_info.__traceback__) if exc_info else None
        name, level = self._logger.name, logging.ERROR
        record = self._logger.makeRecord(name, level, __file__, 0, text, arguments, info)
        if self._things.setdefault(text, OnceAMinute()).lets(record.created):
            self._logger.handle(record)


class Unhurried(io.RawIOBase):
    """
    Writes what a descriptor takes at once and drops the rest; the next write begins with how many bytes are missing.

    A regular file takes everything.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._own = _opened_anew(descriptor)
        self._missing_bytes = 0
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor that it was given."""
        return self._descriptor

    def write(self, data: Any, /) -> int:
        """Write or drop ``data``, without waiting; return its length."""
        view = memoryview(data).cast("B")
        if self._missing_bytes:
            words = f"\n[{self._missing_bytes} bytes are missing here: nobody read them]\n"
            if self._write(memoryview(words.encode())):
                self._missing_bytes = 0
        if self._missing_bytes:
            self._missing_bytes += len(view)  # one large gap is better than many torn lines
            return len(view)
        self._missing_bytes = len(view) - self._write(view)
        return len(view)

    def _write(self, view: memoryview) -> int:
        """Return how many bytes were taken."""
        taken = 0
        with suppress(OSError):  # its reader is gone
            while taken < len(view) and (self._own is not None or self._is_file or _takes(self._descriptor)):
                piece = view[taken:] if self._is_file else view[taken : taken + _PIECE_BYTES]
                taken += os.write(self._descriptor if self._own is None else self._own, piece)
        return taken


def let_nobody_keep_us() -> None:
    """Have stderr drop what can't be written at once, from now on."""
    if sys.stderr is not None:  # as it is where it is closed
        sys.stderr.flush()
        raw = Unhurried(sys.stderr.fileno())
        # Over a raw file, as python -u has it.
        sys.stderr = io.TextIOWrapper(raw, sys.stderr.encoding, "backslashreplace", write_through=True)


def _opened_anew(descriptor: int) -> int | None:
    """Return a non-blocking descriptor of our own for a pipe; None: poll(2) has to be asked before each write."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with suppress(OSError):  # opened, not duplicated: O_NONBLOCK would be set for all who share the open file
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return None


class _Polled(ctypes.Structure):
    _fields_ = (("descriptor", ctypes.c_int), ("events", ctypes.c_short), ("happened", ctypes.c_short))


def _takes(descriptor: int) -> bool:
    """Whether a write would not wait (poll(2))."""
    polled = _Polled(descriptor, _POLLOUT, 0)
    return _poll(ctypes.byref(polled), 1, 0) == 1 and bool(polled.happened & _POLLOUT)
