"""
What a server says on stderr: what goes on and on once a minute, and nothing that it would have to wait to be rid of.

A pipe that nobody reads, a terminal that is held (Ctrl-S) or a journal that is stuck would keep every tick, for ever.
Knows nothing of what is said. The time is that of the log records.
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
"""For as long a thing that was said is not said again."""

_PIECE_BYTES = 512
"""Of what is written at once: whatever says that it takes something takes as much, POSIX's PIPE_BUF."""
_POLLOUT = 4
"""<poll.h>"""
_poll: Any = ctypes.CDLL(None).poll  # that of the select module may be gevent's, which lets others run meanwhile


class OnceAMinute:
    """Lets one through, and the next one a minute later."""

    def __init__(self) -> None:
        self._let_s = -inf

    def lets(self, at_s: float) -> bool:
        """Say whether one at this time may pass; the clock may be set back meanwhile."""
        if 0 <= at_s - self._let_s < QUIET_S:
            return False
        self._let_s = at_s
        return True


class SparingLog:
    """Says the same thing, whatever its details, once a minute."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._things: dict[str, OnceAMinute] = {}  # by text; of few

    def say(self, text: str, *arguments: object, exc_info: BaseException | None = None) -> None:
        """Log ``text % arguments``, unless the same text was logged within a minute."""
        info = (type(exc_info), exc_info, exc_info.__traceback__) if exc_info else None
        name, level = self._logger.name, logging.ERROR
        record = self._logger.makeRecord(name, level, __file__, 0, text, arguments, info)
        if self._things.setdefault(text, OnceAMinute()).lets(record.created):
            self._logger.handle(record)


class Unhurried(io.RawIOBase):
    """
    Writes what a descriptor takes at once, and drops the rest of it; what comes then begins with how much is missing.

    A file takes everything.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._own = _opened_anew(descriptor)
        self._missing_bytes = 0
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def fileno(self) -> int:
        """Return the descriptor that it was given."""
        return self._descriptor

    def write(self, data: Any, /) -> int:
        """Take all of ``data``, whatever becomes of it; it is never waited for."""
        view = memoryview(data).cast("B")
        if self._missing_bytes:
            words = f"\n[{self._missing_bytes} bytes are missing here: nobody read them]\n"
            if self._write(memoryview(words.encode())):
                self._missing_bytes = 0
        if self._missing_bytes:
            self._missing_bytes += len(view)  # a whole that is missing is better than many torn lines
            return len(view)
        self._missing_bytes = len(view) - self._write(view)
        return len(view)

    def _write(self, view: memoryview) -> int:
        """Return how many bytes were taken."""
        taken = 0
        with suppress(OSError):  # whoever read it is gone
            while taken < len(view) and (self._own is not None or self._is_file or _takes(self._descriptor)):
                piece = view[taken:] if self._is_file else view[taken : taken + _PIECE_BYTES]
                taken += os.write(self._descriptor if self._own is None else self._own, piece)
        return taken


def let_nobody_keep_us() -> None:
    """Have stderr drop what can't be written at once, from here on."""
    if sys.stderr is not None:  # as it is where it is closed
        sys.stderr.flush()
        raw = Unhurried(sys.stderr.fileno())
        # Over a raw file, as python -u has it.
        sys.stderr = io.TextIOWrapper(raw, sys.stderr.encoding, "backslashreplace", write_through=True)


def _opened_anew(descriptor: int) -> int | None:
    """Return a pipe's descriptor of our own that never waits; None: whether it takes something has to be asked."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        with suppress(OSError):  # not of the same file: O_NONBLOCK would be set for all who share that
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return None


class _Polled(ctypes.Structure):
    _fields_ = (("descriptor", ctypes.c_int), ("events", ctypes.c_short), ("happened", ctypes.c_short))


def _takes(descriptor: int) -> bool:
    """Whether a write would not wait (poll(2))."""
    polled = _Polled(descriptor, _POLLOUT, 0)
    return _poll(ctypes.byref(polled), 1, 0) == 1 and bool(polled.happened & _POLLOUT)
