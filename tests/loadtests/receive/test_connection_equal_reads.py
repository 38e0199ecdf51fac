"""A read that equals the latest of its room is known without being parsed: only if it is equal to the last byte."""

import socket
import threading

import pytest

from loadtests.receive.endings import Fate
from tests.support.client import PATIENCE_S
from tests.support.scripted_server import (
    Script,
    expect_goodbye,
    frame,
    logged,
    pause,
    server,
    servers,
    tick,
    until,
    until_hung_up,
)


def test_connections_that_read_the_same_frame_share_it() -> None:
    turn = [threading.Event() for _ in range(3)]

    def script(sock: socket.socket) -> None:
        for n, event in enumerate(turn):
            assert event.wait(PATIENCE_S)
            sock.sendall(tick(n))
        expect_goodbye(sock)

    turn[0].set()
    with servers(script, script) as (connections, observer):
        assert all(connection.open(PATIENCE_S) for connection in connections)
        for n in (1, 2):
            turn[n].set()
            until(lambda: len(observer.log) == 2 * (n + 1))  # noqa: B023 - it is called at once
    arrivals = observer.log.drain()
    if arrivals.unstamped.any():
        pytest.skip("without stamps every read is parsed")
    assert arrivals.n.tolist() == [0, 0, 1, 1, 2, 2]
    assert sorted(arrivals.connection[-2:].tolist()) == [0, 1]
    assert arrivals.frame[2] == arrivals.frame[3]
    assert arrivals.frame[4] == arrivals.frame[5]
    assert len({*arrivals.frame.tolist()[2:]}) == 2


def test_rooms_do_not_mix() -> None:
    def script_of(first: int) -> Script:
        def script(sock: socket.socket) -> None:
            for n in range(first, first + 4):
                sock.sendall(tick(n))
                pause()
            expect_goodbye(sock)

        return script

    with servers(script_of(0), script_of(5), rooms=("main", "r1")) as (connections, observer):
        assert all(connection.open(PATIENCE_S) for connection in connections)
        until(lambda: len(observer.log) == 8)
    arrivals = observer.log.drain()
    for index, first in ((0, 0), (1, 5)):
        assert arrivals.n[arrivals.connection == index].tolist() == list(range(first, first + 4))


def test_reads_are_equal_only_to_the_last_byte() -> None:
    same = tick(1)
    other = same[:-1] + b"}"

    def script(sock: socket.socket) -> None:
        for data in (tick(0), same, same, other, same, other, other):
            sock.sendall(data)
            pause()
        expect_goodbye(sock)

    arrivals = logged(script, 7)
    if arrivals.unstamped.any():
        pytest.skip("without stamps every read is parsed")
    assert arrivals.n.tolist() == [0, 1, 1, 1, 1, 1, 1]
    _, first, equal, different, back, other_again, equal_again = arrivals.frame.tolist()
    assert first == equal
    assert first != different
    assert back == first, "one of the last few is known, too"
    assert different == other_again == equal_again


def test_equal_but_for_a_last_byte_that_is_no_utf8_is_an_error() -> None:
    def script(sock: socket.socket) -> None:
        for data in (tick(0), tick(1), tick(1), tick(1)[:-1] + b"\xff"):
            sock.sendall(data)
            pause()
        until_hung_up(sock)

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
        assert len(observer.log) == 3
    assert observer.ends == [(Fate.CLOSED_EARLY, "a text that is not UTF-8")]
    assert observer.endings[0].broke_protocol


def test_a_long_read_that_begins_like_the_latest_is_two_frames() -> None:
    def script(sock: socket.socket) -> None:
        for data in (tick(0), tick(1), tick(1) + tick(2), tick(1)[:-3], tick(1)[-3:]):
            sock.sendall(data)
            pause()
        expect_goodbye(sock)

    assert logged(script, 5).n.tolist() == [0, 1, 1, 2, 1]


def test_in_the_middle_of_a_message_a_read_that_looks_like_a_tick_is_none() -> None:
    def script(sock: socket.socket) -> None:
        for data in (tick(0), tick(1), frame(b"[", 0x01)):
            sock.sendall(data)
            pause()
        sock.sendall(tick(1))
        until_hung_up(sock)

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
        assert len(observer.log) == 2
    assert observer.ends == [(Fate.CLOSED_EARLY, "a message inside another")]
