"""Sets how a socket sends: small frames at once, and how much of them the kernel holds (Linux, tcp(7))."""

import socket

UNSENT_OPTION = getattr(socket, "TCP_NOTSENT_LOWAT", None)
"""None where the system has no such option."""


def send_small_frames_at_once(sock: socket.socket) -> None:
    """Turn Nagle's algorithm off, which would hold a frame back until the one before is acknowledged."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def bound_unsent(sock: socket.socket, most_bytes: int) -> None:
    """Have the kernel take no more while as many bytes wait in it to be sent, where the system can."""
    if UNSENT_OPTION is not None:
        sock.setsockopt(socket.IPPROTO_TCP, UNSENT_OPTION, most_bytes)
