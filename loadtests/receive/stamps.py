"""Kernel receive timestamps of a TCP socket (Linux, Documentation/networking/timestamping.rst): asked for and read."""

import _socket
import os
import struct
import time
from collections.abc import Callable
from typing import Final

# Python has no names for these before 3.14; the numbers are those of include/uapi on all but a few architectures.
_SO_TIMESTAMPING: Final = 37
_RX_SOFTWARE: Final = 1 << 3
_SOFTWARE: Final = 1 << 4

STAMP_BYTES: Final = 3 * 16
"""struct scm_timestamping: three timespecs, of which the first is the software one."""
ANCILLARY_BYTES: Final = _socket.CMSG_SPACE(STAMP_BYTES)

NO_STAMPS_VARIABLE: Final = "TICKBENCH_NO_STAMPS"
"""If set, the kernel's stamps are not used: to see what they are worth, and to test how we do without."""

_TIMESPEC: Final = struct.Struct("@qq")
_REST: Final = bytes(STAMP_BYTES - _TIMESPEC.size)
_seconds_and_nanoseconds: Callable[[bytes], tuple[int, int]] = _TIMESPEC.unpack_from


def ask_for_stamps(connection: _socket.socket) -> bool:
    """Ask the kernel to say when data arrived; return False where it can't."""
    if os.environ.get(NO_STAMPS_VARIABLE):
        return False
    try:
        connection.setsockopt(_socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
    except OSError:
        return False
    return True


def stamp_of(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """
    Return the kernel's stamp of the last byte of a read, empty if it gave none.

    ``ancillary`` is the second of what ``recvmsg_into`` returned, with :data:`ANCILLARY_BYTES`.

    """
    return ancillary[0][2] if ancillary else b""  # it is the only kind that was asked for


def stamp_us(stamp: bytes) -> int:
    """Return a stamp in microseconds of CLOCK_REALTIME; the time now if there is none."""
    if not stamp:
        return now_us()
    seconds, nanoseconds = _seconds_and_nanoseconds(stamp)
    return seconds * 1_000_000 + nanoseconds // 1000


def packed_now() -> bytes:
    """Return the time now in the form of a stamp."""
    return _TIMESPEC.pack(*divmod(time.time_ns(), 1_000_000_000)) + _REST


def now_us() -> int:
    """Return the time now, in microseconds of CLOCK_REALTIME."""
    return time.time_ns() // 1000
