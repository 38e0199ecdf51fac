"""
How many file descriptors this process may have open (RLIMIT_NOFILE), and how many are reserved.

The kernel gives the lowest number that is free, so the number of a connection tells how near the limit is.
"""

import errno
import logging
import os
import resource
import sys

from shared.system.logs import OnceAMinute

KEPT = 64
"""How many are reserved of a large limit: one half for connections of /stats and the like, one for our own files."""
OUT_OF_THEM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
"""Why accept(2) fails although there is a connection."""


def descriptor_limits() -> tuple[int, int]:
    """Return the soft limit and the hard limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def allow_many_descriptors() -> int:
    """Raise the soft limit to the hard one, as every connection takes a descriptor; return it."""
    _, hard = descriptor_limits()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def open_descriptors() -> int:
    """Return how many this process has open; of thousands that takes some milliseconds."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 # makes no path of each


def seats_end() -> int:
    """Return the first descriptor that gets no seat: an upgrade request on it or above is refused over HTTP."""
    limit = _limit()
    return limit - _kept(limit)


def connections_end() -> int:
    """Return the first descriptor on which no request is read: those below it are enough for /stats and the like."""
    limit = _limit()
    return limit - _kept(limit) // 2


class ShortageFilter(logging.Filter):
    """Logs in one line, once a minute, that a connection can't be accepted: libraries log a traceback each time."""

    def __init__(self) -> None:
        super().__init__()
        self._gate = OnceAMinute()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is logged; shorten one that tells of a shortage to a line."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, OSError) or error.errno not in OUT_OF_THEM:
            return True
        if not self._gate.lets(record.created):
            return False
        record.msg, record.args = "newcomers wait: a connection can't be accepted (%s, limit %d)", (error, _limit())
        record.exc_info = record.exc_text = None
        return True


def _limit() -> int:
    soft, _ = descriptor_limits()
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _kept(limit: int) -> int:
    return min(KEPT, limit // 4)
