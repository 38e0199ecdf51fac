"""What a library's own reader is given of a peer's bytes: whole messages, and nothing that our parser would refuse."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire.deflate import Deflater, Inflater
from shared.wire.errors import ProtocolError
from shared.wire.frames import COMPRESSED, Opcode
from shared.wire.parser import FrameParser, FrameWalker, Message
from tests.shared.wire.client_frames import client_frame

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = Opcode
LIMIT = 100

FRAMES = st.builds(
    client_frame,
    st.sampled_from([0, 0, 1, 2, 8, 9, 10, 3]),
    st.binary(max_size=60),
    fin=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 0x40]),
    mask=st.sampled_from([b"abcd", b"\x00\x00\x00\x00", None]),
)


def walk(chunks: list[bytes]) -> tuple[list[bytes], int | None]:
    """Return what the walker gives out, and the code with which it refuses what comes then."""
    walker, given_out = FrameWalker(LIMIT, deflate=False), list[bytes]()
    try:
        for chunk in chunks:
            walker.feed(chunk)
            while not walker.needs_bytes:
                if (frames := walker.next_message()) is not None:
                    given_out.append(frames)
    except ProtocolError as error:
        return given_out, error.code
    return given_out, None


def parse(data: bytes) -> tuple[list[Message], int | None]:
    parser, messages = FrameParser(LIMIT), list[Message]()
    parser.feed(data)
    try:
        while not parser.needs_bytes:
            if (message := parser.next_message()) is not None:
                messages.append(message)
    except ProtocolError as error:
        return messages, error.code
    return messages, None


def is_of_content(code: int | None) -> bool:
    """Whether a message was refused for what is in it, which is the library's to see: its text."""
    return code == 1007


@given(st.lists(FRAMES, max_size=8), st.integers(1, 300))
@settings(max_examples=300)
def test_the_walker_gives_out_what_the_parser_takes(frames: list[bytes], size: int) -> None:
    data = b"".join(frames)
    given_out, code = walk([data[at : at + size] for at in range(0, len(data), size)])
    assert data.startswith(b"".join(given_out))
    messages, parsed_code = parse(b"".join(given_out))
    if parsed_code is None:
        assert len(messages) == len(given_out), "one message at a time"
        assert parse(data)[1] == code
    else:
        assert is_of_content(parsed_code)


def test_a_message_is_held_back_until_its_last_byte_is_here() -> None:
    walker = FrameWalker(LIMIT, deflate=False)
    data = client_frame(TEXT, b"x" * 10, fin=False) + client_frame(CONTINUATION, b"y" * 10)
    for byte in data[:-1]:
        walker.feed(bytes([byte]))
        assert walker.next_message() is None
    walker.feed(data[-1:])
    assert walker.next_message() == data
    assert len(walker) == 0


def test_a_control_frame_brings_along_the_fragments_before_it() -> None:
    begun, ping, rest = client_frame(TEXT, b"x", fin=False), client_frame(PING, b"p"), client_frame(CONTINUATION, b"y")
    assert walk([begun + ping + rest]) == ([begun + ping, rest], None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(TEXT, b"x", mask=None), 1002),
        (client_frame(TEXT, b"x", reserved=0x40), 1002),
        (client_frame(TEXT, declared=LIMIT + 1), 1009),
        (client_frame(TEXT, b"x" * LIMIT, fin=False) + client_frame(CONTINUATION, b"y"), 1009),
        (client_frame(TEXT, b"", fin=False) + client_frame(CONTINUATION, b"", fin=False) * 64, 1008),
    ],
    ids=["unmasked", "compressed", "too long", "too long in fragments", "too many fragments"],
)
def test_what_a_library_may_not_bound_is_refused_before_it(data: bytes, code: int) -> None:
    assert walk([data]) == ([], code)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        (b"\x00\x00", 1002),
        (b"\x03\xee", 1002),  # 1006
        (b"\x03\xf7", 1002),  # 1015
        (b"\x07\xd0", 1002),  # 2000
        (b"\x13\x88", 1002),  # 5000
        (b"\x13\x88\xff", 1002),
        (b"\x03\xee\xff", 1002),
        (b"\x03\xe8\xff", 1007),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else str(value),
)
def test_a_close_frame_is_judged_alike_for_every_library(payload: bytes, code: int) -> None:
    """Of two faults in one frame, too, every stack names the same."""
    frame = client_frame(CLOSE, payload)
    assert walk([frame]) == ([], code)
    assert parse(frame) == ([], code)


def test_a_compressed_message_is_given_out_where_that_was_agreed_on() -> None:
    first = client_frame(TEXT, b"x", reserved=0x40, fin=False)
    walker = FrameWalker(LIMIT, deflate=True)
    walker.feed(first + client_frame(CONTINUATION, b"y") + client_frame(PING, b"p", reserved=0x40))
    assert walker.next_message() == first + client_frame(CONTINUATION, b"y")
    with pytest.raises(ProtocolError):
        walker.next_message()  # a control frame never is


# Messages that are compressed, for us to inflate


def compressed(text: bytes, *cuts: int, opcode: int = TEXT, between: bytes = b"") -> bytes:
    """Return a compressed message, whose payload is cut there, with ``between`` between two fragments."""
    payload = Deflater(15, takes_over=False).deflate(text)
    borders = [0, *(min(cut, len(payload)) for cut in sorted(cuts)), len(payload)]
    parts = [payload[at:end] for at, end in itertools.pairwise(borders)]
    frames = [
        client_frame(
            CONTINUATION if number else opcode,
            part,
            fin=number == len(parts) - 1,
            reserved=0 if number else COMPRESSED,
        )
        for number, part in enumerate(parts)
    ]
    return between.join(frames)


def inflater() -> Inflater:
    return Inflater(15, LIMIT, takes_over=False)


def read_all(reader: FrameParser | FrameWalker, data: bytes, size: int) -> tuple[list[Any], int | None]:
    """Return what a reader gives out of data that comes in pieces, and the code with which it refuses the rest."""
    taken: list[Any] = []
    try:
        for at in range(0, len(data), size):
            reader.feed(data[at : at + size])
            while not reader.needs_bytes:
                if (each := reader.next_message()) is not None:
                    taken.append(each)
    except ProtocolError as error:
        return taken, error.code
    return taken, None


PING_FRAME = client_frame(PING, b"p")
CUTS = st.lists(st.integers(0, 40), max_size=3)
MESSAGES = st.lists(
    st.one_of(
        st.builds(
            lambda text, cuts, between: compressed(text, *cuts, between=between),
            st.one_of(st.binary(max_size=LIMIT), st.text(max_size=30).map(str.encode)),
            CUTS,
            st.sampled_from([b"", PING_FRAME]),
        ),
        st.builds(client_frame, st.sampled_from([TEXT, TEXT, PING, CLOSE, CONTINUATION]), st.binary(max_size=20)),
        st.builds(client_frame, st.just(TEXT), st.binary(max_size=20), reserved=st.just(COMPRESSED)),
    ),
    max_size=5,
)


@given(MESSAGES, st.integers(1, 300))
@settings(max_examples=200)
def test_a_library_gets_of_compressed_messages_what_our_parser_takes(frames: list[bytes], size: int) -> None:
    data = b"".join(frames)
    expected, code = read_all(FrameParser(LIMIT, inflater()), data, size)
    given_out, walked_code = read_all(FrameWalker(LIMIT, inflater()), data, size)
    plain, plain_code = parse(b"".join(given_out))
    assert plain == expected[: len(plain)]
    assert (walked_code or plain_code) == code or is_of_content(plain_code)


@pytest.mark.parametrize("reader", [FrameParser, FrameWalker])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(TEXT, b"\x07", reserved=COMPRESSED), 1007),
        (compressed(b"x" * (LIMIT + 1)), 1009),
        (compressed(bytes(100_000_000)), 1009),
        (client_frame(TEXT, reserved=COMPRESSED, declared=LIMIT + 1), 1009),
        (client_frame(TEXT, b"", fin=False) + client_frame(CONTINUATION, b"", reserved=COMPRESSED), 1002),
        (client_frame(PING, b"", reserved=COMPRESSED), 1002),
        (client_frame(TEXT, b"", reserved=0x20), 1002),
        (client_frame(TEXT, b"", reserved=COMPRESSED, fin=False) + compressed(b""), 1002),
    ],
    ids=["corrupt", "grows", "bomb", "declared", "continuation", "control", "other bit", "in another"],
)
def test_what_is_wrong_with_a_compressed_message(
    reader: type[FrameParser | FrameWalker], data: bytes, code: int
) -> None:
    assert read_all(reader(LIMIT, inflater()), data, 100) == ([], code)


def test_a_compressed_text_is_one_plain_frame_for_the_library_and_control_frames_come_before_it() -> None:
    data = compressed("é".encode() * 40, 5, 9, between=PING_FRAME)
    given_out, code = read_all(FrameWalker(LIMIT, inflater()), data, 7)
    assert code is None
    assert given_out[:2] == [PING_FRAME, PING_FRAME]
    assert parse(given_out[2]) == ([(TEXT, "é" * 40)], None)
    assert len(given_out) == 3


def test_a_compressed_text_that_is_not_utf_8_is_refused() -> None:
    assert read_all(FrameParser(LIMIT, inflater()), compressed(b"\xff"), 100) == ([], 1007)


@pytest.mark.parametrize(("payload", "code"), [(b"", 0), (b"\x03\xe8", 1000), (b"\x0f\xa0bye", 4000)])
def test_it_says_that_what_it_gave_out_ends_with_a_close(payload: bytes, code: int) -> None:
    walker = FrameWalker(LIMIT)
    walker.feed(client_frame(TEXT, b"a", fin=False) + client_frame(PING) + client_frame(CLOSE, payload))
    assert walker.next_message()
    assert walker.close_code is None
    assert walker.next_message()
    assert walker.close_code == code
