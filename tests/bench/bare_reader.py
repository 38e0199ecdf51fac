"""
The least that it can cost: an epoll loop and one ``recvmsg_into`` with a kernel timestamp a frame, and nothing else.

``python bare_reader.py HOST PORT USERS SECONDS`` prints one line of JSON. It keeps no account, so it is no instrument;
tests/bench/generator.py runs it beside ours to show what of a frame's cost is the system's own.
"""

import json
import select
import socket
import sys
import time

from shared.system.descriptors import allow_many_descriptors

UPGRADE = (
    b"GET /connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
FIRST_MESSAGE = b"\x81\x97\0\0\0\0" + b'["new_player","reader"]'
SO_TIMESTAMPING, RX_SOFTWARE, SOFTWARE = 37, 1 << 3, 1 << 4
WARM_UP_S = 3.0


def connect(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, timeout=10)
    connection.sendall(UPGRADE)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(4096)
    connection.sendall(FIRST_MESSAGE)
    connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | SOFTWARE)
    connection.setblocking(False)  # noqa: FBT003 - it takes no keyword
    return connection


def main() -> None:
    host, port, users, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    allow_many_descriptors()
    connections = [connect((host, port)) for _ in range(users)]
    epoll = select.epoll()
    receive = {}
    for connection in connections:
        epoll.register(connection, select.EPOLLIN)
        receive[connection.fileno()] = connection.recvmsg_into
    buffers, ancillary_bytes = [bytearray(256 * 1024)], socket.CMSG_SPACE(48)
    frames, began_s, cpu_s = 0, time.monotonic() + WARM_UP_S, -1.0
    while (now_s := time.monotonic()) < began_s + seconds:
        if cpu_s < 0 and now_s >= began_s:
            frames, began_s, cpu_s = 0, now_s, time.process_time()
        for descriptor, _ in epoll.poll(0.1, users):
            receive[descriptor](buffers, ancillary_bytes)
            frames += 1
    cpu_s, took_s = time.process_time() - cpu_s, time.monotonic() - began_s
    result = {
        "frames_per_second": frames / took_s,
        "cpu_percent": 100 * cpu_s / took_s,
        "us_per_frame": 1e6 * cpu_s / max(1, frames),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
