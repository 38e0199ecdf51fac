"""Who leaves says goodbye, and still logs what was on its way; nothing follows it, and nobody waits for ever."""

import socket
import threading
import time

import gevent
import pytest

from loadtests.receive.endings import Fate
from tests.support.client import PATIENCE_S
from tests.support.scripted_server import GOODBYE, frame, pause, server, tick, unmasked


def test_what_is_on_its_way_when_we_leave_is_logged() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        assert unmasked(sock) == GOODBYE
        sock.sendall(tick(1))
        pause()
        sock.sendall(frame(b"are you there", 0x89) + tick(2) + tick(3))
        pause()
        sock.sendall(b"\x88\x02\x03\xe8")
        assert sock.recv(100) == b"", "nothing may follow a close frame"

    heard: list[int] = []
    with server(script, lambda n, *_: heard.append(n)) as (connection, observer):
        assert connection.open(PATIENCE_S)
        before_us = time.time_ns() // 1000
        connection.close()
        assert connection.is_over
        assert not connection.ticking
    assert observer.log.drain().n.tolist() == [0, 1, 2, 3]
    assert heard == [0], "nobody listens any more"
    (ending,) = observer.endings
    assert (ending.fate, ending.why, ending.complete, ending.close_code) == (Fate.LEFT, "left", True, None)
    assert before_us <= ending.at_us <= time.time_ns() // 1000


def test_a_goodbye_that_is_not_answered_leaves_it_open_what_was_sent() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert unmasked(sock) == GOODBYE

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.close()
        connection.close()
    assert observer.ends == [(Fate.LEFT, "left")]
    assert not observer.endings[0].complete


def test_who_never_says_goodbye_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.receive.connection.CLOSE_TIMEOUT_S", 0.05)
    done = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert done.wait(PATIENCE_S)

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.close()
        assert connection.is_over
        done.set()
    assert observer.ends == [(Fate.LEFT, "left")]
    assert not observer.endings[0].complete


def test_an_error_while_we_leave_is_named() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert unmasked(sock) == GOODBYE
        sock.sendall(b"\x81\x80")
        while sock.recv(4096):
            pass

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.close()
    assert observer.ends == [(Fate.LEFT, "a masked frame")]
    assert observer.endings[0].broke_protocol
    assert not observer.endings[0].complete


def test_who_leaves_says_nothing_more() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert unmasked(sock) == GOODBYE
        pause()
        sock.sendall(b"\x88\x02\x03\xe8")
        assert sock.recv(100) == b""

    with server(script) as (connection, _):
        assert connection.open(PATIENCE_S)
        leaving = gevent.spawn(connection.close)
        gevent.sleep(0)
        connection.send_text(b"wait")
        connection.ping()
        leaving.join(PATIENCE_S)
        assert connection.is_over
