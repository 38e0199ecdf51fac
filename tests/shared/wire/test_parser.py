import itertools
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto import frame_protocol

from shared.wire.errors import ProtocolError
from shared.wire.frames import Opcode
from shared.wire.parser import FRAMES_A_CALL, FrameParser, Message, unmask
from tests.shared.wire.client_frames import client_frame

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = Opcode
LIMIT = 4096


def parse(data: bytes, limit: int = LIMIT) -> list[Message]:
    parser = FrameParser(limit)
    parser.feed(data)
    return take(parser)


def take(parser: FrameParser) -> list[Message]:
    messages = []
    while not parser.needs_bytes:
        if (message := parser.next_message()) is not None:
            messages.append(message)
    return messages


def refusal(data: bytes, limit: int = LIMIT) -> int:
    with pytest.raises(ProtocolError) as caught:
        parse(data, limit)
    return caught.value.code


# Messages


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (client_frame(TEXT, b'["join"]'), (TEXT, '["join"]')),
        (client_frame(TEXT), (TEXT, "")),
        (client_frame(TEXT, "é\U0001f40d".encode()), (TEXT, "é\U0001f40d")),
        (client_frame(BINARY, b"\xff\x00"), (BINARY, b"\xff\x00")),
        (client_frame(PING, b"x" * 125), (PING, b"x" * 125)),
        (client_frame(PONG), (PONG, b"")),
        (client_frame(CLOSE), (CLOSE, 0)),
        (client_frame(CLOSE, struct.pack("!H", 1001)), (CLOSE, 1001)),
        (client_frame(CLOSE, struct.pack("!H", 4999) + "é".encode()), (CLOSE, 4999)),
        (client_frame(TEXT, b"x" * 126), (TEXT, "x" * 126)),
        (client_frame(TEXT, b"x" * LIMIT), (TEXT, "x" * LIMIT)),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[0].name,
)
def test_one_frame_is_one_message(frame: bytes, message: Message) -> None:
    (parsed,) = parse(frame)
    assert parsed == message
    assert type(parsed[1]) is type(message[1])


def test_a_large_binary_message_is_read_whole() -> None:
    payload = bytes(range(256)) * 4096
    assert parse(client_frame(BINARY, payload), limit=2**20) == [(BINARY, payload)]


def test_fragments_are_put_together_and_control_frames_may_come_between() -> None:
    data = (
        client_frame(TEXT, "é".encode()[:1], fin=False)
        + client_frame(PING, b"p")
        + client_frame(CONTINUATION, "é".encode()[1:], fin=False)
        + client_frame(CONTINUATION)
        + client_frame(BINARY, b"b")
    )
    assert parse(data) == [(PING, b"p"), (TEXT, "é"), (BINARY, b"b")]


def test_a_message_may_have_many_fragments_but_not_any_number() -> None:
    most = client_frame(TEXT, b"a", fin=False) + client_frame(CONTINUATION, fin=False) * (LIMIT // 16 - 2)
    assert parse(most + client_frame(CONTINUATION)) == [(TEXT, "a")]
    assert parse((most + client_frame(CONTINUATION)) * 2) == [(TEXT, "a"), (TEXT, "a")]
    with pytest.raises(ProtocolError) as refusal:
        parse(most + client_frame(CONTINUATION, fin=False) * 2)
    assert refusal.value.code == 1008


def test_a_flood_of_empty_fragments_is_parsed_a_few_at_a_time() -> None:
    parser = FrameParser(2**20)
    parser.feed(client_frame(TEXT, b"a", fin=False) + client_frame(CONTINUATION, fin=False) * (3 * FRAMES_A_CALL))
    for _ in range(3):
        assert parser.next_message() is None
        assert not parser.needs_bytes
    assert parser.next_message() is None
    assert parser.needs_bytes
    parser.feed(client_frame(CONTINUATION))
    assert parser.next_message() == (TEXT, "a")
    assert parser.needs_bytes


def test_nothing_comes_of_nothing() -> None:
    assert parse(b"") == []


PAYLOADS = st.tuples(st.just(BINARY), st.binary(max_size=300)) | st.tuples(st.just(TEXT), st.text(max_size=150))
CONTROLS = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(PAYLOADS | CONTROLS, max_size=6), st.lists(st.integers(0, 5000), max_size=12), st.binary(min_size=4))
@settings(max_examples=200)
def test_any_chunking_gives_the_same_messages(messages: list[Message], cuts: list[int], mask: bytes) -> None:
    payloads = [data.encode() if isinstance(data, str) else data for _, data in messages if not isinstance(data, int)]
    frames = [
        client_frame(opcode, payload, mask=mask[:4]) for (opcode, _), payload in zip(messages, payloads, strict=True)
    ]
    parser, parsed = FrameParser(LIMIT), list[Message]()
    for chunk in cut(b"".join(frames), cuts):
        parser.feed(chunk)
        parsed += take(parser)
    assert parsed == messages


@given(PAYLOADS, st.lists(st.integers(0, 5000), max_size=5))
def test_any_fragmenting_gives_the_same_message(message: Message, cuts: list[int]) -> None:
    opcode, data = message
    assert not isinstance(data, int)
    parts = cut(data.encode() if isinstance(data, str) else data, cuts)
    last = len(parts) - 1
    frames = [
        client_frame(CONTINUATION if index else opcode, part, fin=index == last) for index, part in enumerate(parts)
    ]
    assert parse(client_frame(PING).join(frames)) == [(PING, b"")] * last + [message]


@given(st.text(), st.binary(max_size=125))
def test_what_another_library_sends_is_read(text: str, payload: bytes) -> None:
    client = frame_protocol.FrameProtocol(client=True, extensions=[])
    data = client.send_data(text, fin=True) + client.ping(payload) + client.close(1001, "bye")
    assert parse(bytes(data)) == [(TEXT, text), (PING, payload), (CLOSE, 1001)]


# What breaks the protocol


@pytest.mark.parametrize(
    "frame",
    [
        client_frame(TEXT, b"x", mask=None),
        client_frame(PING, mask=None),
        client_frame(TEXT, b"x", reserved=0x40),
        client_frame(TEXT, b"x", reserved=0x20),
        client_frame(TEXT, b"x", reserved=0x10),
        *[client_frame(opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
        client_frame(PING, fin=False),
        client_frame(CLOSE, fin=False),
        client_frame(PING, b"x" * 126),
        client_frame(CLOSE, b"\x03\xe8" + b"x" * 124),
        client_frame(CLOSE, b"\x03"),
        client_frame(CLOSE, b"\x00\x00"),  # not the same as no code
        client_frame(CONTINUATION, b"x"),
        client_frame(TEXT, b"x", fin=False) + client_frame(TEXT, b"x"),
        client_frame(TEXT, b"x", fin=False) + client_frame(BINARY, b"x"),
        client_frame(TEXT, b"x") + client_frame(CONTINUATION, b"x"),
    ],
    ids=bytes.hex,
)
def test_a_broken_frame_is_1002(frame: bytes) -> None:
    assert refusal(frame) == 1002


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"ok\x80"],
    ids=bytes.hex,
)
def test_text_that_is_not_utf_8_is_1007(payload: bytes) -> None:
    assert refusal(client_frame(TEXT, payload)) == 1007
    assert refusal(client_frame(TEXT, payload, fin=False) + client_frame(CONTINUATION)) == 1007
    assert refusal(client_frame(CLOSE, b"\x03\xe8" + payload)) == 1007


def header(length: int, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """Return all that comes before the mask."""
    frame = client_frame(opcode, declared=length, fin=fin)
    return frame[:-4]


@pytest.mark.parametrize("length", [LIMIT + 1, 65535, 65536, 2**32, 2**63 - 1, 2**64 - 1])
def test_a_declared_length_over_the_limit_is_1009_before_anything_else_comes(length: int) -> None:
    assert refusal(header(length)) == 1009
    parser = FrameParser(LIMIT)
    parser.feed(header(length)[:-1])
    assert parser.next_message() is None


def test_the_limit_is_of_the_message_not_of_the_fragment() -> None:
    start = client_frame(TEXT, b"x" * 4000, fin=False)
    assert parse(start + client_frame(CONTINUATION, b"x" * 96)) == [(TEXT, "x" * LIMIT)]
    assert refusal(start + header(97, CONTINUATION)) == 1009


def test_the_next_message_has_the_whole_limit_again() -> None:
    frame = client_frame(BINARY, b"x" * LIMIT)
    assert len(parse(frame * 3)) == 3


def test_a_control_frame_does_not_count_for_the_limit() -> None:
    data = client_frame(TEXT, b"xxx", fin=False) + client_frame(PING, b"pppp") + client_frame(CONTINUATION, b"x")
    assert parse(data, limit=4) == [(PING, b"pppp"), (TEXT, "xxxx")]


def test_messages_before_a_broken_frame_are_still_given() -> None:
    parser = FrameParser(LIMIT)
    parser.feed(client_frame(TEXT, b"a") + client_frame(3))
    assert parser.next_message() == (TEXT, "a")
    with pytest.raises(ProtocolError):
        parser.next_message()


FRAMES = st.builds(
    client_frame,
    st.sampled_from([0, 1, 2, 8, 9, 10, 3]),
    st.binary(max_size=140),
    fin=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 0x40]),
    mask=st.sampled_from([b"abcd", b"\x00\x00\x00\x00", None]),
    declared=st.none() | st.integers(0, 200) | st.sampled_from([65536, 2**64 - 1]),
)


@given(st.lists(st.binary(max_size=40) | FRAMES, max_size=8))
@example([b"\x81\xfe"])
@settings(max_examples=300)
def test_no_bytes_raise_anything_but_a_protocol_error(chunks: list[bytes]) -> None:
    parser, code = FrameParser(100), None
    try:
        for chunk in chunks:
            parser.feed(chunk)
            for opcode, data in take(parser):
                assert isinstance(data, {TEXT: str, CLOSE: int}.get(opcode, bytes))
                assert isinstance(data, int) or len(data) <= 125
    except ProtocolError as error:
        code = error.code
    assert code in (None, 1002, 1007, 1009)


@given(st.binary(max_size=100), st.binary(min_size=4, max_size=4))
def test_unmasking_is_xor_by_byte(payload: bytes, mask: bytes) -> None:
    assert unmask(bytearray(payload), mask) == bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
