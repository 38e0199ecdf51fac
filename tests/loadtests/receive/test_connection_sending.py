"""What the server does not take at once is sent later, or the server is given up."""

import socket
import threading
import time

from loadtests.receive.endings import Fate
from loadtests.receive.transport import MAX_UNSENT_BYTES
from tests.support.client import PATIENCE_S
from tests.support.scripted_server import expect_goodbye, server, tick, unmasked, until

LARGE_BYTES = 8_000_000
HEAD_BYTES = 14
"""Of a masked frame of 64 KiB and more."""


def test_a_server_that_does_not_read_is_given_up() -> None:
    done = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(tick(0))
        assert done.wait(PATIENCE_S)

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        for _ in range(20_000):
            connection.send_text(b"x" * 1000)
            if observer.ends:
                break
        done.set()
    assert observer.ends == [(Fate.CLOSED_EARLY, "the server does not read")]


def test_what_could_not_be_sent_at_once_is_sent_later() -> None:
    sizes: list[int] = []

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        time.sleep(0.1)
        while (opcode := (frame := unmasked(sock))[0]) == 1:
            sizes.append(len(frame[1]))
        assert opcode == 8
        sock.sendall(b"\x88\x02\x03\xe8")

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        count = 0
        while not connection._unsent and not observer.ends:
            connection.send_text(b"y" * 100)
            count += 1
        until(lambda: not connection._unsent)
    assert sizes == [100] * count


def test_one_message_may_be_larger_than_what_a_server_may_owe() -> None:
    sizes: list[int] = []
    may_read = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        may_read.wait(PATIENCE_S)
        left = HEAD_BYTES + LARGE_BYTES
        while left:
            left -= len(sock.recv(min(left, 65536)))
        sizes.append(len(unmasked(sock)[1]))
        expect_goodbye(sock)

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.send_text(b"z" * LARGE_BYTES)
        assert len(connection._unsent) > MAX_UNSENT_BYTES
        may_read.set()
        assert observer.ends == []
        until(lambda: not connection._unsent)
        connection.send_text(b"zzz")
    assert sizes == [3], "it begins where the large one ended"
