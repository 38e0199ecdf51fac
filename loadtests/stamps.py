"""
The kernel's receive timestamps (Linux, Documentation/networking/timestamping.rst) of a TCP socket.

Knows nothing of what is received.
"""

from __future__ import annotations

import _socket
import struct
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Python has no names for these before 3.14; the numbers are those of include/uapi on all but a few architectures.
_SO_TIMESTAMPING: Final = 37
_RX_SOFTWARE: Final = 1 << 3
_SOFTWARE: Final = 1 << 4

ANCILLARY_BYTES: Final = _socket.CMSG_SPACE(3 * 16)
"""Room for struct scm_timestamping: three timespecs, of which the first is the software one."""

_seconds_and_nanoseconds: Callable[[bytes], tuple[int, int]] = struct.Struct("@qq").unpack_from


def ask_for_stamps(connection: _socket.socket) -> bool:
    """Ask the kernel to say when data arrived; return False where it can't."""
    try:
        connection.setsockopt(_socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
    except OSError:
        return False
    return True


def stamp_us(ancillary: list[tuple[int, int, bytes]]) -> int:
    """
    Return when the last byte of a read arrived, in microseconds of CLOCK_REALTIME; 0 if the kernel did not say.

    ``ancillary`` is the second of what ``recvmsg_into`` returned, with :data:`ANCILLARY_BYTES`.

    """
    if not ancillary:
        return 0
    seconds, nanoseconds = _seconds_and_nanoseconds(ancillary[0][2])  # it is the only kind that was asked for
    return seconds * 1_000_000 + nanoseconds // 1000


def now_us() -> int:
    """Return the same clock's time now."""
    return time.time_ns() // 1000
