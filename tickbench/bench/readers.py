"""
Open many connections to a server, and read and discard what it sends: the client side of a bench.

``python -m tickbench.bench.readers HOST PORT COUNT`` enters COUNT players into the room ``main``, says ``reading`` on
stdout when the server has answered each upgrade request, and reads until its stdin ends.
"""

import select
import socket
import sys

from shared.system.descriptors import allow_many_descriptors
from tickbench.bench.knocks import PING, PONG, client_frame

ENTER_TEXT = b'["new_player","reader"]'
ENTER_FRAME = bytes([0x81, 0x80 | len(ENTER_TEXT)]) + b"\0\0\0\0" + ENTER_TEXT  # masked with zeros
RECEIVE_BYTES = 65536
OPENING_LIMIT_S = 10.0


def request_bytes(host: str, port: int) -> bytes:
    """Return an upgrade request and the ``new_player`` that follows it."""
    head = (
        f"GET /connect HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGlja2JlbmNoIHJlYWRlcg==\r\n\r\n"
    )
    return head.encode() + ENTER_FRAME


def open_reader(host: str, port: int) -> socket.socket:
    """
    Return a connection that the server has upgraded.

    Raises:
        ConnectionError: the server refused it.
        TimeoutError: it did not answer in time.

    """
    sock = socket.create_connection((host, port), OPENING_LIMIT_S)
    sock.sendall(request_bytes(host, port))
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = sock.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError("the server hung up")
        answer += data
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise ConnectionRefusedError(answer.partition(b"\r\n")[0].decode("latin-1"))
    sock.setblocking(False)  # noqa: FBT003 # socket takes it by position
    return sock


def read_on(socks: list[socket.socket]) -> None:
    """
    Read and discard until stdin ends; a connection that has ended is read no more.

    Pings are answered: some libraries send them by default, and end who does not answer.
    """
    poll = select.epoll()
    readers = {sock.fileno(): sock for sock in socks}
    for number in (sys.stdin.fileno(), *readers):
        poll.register(number, select.EPOLLIN)
    buffer = bytearray(RECEIVE_BYTES)
    while True:
        for number, _ in poll.poll():
            if number not in readers:
                return
            try:
                size = readers[number].recv_into(buffer)
                ended = not size
                if size and buffer[0] == PING:  # it comes alone, when nothing else does
                    readers[number].send(client_frame(PONG, bytes(buffer[2 : 2 + buffer[1]])))
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                poll.unregister(number)


def main(host: str, port: int, count: int) -> int:
    """Open the connections and read; return the exit status."""
    allow_many_descriptors()
    try:
        socks = [open_reader(host, port) for _ in range(count)]
    except OSError as error:
        print(f"error: {count} readers can't be opened: {error}", file=sys.stderr)
        return 1
    print("reading", flush=True)
    read_on(socks)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
