"""
The least that a server can do: an epoll loop that receives messages and sends an answer for each, and nothing else.

``python -m tickbench.bench.bare`` prints where it listens and serves until it is killed. It takes every message to be
that of :mod:`tickbench.bench.knocks`, and never looks at one.
"""

import select
import socket
from collections.abc import Callable

from shared.system.descriptors import allow_many_descriptors
from tickbench.bench.knocks import ANSWER, KNOCK
from tickbench.bench.readers import ENTER_FRAME, RECEIVE_BYTES

UPGRADED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: as-nobody-looks\r\n\r\n"
)
END = b"\r\n\r\n"
BACKLOG = 1024
HANDSHAKE_LIMIT_S = 10.0


def welcome(listener: socket.socket) -> socket.socket:
    """Accept a connection, answer its upgrade request, and take the message that enters the room."""
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(HANDSHAKE_LIMIT_S)
    request = b""
    while not request.endswith(END):
        request += _received(sock, 1)  # no more: what follows the head is not to be lost
    _received(sock, len(ENTER_FRAME))
    sock.send(UPGRADED)
    sock.setblocking(False)  # noqa: FBT003 # socket takes it by position
    return sock


def _received(sock: socket.socket, size: int) -> bytes:
    if not (data := sock.recv(size, socket.MSG_WAITALL)):
        raise ConnectionResetError("a client hung up before it was in the room")
    return data


def answer(sock: socket.socket) -> None:
    """Answer one message."""
    sock.send(ANSWER)


def serve(answer: Callable[[socket.socket], None]) -> None:
    """Serve for ever."""
    allow_many_descriptors()
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    print(f"tickbench bare listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    socks: dict[int, socket.socket] = {}
    rests: dict[int, int] = {}  # bytes of a message that is not whole yet
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                sock = welcome(listener)
                socks[sock.fileno()], rests[sock.fileno()] = sock, 0
                poll.register(sock, select.EPOLLIN)
                continue
            sock = socks[number]
            data = sock.recv(RECEIVE_BYTES)
            if not data:
                poll.unregister(number)
                socks.pop(number).close()
                continue
            whole, rests[number] = divmod(rests[number] + len(data), len(KNOCK))
            for _ in range(whole):
                answer(sock)


if __name__ == "__main__":
    serve(answer)
