"""Whatever the server ends a connection by, the end has a reason, and what came before it is logged."""

import socket
import struct

import pytest

from loadtests.receive.arrivals import MAX_MESSAGE_BYTES
from loadtests.receive.endings import Ending, Fate
from loadtests.receive.transport import reason_of
from tests.support.client import PATIENCE_S
from tests.support.scripted_server import frame, pause, server, tick, unmasked, until_hung_up


def ended(first: bytes, data: bytes) -> tuple[Ending, bool]:
    """Return how a connection ends whose server sends this, and whether it had been ticking."""

    def script(sock: socket.socket) -> None:
        if first:
            sock.sendall(first)
            pause()
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        until_hung_up(sock)

    with server(script) as (connection, observer):
        was_open = connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
        assert connection.is_over
        assert not connection.ticking
        connection.send_text(b"nobody hears that")
        connection.stop_reading()
    (ending,) = observer.endings
    return ending, was_open


@pytest.mark.parametrize(
    ("data", "why", "code"),
    [
        (b"\x88\x02\x03\xf5", "close 1013", 1013),
        (b"\x88\x05\x03\xf0bye", "close 1008", 1008),
        (b"\x88\x00", "close 1005", 1005),
        (b"", "end of stream without a close frame", None),
        (b"\x81\x7e\x00", "end of stream without a close frame", None),
        (frame(b"x" * 100)[:50], "end of stream without a close frame", None),
    ],
)
def test_every_end_has_a_reason(data: bytes, why: str, code: int | None) -> None:
    for first, fate in ((tick(0), Fate.CLOSED_EARLY), (b"", Fate.REFUSED)):
        ending, was_open = ended(first, data)
        assert was_open is bool(first)
        assert (ending.fate, ending.why, ending.close_code) == (fate, why, code)
        assert not ending.broke_protocol


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x88\x01\x03", "a close frame without a whole code, or a reason that is not UTF-8"),
        (b"\x88\x03\x03\xe8\xff", "a close frame without a whole code, or a reason that is not UTF-8"),
        (b"\x81\x80", "a masked frame"),
        (b"\xf1\x00", "a frame with reserved bits"),
        (b"\x87\x00", "a frame with a reserved opcode"),
        (b"\x89\x7e", "a control frame that is fragmented or over 125 bytes"),
        (b"\x09\x00", "a control frame that is fragmented or over 125 bytes"),
        (b"\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", "a frame of more than 16 MiB"),
        (b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "a frame of more than 16 MiB"),
        (b"\x81\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"), "a frame of more than 16 MiB"),
        (frame(b"x", 0x80), "a continuation of nothing"),
        (frame(b"not JSON"), "a text that is no array of commands"),
        (frame(b"37"), "a text that is no array of commands"),
        (frame(b'{"tick":1}'), "a text that is no array of commands"),
        (frame(b'[["\xff"]]'), "a text that is not UTF-8"),
        (frame(b'[["handshake","\xff"]]'), "a text that is not UTF-8"),
        (frame(b"[" * 50_000), "a text that is no array of commands"),
        (frame(b"[[" + b"[" * 50_000 + b"]" * 50_000 + b"]]"), "a text that is no array of commands"),
    ],
)
def test_what_breaks_the_protocol_is_named(data: bytes, why: str) -> None:
    for first, fate in ((tick(0), Fate.CLOSED_EARLY), (b"", Fate.REFUSED)):
        ending, _ = ended(first, data)
        assert (ending.fate, ending.why, ending.close_code) == (fate, why, None)
        assert ending.broke_protocol


def test_a_close_frame_is_answered_with_its_code() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.sendall(tick(1) + b"\x88\x05\x03\xf0bye" + tick(2))
        answers.append(unmasked(sock))

    answers: list[tuple[int, bytes]] = []
    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
    assert answers == [(8, b"\x03\xf0")]
    assert observer.log.drain().n.tolist() == [0, 1], "what follows a close frame is none of ours"


def test_a_reset_is_an_early_end() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    with server(script) as (connection, observer):
        assert connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
    assert observer.ends == [(Fate.CLOSED_EARLY, "connection reset by peer")]


def test_frames_that_come_before_the_end_are_logged() -> None:
    ticks = b"".join(tick(n) for n in range(1, 4))
    for data in (ticks, ticks + b"\x88\x02\x03\xe9", ticks + b"\xff\xff", ticks + tick(4)[:20]):

        def script(sock: socket.socket, data: bytes = data) -> None:
            sock.sendall(tick(0))
            pause()
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            until_hung_up(sock)

        with server(script) as (connection, observer):
            assert connection.open(PATIENCE_S)
            connection.wait_end(PATIENCE_S)
        assert observer.log.drain().n.tolist() == [0, 1, 2, 3]


def test_reasons_can_be_counted() -> None:
    assert reason_of(ConnectionResetError(104, "x")) == "connection reset by peer"
    assert reason_of(OSError("odd")) == "odd"
