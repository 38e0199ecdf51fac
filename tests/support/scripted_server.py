"""
A server that does to a connection of the load test what a script says, and an observer of what becomes of it.

Server and connection share a process: a script is called in a thread of its own, the connection reads on gevent's hub.
"""

import base64
import fcntl
import hashlib
import socket
import ssl
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
import pytest

from loadtests.receive.arrivals import ArrivalLog, Arrivals
from loadtests.receive.connection import Connection
from loadtests.receive.endings import ConnectionObserver, Ending, Fate
from shared.wire.target import parse_target
from tests.support.client import PATIENCE_S
from tests.support.tls_end import TlsEnd

TICK = b'[["tick",%d,1700000000000000,1700000000000100],["pad","' + b"." * 100 + b'"]]'
WELCOME = b'[["handshake","load0",1],["world",[[[" ",0]]]],["top_scores",[]]]'
GOODBYE = (8, b"\x03\xe8")
UNDER_TEST: list[Connection] = []

Script = Callable[[socket.socket], None]
Listener = Callable[[int, bytes, int], None]


@dataclass
class Observed(ConnectionObserver):
    """Who is told what becomes of connections, and remembers."""

    log: ArrivalLog = field(default_factory=ArrivalLog)
    welcomes: list[tuple[int, int]] = field(default_factory=list)
    first_ticks: list[int] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)
    secured_us: list[int] = field(default_factory=list)
    agreements: list[str] = field(default_factory=list)
    pongs: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def ends(self) -> list[tuple[Fate, str]]:
        return [(ending.fate, ending.why) for ending in self.endings]

    def entered(self, index: int, arrival_us: int) -> None:
        self.welcomes.append((index, arrival_us))

    def secured(self, index: int, us: int) -> None:
        assert index >= 0
        self.secured_us.append(us)

    def agreed(self, index: int, extensions: str) -> None:
        assert index >= 0
        self.agreements.append(extensions)

    def connected(self, index: int, started_us: int, arrival_us: int) -> None:
        assert arrival_us >= started_us
        self.first_ticks.append(index)

    def ended(self, index: int, ending: Ending) -> None:
        assert index >= 0
        assert ending.at_us > 0
        self.endings.append(ending)

    def told(self, index: int, error: str) -> None:
        self.errors.append((index, error))

    def ponged(self, sent_us: int, server_us: int, arrival_us: int) -> None:
        self.pongs.append((sent_us, server_us, arrival_us))


def frame(payload: bytes, first: int = 0x81) -> bytes:
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 65536:
        return bytes((first, 126)) + len(payload).to_bytes(2, "big") + payload
    return bytes((first, 127)) + len(payload).to_bytes(8, "big") + payload


def tick(n: int) -> bytes:
    return frame(TICK % n)


def shake_hands(sock: socket.socket, extensions: str = "") -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(4096)
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
    answer = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n"
    if extensions:
        assert b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" in head
        answer += f"Sec-WebSocket-Extensions: {extensions}\r\n".encode()
    sock.sendall(answer + b"\r\n")


def unmasked(sock: socket.socket) -> tuple[int, bytes]:
    """Read one frame of the client's, at most 125 bytes long."""
    data = b""
    while len(data) < 6 or len(data) < 6 + (data[1] & 0x7F):
        data += sock.recv(6 + (data[1] & 0x7F) - len(data) if len(data) >= 6 else 6 - len(data)) or pytest.fail("EOF")
    assert data[1] & 0x80, "a client masks its frames"
    return data[0] & 0x0F, bytes(byte ^ data[2 + i % 4] for i, byte in enumerate(data[6:]))


def pause() -> None:
    """Wait until the connections under test have read all that was sent: two writes could become one read."""
    time.sleep(0.005)
    deadline = time.monotonic() + PATIENCE_S
    while any(unread_bytes(connection) for connection in UNDER_TEST) and time.monotonic() < deadline:
        time.sleep(0.001)


def unread_bytes(connection: Connection) -> int:
    sock = connection._socket
    if sock is None:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
    except (OSError, ValueError):
        return 0  # it was closed just now


@contextmanager
def servers(
    *scripts: Script,
    rooms: tuple[str, ...] = ("main",) * 9,
    on_text: Listener | None = None,
    tls: ssl.SSLContext | None = None,
    extensions: str = "",
) -> Iterator[tuple[list[Connection], Observed]]:
    """
    Serve a connection each in a thread, in order of coming; a script goes on where the first message was read.

    With ``tls`` it is given a :class:`TlsEnd`, and connections are made to trust any certificate. Of what the
    connections offer, the server agrees to ``extensions``.

    """
    failures: list[BaseException] = []

    def serve(script: Script) -> None:
        try:
            sock, _ = listener.accept()
            served.release()
            with sock:
                sock.settimeout(PATIENCE_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                end: Any = sock if tls is None else TlsEnd(sock, tls)
                shake_hands(end, extensions)
                assert unmasked(end) == (1, b'["new_player","load0"]')
                script(end)
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the test
            failures.append(error)

    def serve_all() -> None:
        for script in scripts:
            threads.append(threading.Thread(target=serve, args=(script,)))
            threads[-1].start()
            served.acquire(timeout=PATIENCE_S)

    served = threading.Semaphore(0)
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        port = listener.getsockname()[1]
        doorman = threading.Thread(target=serve_all)
        doorman.start()
        observer = Observed()
        target, address = parse_target(f"ws://127.0.0.1:{port}"), (socket.AF_INET, ("127.0.0.1", port))
        target = replace(target, secure=tls is not None, verifies=False)
        greeting = b'["new_player","load0"]'
        connections = [
            Connection(
                target,
                address,
                index,
                observer,
                lambda: greeting,
                observer.log.latest(room),
                on_text,
                may_deflate=bool(extensions),
            )
            for index, (_, room) in enumerate(zip(scripts, rooms, strict=False))
        ]
        UNDER_TEST.extend(connections)
        try:
            yield connections, observer
        finally:
            for connection in connections:
                connection.close()
            UNDER_TEST.clear()
            for thread in [doorman, *threads]:
                thread.join(PATIENCE_S)
    assert not failures, failures


@contextmanager
def server(script: Script, on_text: Listener | None = None) -> Iterator[tuple[Connection, Observed]]:
    """Serve one connection."""
    with servers(script, on_text=on_text) as ((connection,), observer):
        yield connection, observer


def until(condition: Callable[[], object]) -> None:
    """Let the hub work until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.005)


def logged(script: Script, count: int) -> Arrivals:
    """Return what a connection logged whose server sends ``count`` tick frames by ``script``."""
    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        until(lambda: len(observer.log) >= count)
        assert observer.first_ticks == [0]
        assert connection.ticking
        assert not connection.is_over
    assert connection.is_over
    assert not connection.ticking
    assert observer.ends == [(Fate.LEFT, "left")]
    assert len(observer.log) == count
    return observer.log.drain()


def expect_goodbye(sock: socket.socket) -> None:
    assert unmasked(sock) == GOODBYE
    sock.sendall(b"\x88\x02\x03\xe8")


def until_hung_up(sock: socket.socket) -> None:
    """Throw away what the client says, until it has nothing more to say."""
    while sock.recv(4096):
        pass


def read_on(connection: Connection) -> None:
    """Have a connection that has stopped reading go on, with what has come meanwhile."""
    callback, arguments = connection._on_read()
    connection._reader.start(callback, *arguments)
