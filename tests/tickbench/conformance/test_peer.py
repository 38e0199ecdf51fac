import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from websocket import WebSocket

from shared.wire.frames import Opcode, close_payload, server_frame
from tests.support.client import client_frame as independent_frame
from tickbench.conformance.check import about
from tickbench.conformance.first_offenders import FirstOffenders
from tickbench.conformance.peer import (
    ClosedError,
    EndedError,
    Peer,
    PeerMessage,
    SilenceError,
    client_frame,
    declared_frame,
    to_common_tick,
)
from tickbench.conformance.verdict import FaultError

NOW_US = 1_700_000_000_000_000


class Line(NamedTuple):
    """A peer and the other end of its socket."""

    peer: Peer
    far: socket.socket

    def say(self, *commands: list[Any]) -> None:
        self.far.sendall(server_frame(Opcode.TEXT, json.dumps(commands, separators=(",", ":")).encode()))


def open_line() -> Line:
    near, far = socket.socketpair()
    ws: Any = WebSocket()
    ws.sock, ws.connected = near, True
    return Line(Peer(ws, FirstOffenders(), lambda: NOW_US, 0.2), far)


@pytest.fixture
def line() -> Iterator[Line]:
    line = open_line()
    with closing(line.far):
        yield line
    line.peer.hang_up()


@pytest.mark.parametrize("payload", [b"", b"37", b"x" * 126, b"x" * 70_000])
@pytest.mark.parametrize("fields", [{}, {"fin": False}, {"reserved": 4}, {"reserved": 1}, {"masked": False}])
@pytest.mark.parametrize("opcode", [1, 3, 9, 15])
def test_a_frame_is_built_as_it_is_asked_for(payload: bytes, fields: dict[str, Any], opcode: int) -> None:
    ours, theirs = client_frame(opcode, payload, **fields), independent_frame(opcode, payload, **fields)
    head = len(theirs) - len(payload) - (4 if fields.get("masked", True) else 0)
    assert ours[:head] == theirs[:head]
    assert len(ours) == len(theirs)


def test_a_length_can_be_declared_without_a_payload() -> None:
    assert declared_frame(2**40)[:10] == independent_frame(1, declared_length=2**40)[:10]


def test_a_tick_is_found_wherever_it_stands(line: Line) -> None:
    line.say(["pad", "."], ["tick", 7, 1, 2])
    message = line.peer.next()
    assert message.ticks == [(7, 1, 2, NOW_US, '[["pad","."],["tick",7,1,2]]')]
    assert message.has("pad")
    assert not message.is_error


@pytest.mark.parametrize(
    ("commands", "is_error"),
    [
        ([["error", "why"]], True),
        ([["error", "why", 400]], True),
        ([["error", ""]], False),
        ([["error"]], False),
        ([["error", "why"], ["pad", ""]], False),
        ([], False),
    ],
)
def test_an_error_has_words_and_stands_alone(commands: list[Any], *, is_error: bool) -> None:
    assert PeerMessage("", commands, 0).is_error is is_error


def test_fragments_are_one_message_and_pings_are_answered(line: Line) -> None:
    line.far.sendall(b'\x01\x02[[\x89\x02hi\x00\x06"pad",')
    line.far.sendall(b'\x80\x04""]]')
    assert line.peer.next().commands == [["pad", ""]]
    assert line.far.recv(2) == b"\x8a\x82"


def test_what_is_no_server_frame_is_noted(line: Line) -> None:
    line.far.sendall(client_frame(Opcode.TEXT, b'[["pad",""]]'))
    assert line.peer.next().has("pad")
    assert "masked" in str(line.peer.offenders.frame_flaw)


def test_a_binary_message_is_read_and_noted(line: Line) -> None:
    line.far.sendall(server_frame(Opcode.BINARY, b'[["pad",""]]'))
    assert line.peer.next().has("pad")
    assert "binary" in str(line.peer.offenders.frame_flaw)


def test_what_is_no_text_is_a_fault(line: Line) -> None:
    line.far.sendall(server_frame(Opcode.TEXT, b"\xff"))
    with pytest.raises(FaultError, match="not UTF-8"):
        line.peer.next()


def test_every_wait_ends(line: Line) -> None:
    with pytest.raises(SilenceError, match=r"a pong did not come in 0\.1 s"):
        line.peer.until(lambda message: message.has("pong"), "a pong", 0.1)
    assert line.peer.close_flaw("a fault", 1008) == "a fault: no close in 0.2 s, last came nothing"


def test_a_close_is_answered_and_told(line: Line) -> None:
    line.say(["pad", ""])
    line.far.sendall(server_frame(Opcode.CLOSE, close_payload(1008, "too many")))
    assert line.peer.close_flaw("a flood", 1009) == "a flood: the server closed with 1008 (too many)"
    assert line.far.recv(2) == b"\x88\x82"


@pytest.mark.parametrize(
    ("codes", "payload", "wrong"),
    [
        ((1008,), close_payload(1008), None),
        ((1000, None), b"", None),
        ((1000,), b"", "a flood: the server closed with no code"),
        ((), close_payload(1011), None),
    ],
)
def test_any_of_some_codes_is_right(line: Line, codes: tuple[int, ...], payload: bytes, wrong: str | None) -> None:
    line.far.sendall(server_frame(Opcode.CLOSE, payload))
    assert line.peer.close_flaw("a flood", *codes) == wrong


@pytest.mark.parametrize("frame", [b"\xc1\x00", b"\x83\x00", b"\x09\x00", b"\x88\x01x"])
def test_what_is_no_frame_is_told_with_the_case(line: Line, frame: bytes) -> None:
    line.far.sendall(frame)
    assert "a flood: what came is no frame of RFC 6455: " in str(line.peer.close_flaw("a flood", 1008))
    line.far.sendall(frame)
    assert "a typo: what came is no frame of RFC 6455: " in str(line.peer.error_flaw("typo", "a typo"))
    line.far.sendall(frame)
    with pytest.raises(FaultError, match="a ping: what came is no frame of RFC 6455: "), about("a ping"):
        line.peer.next()


def test_a_close_of_our_own_is_not_answered_twice(line: Line) -> None:
    line.peer.close()
    line.far.sendall(server_frame(Opcode.CLOSE, close_payload(1000)))
    with pytest.raises(ClosedError):
        line.peer.next()
    assert len(line.far.recv(100)) == 8


def test_an_end_without_a_close_is_told(line: Line) -> None:
    line.far.close()
    with pytest.raises(EndedError, match="without a close frame"):
        line.peer.next()


def test_all_up_to_the_answer_is_handed_over(line: Line) -> None:
    line.say(["error", "why"])
    line.say(["tick", 1, 2, 3], ["pong", 5, 6])
    assert [message.is_error for message in line.peer.settle()] == [True, False]


def test_two_read_on_to_the_same_tick(line: Line) -> None:
    other = open_line()
    for n in (1, 2, 5):
        line.say(["tick", n, n, n])
    for n in (3, 4, 5):
        other.say(["tick", n, n, n])
    pair = to_common_tick(line.peer, other.peer)
    other.far.close()
    other.peer.hang_up()
    assert pair is not None
    assert pair[0].n == pair[1].n == 5
