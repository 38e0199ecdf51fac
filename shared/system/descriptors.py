"""
How many descriptors this process may have open (RLIMIT_NOFILE), and which of them are kept back.

The kernel gives the lowest number that is free, so the number of a connection tells how near the end is.
"""

import errno
import logging
import os
import resource
import sys

from shared.system.logs import OnceAMinute

KEPT = 64
"""Of a large limit. Of the last ones, connections that are no player's take one half, our own files the other."""
OUT_OF_THEM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
"""Why the kernel does not hand over a connection that is there."""


def descriptor_limits() -> tuple[int, int]:
    """Return the soft limit and the hard one."""
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
    """Return the first descriptor on which nobody is seated: who comes then is told so over HTTP."""
    limit = _limit()
    return limit - _kept(limit)


def connections_end() -> int:
    """Return the first descriptor on which not even a request is read, so that /stats and the like have some left."""
    limit = _limit()
    return limit - _kept(limit) // 2


class ShortageFilter(logging.Filter):
    """Says in one line, once a minute, that a connection can't be accepted: libraries log a traceback each time."""

    def __init__(self) -> None:
        super().__init__()
        self._gate = OnceAMinute()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is logged; make a line of one that tells of a shortage."""
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
