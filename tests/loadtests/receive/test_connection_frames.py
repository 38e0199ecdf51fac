"""However tick frames come, whole, cut, together or unread for a while, each is logged with the time of its coming."""

import socket
import threading
import time

import gevent
import pytest

from loadtests.receive.arrivals import MAX_MESSAGE_BYTES
from loadtests.receive.stamps import NO_STAMPS_VARIABLE
from tests.support.client import PATIENCE_S
from tests.support.scripted_server import (
    TICK,
    WELCOME,
    expect_goodbye,
    frame,
    logged,
    pause,
    read_on,
    server,
    tick,
    unmasked,
    until,
)


def test_one_frame_after_the_other() -> None:
    def script(sock: socket.socket) -> None:
        before_us = time.time_ns() // 1000
        for n in range(3):
            sock.sendall(tick(n))
            pause()
        times.extend((before_us, time.time_ns() // 1000))
        expect_goodbye(sock)

    times: list[int] = []
    arrivals = logged(script, 3)
    assert arrivals.n.tolist() == [0, 1, 2]
    assert arrivals.due_us.tolist() == [1700000000000000] * 3
    assert arrivals.sent_us.tolist() == [1700000000000100] * 3
    assert arrivals.size_bytes.tolist() == [len(TICK % 0)] * 3
    assert not arrivals.coalesced.any()
    assert not arrivals.slow_parse.any()
    assert all(times[0] <= arrival_us <= times[1] for arrival_us in arrivals.arrival_us.tolist())


def test_the_time_of_a_frame_is_when_it_came_and_not_when_it_was_read() -> None:
    came = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.sendall(tick(1))
        times.append(time.time_ns() // 1000)
        came.set()
        expect_goodbye(sock)

    times: list[int] = []
    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        assert came.wait(PATIENCE_S), "the hub does nothing meanwhile"
        time.sleep(0.1)
        until(lambda: len(observer.log) == 2)
    arrivals = observer.log.drain()
    if arrivals.unstamped.any():
        pytest.skip("the kernel stamps nothing here")
    assert arrivals.arrival_us[1] <= times[0]


def test_without_stamps_the_time_is_that_of_the_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_STAMPS_VARIABLE, "1")

    def script(sock: socket.socket) -> None:
        for n in range(3):
            sock.sendall(tick(n))
            pause()
        expect_goodbye(sock)

    before_us = time.time_ns() // 1000
    arrivals = logged(script, 3)
    assert arrivals.unstamped.all()
    assert arrivals.n.tolist() == [0, 1, 2]
    assert all(before_us <= arrival_us <= time.time_ns() // 1000 for arrival_us in arrivals.arrival_us.tolist())


def test_frames_in_pieces_in_fragments_and_together() -> None:
    def script(sock: socket.socket) -> None:
        stream = frame(WELCOME) + b"".join(tick(n) for n in range(5))
        fragments = frame(TICK[:50] % 5, 0x01) + frame(b"", 0x89) + frame(TICK[50:], 0x80)
        for part in (stream[:7], stream[7:300], stream[300:], fragments[:30], fragments[30:], tick(6)):
            sock.sendall(part)
            pause()
        assert unmasked(sock) == (10, b"")
        expect_goodbye(sock)

    arrivals = logged(script, 7)
    assert arrivals.n.tolist() == list(range(7))
    assert arrivals.coalesced.any()
    assert not arrivals.coalesced[-1]


def test_of_frames_in_one_read_only_the_last_has_an_exact_time() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.sendall(tick(1) + tick(1) + tick(2))
        pause()
        sock.sendall(tick(3) + frame(b"", 0x8A))
        expect_goodbye(sock)

    arrivals = logged(script, 5)
    assert arrivals.n.tolist() == [0, 1, 1, 2, 3]
    assert arrivals.coalesced.tolist() == [False, True, True, False, True]
    assert arrivals.frame[1] == arrivals.frame[2], "known by its text"


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 60, 100])
def test_a_frame_may_be_cut_anywhere(cut: int) -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.sendall(tick(1)[:cut])
        pause()
        sock.sendall(tick(1)[cut:] + tick(2)[:cut])
        pause()
        sock.sendall(tick(2)[cut:])
        expect_goodbye(sock)

    arrivals = logged(script, 3)
    assert arrivals.n.tolist() == [0, 1, 2]
    assert arrivals.coalesced.tolist() == [False, True, False]


def test_a_head_with_white_space_is_parsed_slowly() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        for _ in range(2):
            sock.sendall(frame(b'[ ["tick", 1, 1700000000000000, 1700000000000100] ]'))
            pause()
        expect_goodbye(sock)

    arrivals = logged(script, 3)
    assert arrivals.n.tolist() == [0, 1, 1]
    assert arrivals.slow_parse.tolist() == [False, True, True]


@pytest.mark.parametrize("size", [65_535, 65_536, 3_000_000, MAX_MESSAGE_BYTES])
def test_large_frames(size: int) -> None:
    head = b'[["tick",1,1700000000000000,1700000000000100],["pad","'
    large = head + b"." * (size - len(head) - 3) + b'"]]'

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        sock.sendall(frame(large) + tick(2))
        expect_goodbye(sock)

    arrivals = logged(script, 3)
    assert arrivals.n.tolist() == [0, 1, 2]
    assert arrivals.size_bytes.tolist() == [len(TICK % 0), size, len(TICK % 2)]


def test_who_stops_reading_takes_nothing_until_it_reads_on() -> None:
    sent = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert unmasked(sock) == (1, b"now")
        for n in range(1, 4):
            sock.sendall(tick(n))
            time.sleep(0.005)
        times.append(time.time_ns() // 1000)
        sent.set()
        expect_goodbye(sock)

    times: list[int] = []
    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.stop_reading()
        connection.send_text(b"now")
        until(sent.is_set)
        gevent.sleep(0.05)
        assert len(observer.log) == 1
        assert connection.ticking
        read_on(connection)
        until(lambda: len(observer.log) == 4)
    arrivals = observer.log.drain()
    assert arrivals.n.tolist() == [0, 1, 2, 3]
    assert arrivals.coalesced.tolist() == [False, True, True, False]
    if not arrivals.unstamped.any():
        assert arrivals.arrival_us[-1] <= times[0], "it came while we did not read"
