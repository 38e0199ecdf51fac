import base64
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.receive.arrivals import MAX_MESSAGE_BYTES
from loadtests.receive.frames import (
    BINARY,
    CONTINUATION,
    TEXT,
    Assembler,
    ClientHandshake,
    Message,
    PeerError,
    ReceivedFrame,
    frame_bytes,
    frames_in,
    masked_frame,
)
from shared.wire.deflate import BROWSER_OFFER
from shared.wire.target import parse_target

HANDSHAKE = ClientHandshake(parse_target("ws://127.0.0.1:8000/connect?room=a"), bytes(range(16)))


def server_frame(payload: bytes, first: int = 0x81) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def payloads(data: bytes) -> list[bytes]:
    return [bytes(frame.payload) for frame in frames_in(memoryview(data))]


# Frames out


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_masked_frame_can_be_unmasked(payload: bytes, mask: bytes) -> None:
    frame = masked_frame(TEXT, payload, mask)
    start = 2 if len(payload) < 126 else 4
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert frame[start : start + 4] == mask
    unmasked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(frame[start + 4 :]))
    assert unmasked == payload


@pytest.mark.parametrize(("size", "head"), [(125, 2), (126, 4), (65535, 4), (65536, 10)])
def test_the_length_of_a_masked_frame(size: int, head: int) -> None:
    frame = masked_frame(BINARY, bytes(size), b"\x00\x00\x00\x00")
    assert len(frame) == head + 4 + size
    assert frame_bytes(bytes((frame[0], frame[1] & 0x7F)) + frame[2:]) == head + size


# Frames in


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_frames_of_every_length(size: int) -> None:
    data = server_frame(bytes(size))
    assert payloads(data * 2) == [bytes(size)] * 2
    assert frame_bytes(data) == len(data)
    assert payloads(data[:-1]) == []


def test_what_is_cut_off_is_left_for_later() -> None:
    data = server_frame(b"one") + server_frame(b"two")
    for end in range(len(data)):
        whole = [b"one"] if end >= 5 else []
        assert payloads(data[:end]) == whole


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x81\x80", "masked"),
        (b"\xc1\x00", "reserved bits"),
        (b"\x83\x00", "reserved opcode"),
        (b"\x8b\x00", "reserved opcode"),
        (b"\x89\x7e\x00\x7e", "control frame"),
        (b"\x09\x00", "control frame"),
        (b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x01", "16 MiB"),
        (b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "16 MiB"),
    ],
)
def test_no_server_may_send_that(data: bytes, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        list(frames_in(memoryview(data)))


@pytest.mark.parametrize("first", [0x41, 0x42, 0xC1, 0xC2])
def test_messages_may_be_compressed_where_that_was_agreed_on(first: int) -> None:
    data = memoryview(server_frame(b"a", first))
    (frame,) = frames_in(data, may_deflate=True)
    assert (frame.compressed, frame.opcode, frame.final, frame.size_bytes) == (True, first & 15, first > 0x80, 3)
    with pytest.raises(PeerError, match="reserved bits"):
        list(frames_in(data))


@pytest.mark.parametrize("first", [0x40, 0xC0, 0xC8, 0xC9, 0xCA, 0xA1, 0x91, 0xE1])
def test_nothing_else_may(first: int) -> None:
    with pytest.raises(PeerError, match="reserved bits"):
        list(frames_in(memoryview(server_frame(b"a", first)), may_deflate=True))


@given(st.binary(max_size=64))
def test_bytes_of_chance_are_frames_or_an_error(data: bytes) -> None:
    try:
        frames = list(frames_in(memoryview(data)))
    except PeerError:
        return
    assert all(frame.end <= len(data) for frame in frames)


# Messages


def piece(
    payload: bytes, opcode: int = CONTINUATION, *, final: bool = False, compressed: bool = False
) -> ReceivedFrame:
    return ReceivedFrame(final, opcode, memoryview(payload), 0, 2 + len(payload), compressed)


def test_fragments_make_a_message() -> None:
    assembler = Assembler()
    assert assembler.take(piece(b"whole", BINARY, final=True)) == Message(
        BINARY, b"whole", compressed=False, wire_bytes=7
    )
    assert assembler.take(piece(b"a", TEXT)) is None
    assert assembler.waiting
    assert assembler.take(piece(b"b")) is None
    assert assembler.take(piece(b"c", final=True)) == Message(TEXT, b"abc", compressed=False, wire_bytes=9)
    assert not assembler.waiting


def test_the_first_fragment_says_whether_a_message_is_compressed() -> None:
    assembler = Assembler()
    for compressed in (True, False, True):
        assembler.take(piece(b"a", TEXT, compressed=compressed))
        message = assembler.take(piece(b"b", final=True))
        assert message == Message(TEXT, b"ab", compressed, wire_bytes=6)


def test_fragments_of_nothing_and_messages_inside_others() -> None:
    with pytest.raises(PeerError, match="continuation of nothing"):
        Assembler().take(piece(b"x", final=True))
    assembler = Assembler()
    assembler.take(piece(b"a", TEXT))
    with pytest.raises(PeerError, match="inside another"):
        assembler.take(piece(b"b", TEXT, final=True))


def test_fragments_are_bounded() -> None:
    assembler = Assembler()
    assembler.take(piece(bytes(MAX_MESSAGE_BYTES), TEXT))
    with pytest.raises(PeerError, match="16 MiB"):
        assembler.take(piece(b"x"))


# The handshake


def accept() -> str:
    key = base64.b64encode(HANDSHAKE.nonce)
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()  # noqa: S324


def answer(status: str = "101 Switching Protocols", accept: Callable[[], str] = accept) -> bytes:
    return f"HTTP/1.1 {status}\r\nsec-websocket-ACCEPT:  {accept()}\r\n\r\n".encode()


def test_the_request_asks_for_an_upgrade() -> None:
    lines = HANDSHAKE.request().decode().split("\r\n")
    assert lines[0] == "GET /connect?room=a HTTP/1.1"
    assert "Host: 127.0.0.1:8000" in lines
    assert "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==" in lines


def test_an_answer_that_comes_bit_by_bit() -> None:
    data = answer()
    for end in range(len(data)):
        assert HANDSHAKE.response_end(data[:end]) == 0
    assert HANDSHAKE.response_end(data + b"\x81\x00") == len(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (answer("503 Service Unavailable"), "^HTTP status 503$"),
        (answer("404 Not Found"), "^HTTP status 404$"),
        (answer(accept=lambda: "nonsense"), "Accept"),
        (b"HTTP/1.1 101 OK\r\n\r\n", "Accept"),
        (b"HTTP/1.1\r\n\r\n", "no HTTP status"),
        (b"HTTP/1.1 many OK\r\n\r\n", "no HTTP status"),
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (b"\x00", "not HTTP"),
        (b"HTTP/1.1 101 OK\r\n" + b"x" * 20_000, "does not end"),
        (answer()[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "not offered"),
    ],
)
def test_no_answer_to_the_handshake(data: bytes, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        HANDSHAKE.response_end(data)


OFFERING = ClientHandshake(HANDSHAKE.target, HANDSHAKE.nonce, BROWSER_OFFER)


def test_the_offer_is_that_of_browsers() -> None:
    lines = OFFERING.request().decode().split("\r\n")
    assert "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits" in lines
    assert "Extensions" not in HANDSHAKE.request().decode()


@pytest.mark.parametrize(
    ("extensions", "text"),
    [
        ([], ""),
        (["permessage-deflate"], "permessage-deflate"),
        (
            ["permessage-deflate;  server_no_context_takeover ;client_max_window_bits=10"],
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
        ),
    ],
)
def test_what_was_agreed_on(extensions: list[str], text: str) -> None:
    lines = "".join(f"SEC-websocket-extensions: {each}\r\n" for each in extensions)
    data = answer()[:-2] + lines.encode() + b"\r\n"
    end = OFFERING.response_end(data)
    assert end == len(data)
    agreement = OFFERING.agreement(data[: end - 4])
    assert ("" if agreement is None else agreement.text) == text


@pytest.mark.parametrize(
    "extensions",
    [
        ["x-webkit-deflate-frame"],
        ["permessage-deflate", "permessage-deflate"],
        ["permessage-deflate; server_max_window_bits=7"],
        ["permessage-deflate; client_max_window_bits"],
        ["permessage-deflate; unheard_of"],
        ["permessage-deflate;"],
        ["permessage-deflate; \x1b[2J"],
    ],
)
def test_what_nobody_offered_is_no_agreement(extensions: list[str]) -> None:
    lines = "".join(f"Sec-WebSocket-Extensions: {each}\r\n" for each in extensions)
    with pytest.raises(PeerError) as raised:
        OFFERING.response_end(answer()[:-2] + lines.encode() + b"\r\n")
    assert str(raised.value).isprintable()
