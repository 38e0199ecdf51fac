"""How a connection begins: by a handshake and a first tick frame, or not at all, for a reason."""

import errno
import os
import socket
import threading

import pytest

from loadtests.receive.connection import Connection
from loadtests.receive.endings import Ending, Fate
from shared.wire.target import parse_target
from tests.support.client import PATIENCE_S
from tests.support.scripted_server import Observed, server


def test_a_server_that_sends_no_tick_is_given_up() -> None:
    def script(sock: socket.socket) -> None:
        while sock.recv(4096):
            pass

    with server(script) as (connection, observer):
        assert not connection.open(0.2)
        assert connection.is_over
    assert observer.ends == [(Fate.TIMED_OUT, "no tick frame in time")]


def unserved(answer: bytes | None) -> list[Ending]:
    """Return how a connection ends that gets no handshake but ``answer``; None if nobody is there."""

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            sock.recv(4096)
            sock.sendall(answer or b"")

    observer = Observed()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        port = listener.getsockname()[1]
        target = parse_target(f"ws://127.0.0.1:{port}")
        address = (socket.AF_INET, ("127.0.0.1", port))
        connection = Connection(target, address, 0, observer, bytes, observer.log.latest("main"))
        if answer is None:
            listener.close()
            assert not connection.open(PATIENCE_S)
        else:
            thread = threading.Thread(target=serve)
            thread.start()
            assert not connection.open(PATIENCE_S)
            thread.join(PATIENCE_S)
    assert connection.is_over
    return observer.endings


def test_nobody_listens() -> None:
    (ending,) = unserved(None)
    assert (ending.fate, ending.why, ending.broke_protocol) == (Fate.REFUSED, "connection refused", False)


@pytest.mark.parametrize(
    ("answer", "why", "broke_protocol"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP status 503", False),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the answer to the handshake is not HTTP", True),
        (b"HTTP/1.1 101 X\r\n\r\n", "the answer to the handshake has a wrong Sec-WebSocket-Accept", True),
        (b"HTTP/1.1\r\n\r\n", "the answer to the handshake has no HTTP status", True),
        (b"HTTP/1.1 101 X\r\n" + b"x" * 20_000, "the head of the answer to the handshake does not end", True),
        (b"", "end of stream without a close frame", False),
        (b"HTTP/1.1 10", "end of stream without a close frame", False),
    ],
)
def test_no_handshake(answer: bytes, why: str, *, broke_protocol: bool) -> None:
    (ending,) = unserved(answer)
    assert (ending.fate, ending.why, ending.broke_protocol) == (Fate.REFUSED, why, broke_protocol)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EADDRNOTAVAIL])
def test_our_own_limits_are_told_apart(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_left(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("loadtests.receive.transport._socket.socket", nothing_left)
    observer = Observed()
    target = parse_target("ws://127.0.0.1:9")
    address = (socket.AF_INET, ("127.0.0.1", 9))
    connection = Connection(target, address, 0, observer, bytes, observer.log.latest("main"))
    assert not connection.open(PATIENCE_S)
    assert observer.ends == [(Fate.OWN_LIMIT, os.strerror(number).lower())]
