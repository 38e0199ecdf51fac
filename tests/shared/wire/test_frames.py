import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import frame_protocol

from shared.wire.frames import CloseCode, Opcode, close_payload, echoed_close_code, server_frame


def decode(data: bytes) -> list[tuple[int, bytes, bool]]:
    """Read as a client of another library does: opcode, payload, whether it is final."""
    decoder = frame_protocol.FrameDecoder(client=True)
    decoder.receive_bytes(data)
    frames = []
    payload = b""
    while (frame := decoder.process_buffer()) is not None:
        assert isinstance(frame.payload, bytes | bytearray)
        payload += frame.payload
        if frame.frame_finished:
            frames.append((int(frame.opcode), payload, frame.message_finished))
            payload = b""
    return frames


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x82\x00"),
        (1, b"\x82\x01"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_s_length_takes_as_few_bytes_as_it_can(length: int, header: bytes) -> None:
    payload = bytes(number % 251 for number in range(length))
    frame = server_frame(Opcode.BINARY, payload)
    assert frame == header + payload
    assert decode(frame + server_frame(Opcode.PING, b"x")) == [(2, payload, True), (9, b"x", True)]


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG])
@given(payload=st.text(max_size=41).map(str.encode))
def test_another_library_reads_a_frame_back(opcode: Opcode, payload: bytes) -> None:
    payload = payload[:125].decode(errors="ignore").encode()
    assert decode(server_frame(opcode, payload)) == [(opcode, payload, True)]


def test_the_numbers_are_those_of_the_rfc() -> None:
    assert {opcode.name: opcode.value for opcode in Opcode} == {
        "CONTINUATION": 0,
        "TEXT": 1,
        "BINARY": 2,
        "CLOSE": 8,
        "PING": 9,
        "PONG": 10,
    }
    assert list(CloseCode) == [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013]


@given(st.sampled_from(CloseCode), st.text(max_size=200))
def test_a_close_s_reason_is_cut_at_a_character(code: CloseCode, reason: str) -> None:
    payload = close_payload(code, reason)
    assert len(payload) <= 125
    assert struct.unpack("!H", payload[:2]) == (code,)
    kept = payload[2:].decode()
    assert reason.startswith(kept)
    if kept != reason:
        assert len((kept + reason[len(kept)]).encode()) > 123


def test_a_close_s_reason_has_123_bytes() -> None:
    assert close_payload(1008, "x" * 130) == b"\x03\xf0" + b"x" * 123
    assert close_payload(1008, "x" * 122 + "é") == b"\x03\xf0" + b"x" * 122
    assert close_payload(1000) == b"\x03\xe8"


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
)
def test_a_close_code_that_may_travel_is_echoed(code: int) -> None:
    assert echoed_close_code(code) == code


def test_a_close_without_a_code_is_answered_with_1000() -> None:
    assert echoed_close_code(0) == 1000


@pytest.mark.parametrize("code", [1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_a_close_code_that_never_travels_is_a_protocol_error(code: int) -> None:
    assert echoed_close_code(code) == 1002
