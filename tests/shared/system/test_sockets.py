"""A socket that sends at once, and of which the kernel holds little."""

import socket

from shared.system.sockets import UNSENT_OPTION, bound_unsent, send_small_frames_at_once


def test_frames_go_out_at_once_and_little_waits_in_the_kernel() -> None:
    with socket.socket() as sock:
        send_small_frames_at_once(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        bound_unsent(sock, 4096)
        assert UNSENT_OPTION is None or sock.getsockopt(socket.IPPROTO_TCP, UNSENT_OPTION) == 4096
