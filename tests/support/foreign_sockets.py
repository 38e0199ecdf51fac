"""Asks a socket of another process, as the kernel has it (Linux, pidfd_getfd(2))."""

import ctypes
import os
import socket
from contextlib import closing
from pathlib import Path

PIDFD_GETFD = 438
"""Of every architecture."""


def option_of(pid: int, peer: socket.socket, level: int, option: int) -> int:
    """
    Return an option of the process's end of a connection whose other end is ``peer``.

    Raises:
        LookupError: the process has no such end.

    """
    process = os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            if not str(entry.readlink()).startswith("socket:"):
                continue
            descriptor = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, int(entry.name), 0)
            if descriptor < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            with closing(socket.socket(fileno=descriptor)) as found:
                if _peer_of(found) == peer.getsockname():
                    return found.getsockopt(level, option)
    finally:
        os.close(process)
    raise LookupError(peer.getsockname())


def _peer_of(sock: socket.socket) -> object:
    try:
        return sock.getpeername()
    except OSError:  # one that listens
        return None
