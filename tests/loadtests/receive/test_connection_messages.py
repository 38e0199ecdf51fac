"""What frames say besides ticks is told to those who want to know, and what is odd is no fault."""

import socket
import time

import gevent

from tests.support.client import PATIENCE_S
from tests.support.scripted_server import (
    TICK,
    WELCOME,
    expect_goodbye,
    frame,
    logged,
    pause,
    server,
    tick,
    unmasked,
    until,
)


def test_pings_pongs_and_errors_are_told() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        opcode, text = unmasked(sock)
        assert opcode == 1
        assert text.startswith(b'["ping",')
        sock.sendall(frame(b'[["pong",' + text[8:-1] + b",1700000000000000]]"))
        sock.sendall(frame(b'[["error","Maximum players reached"]]') + frame(b"binary", 0x82) + frame(b"", 0x8A))
        sock.sendall(frame(b"hello", 0x89))
        assert unmasked(sock) == (10, b"hello")
        expect_goodbye(sock)

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        before_us = time.time_ns() // 1000
        connection.ping()
        until(lambda: observer.pongs and observer.errors)
        gevent.sleep(0.05)
    ((sent_us, server_us, arrival_us),) = observer.pongs
    assert before_us <= sent_us <= arrival_us <= time.time_ns() // 1000
    assert server_us == 1700000000000000
    assert observer.errors == [(0, "Maximum players reached")]


def test_the_welcome_is_told_before_the_first_tick() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(frame(WELCOME))
        pause()
        times.append(time.time_ns() // 1000)
        sock.sendall(frame(b'[["world",[]]]') + tick(0))
        expect_goodbye(sock)

    times: list[int] = []
    with server(script) as (connection, observer):
        before_us = time.time_ns() // 1000
        assert connection.open(PATIENCE_S)
        ((index, arrival_us),) = observer.welcomes
    assert index == 0
    assert before_us <= arrival_us <= times[0]


def test_odd_commands_are_no_fault() -> None:
    odd = (
        b"[]",
        b"[[]]",
        b'[["tick"]]',
        b'[["tick",1e300,2,3]]',
        b'[["tick",99999999999999999999,1,2]]',
        b'[["tick",-1,1,2]]',
        b'[["tick",1,1,99999999999999999999]]',
        b'[["pong",1]]',
        b'[["pong",99999999999999999999,1]]',
        b'[["error",1]]',
        b'[["later"]]',
    )

    def script(sock: socket.socket) -> None:
        for text in odd:
            sock.sendall(frame(text))
        sock.sendall(tick(0))
        expect_goodbye(sock)

    assert logged(script, 1).n.tolist() == [0]


def test_messages_are_handed_on_when_somebody_listens() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(frame(WELCOME) + tick(3))
        pause()
        for _ in range(2):  # the second is known
            sock.sendall(tick(4))
            pause()
        expect_goodbye(sock)

    heard: list[tuple[int, bytes, int]] = []
    with server(script, lambda *message: heard.append(message)) as (connection, _):
        before_us = time.time_ns() // 1000
        assert connection.open(PATIENCE_S)
        until(lambda: len(heard) == 4)
    assert [message[:2] for message in heard] == [(-1, WELCOME), (3, TICK % 3), (4, TICK % 4), (4, TICK % 4)]
    assert all(before_us <= arrival_us <= time.time_ns() // 1000 for _, _, arrival_us in heard)
