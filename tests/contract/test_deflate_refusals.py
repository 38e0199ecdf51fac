"""What is wrong with a compressed message closes its connection, with the code that it has elsewhere; nobody else."""

import random
import zlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import Arm
from tests.support.bystander import undisturbed, undisturbed_for_long
from tests.support.client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, client_frame
from tests.support.deflating_client import (
    AS_BROWSERS,
    NAME,
    RSV1,
    TAIL,
    DeflatingPlayer,
    Packer,
    Unpacker,
    in_pieces,
    open_echo,
    open_room,
)
from tests.support.server import RunningServer

pytestmark = [pytest.mark.differs(), pytest.mark.framework("on")]

MIB = 2**20
ROOM_LIMIT = 4096
PROTOCOL_ERROR, UNSUPPORTED, INVALID, TOO_BIG = 1002, 1003, 1007, 1009

TEXT_OF_MANY = bytes(random.Random(1).choices(b"abcdefghijklmnop", k=900))
PACKED = Packer().pack(TEXT_OF_MANY)
HELLO = Packer().pack(b'["ping",1]')


def said_again(data: bytes) -> bytes:
    """Return a message that says but that it is as the one before."""
    packer = Packer()
    packer.pack(data)
    return packer.pack(data)


BAD_BITS = {
    "RSV2": client_frame(TEXT, HELLO, reserved=RSV1 | 2),
    "RSV3": client_frame(TEXT, HELLO, reserved=RSV1 | 1),
    "RSV2 alone": client_frame(TEXT, b"65", reserved=2),
    "RSV3 alone": client_frame(BINARY, b"65", reserved=1),
    "RSV1 on a continuation": client_frame(TEXT, HELLO[:3], reserved=RSV1, fin=False)
    + client_frame(CONTINUATION, HELLO[3:], reserved=RSV1),
    "RSV1 on a continuation alone": client_frame(TEXT, b"6", fin=False)
    + client_frame(CONTINUATION, b"5", reserved=RSV1),
    "RSV1 on one in the middle": client_frame(TEXT, HELLO[:3], reserved=RSV1, fin=False)
    + client_frame(CONTINUATION, HELLO[3:5], reserved=RSV1, fin=False),
    "RSV1 on a ping": client_frame(PING, b"x", reserved=RSV1),
    "RSV1 on a pong": client_frame(PONG, b"x", reserved=RSV1),
    "RSV1 on a close": client_frame(CLOSE, (1000).to_bytes(2), reserved=RSV1),
    "RSV1 on a ping between": client_frame(TEXT, HELLO[:3], reserved=RSV1, fin=False)
    + client_frame(PING, b"x", reserved=RSV1),
    "RSV1 on opcode 3": client_frame(3, HELLO, reserved=RSV1),
    "a compressed one within another": client_frame(TEXT, HELLO[:3], reserved=RSV1, fin=False)
    + client_frame(TEXT, HELLO, reserved=RSV1),
}

BAD_DATA = {
    "no block": b"\xff\xff\xff\xff",
    "a stored block of two lengths": b"\x00\x05\x00\x05\x00Hello\x00",
    "a reference to nothing": said_again(TEXT_OF_MANY),
    "three wrong bytes": PACKED[:40] + b"\xff\xff\xff" + PACKED[43:],
    "all but its beginning cut off": PACKED[:1],
    "zlib's header": zlib.compress(TEXT_OF_MANY),
    "gzip's header": b"\x1f\x8b\x08" + b"\x00" * 7 + PACKED,
    "not compressed at all": b"not compressed at all",
}
"""None of it comes apart."""

CUT = {
    "at its end": PACKED[:-9],
    "in its middle": PACKED[: len(PACKED) // 2],
    "within its last block": PACKED[:-2],
    "of a stored block": Packer().store(TEXT_OF_MANY)[:-9],
    "of all": b"",
}
"""It comes apart for as far as it goes."""


def sent(server: RunningServer, room: str, data: bytes) -> DeflatingPlayer:
    player = open_room(server, room, AS_BROWSERS)
    assert player.agreement
    player.enter("sender")
    player.send_raw(data)
    return player


# Frames


@pytest.mark.parametrize("name", BAD_BITS)
def test_a_bit_in_the_wrong_place_closes(deflating: RunningServer, room: str, name: str) -> None:
    with undisturbed(deflating, room):
        assert sent(deflating, room, BAD_BITS[name]).expect_close() == PROTOCOL_ERROR
        client = open_echo(deflating, AS_BROWSERS)
        client.send_raw(BAD_BITS[name])
        assert client.expect_close() == PROTOCOL_ERROR


@pytest.mark.parametrize("offers", [(), ("permessage-bzip2",), (f"{NAME}; unknown",)])
@pytest.mark.parametrize("pieces", [1, 1000])
def test_what_is_compressed_without_an_agreement_closes(
    deflating: RunningServer, room: str, offers: tuple[str, ...], pieces: int
) -> None:
    with undisturbed(deflating, room):
        player = open_room(deflating, room, *offers)
        assert player.agreement is None
        player.enter("sender")
        player.send_raw(in_pieces(TEXT, HELLO, pieces))
        assert player.expect_close() == PROTOCOL_ERROR


def test_what_is_compressed_for_a_server_that_takes_none_closes(plain_server: RunningServer, room: str) -> None:
    with undisturbed(plain_server, room):
        player = open_room(plain_server, room, AS_BROWSERS)
        assert player.agreement is None
        player.enter("sender")
        player.send_raw(in_pieces(TEXT, HELLO, 1000))
        assert player.expect_close() == PROTOCOL_ERROR


# Data


@pytest.mark.parametrize("pieces", [7, 2**16])
@pytest.mark.parametrize("name", BAD_DATA)
def test_what_does_not_come_apart_closes(deflating: RunningServer, room: str, name: str, pieces: int) -> None:
    data = in_pieces(TEXT, BAD_DATA[name], pieces)
    with undisturbed(deflating, room):
        assert sent(deflating, room, data).expect_close() == INVALID
        client = open_echo(deflating, AS_BROWSERS)
        client.send_raw(data)
        assert client.expect_close() == INVALID


@pytest.mark.parametrize("name", CUT)
def test_what_is_cut_off_closes(deflating: RunningServer, room: str, arm: Arm, deflate: str, name: str) -> None:
    with undisturbed(deflating, room):
        client = open_echo(deflating, AS_BROWSERS)
        client.send_packed(BINARY, CUT[name])
        if deflate == "on":  # libraries ask zlib for errors only, and it waits for more
            end = b"" if arm.framework in {"autobahn", "daphne"} else TAIL  # it drops what comes of that
            assert client.receive_message() == (BINARY, zlib.decompressobj(-15).decompress(CUT[name] + end))
        else:
            assert client.expect_close() == INVALID


def test_streams_without_end_close(deflating: RunningServer, room: str, arm: Arm, deflate: str) -> None:
    """Each ends at once, so that it would take long to read all that go into a message."""
    nothing = b"\x03\x00"
    with undisturbed(deflating, room):
        client = open_echo(deflating, AS_BROWSERS)
        client.send_packed(TEXT, nothing * 50_000 + b"\x00")
        if deflate == "on" and arm.is_deaf_behind_an_end:  # heeds nothing behind the first, see above
            assert client.receive_message() == (TEXT, b"")
        else:
            assert client.expect_close() == (TOO_BIG if deflate == "on" and arm.framework == "aiohttp" else INVALID)


def by_the_letter(packed: bytes) -> bytes | int:
    """Return what a message comes to, or the code that it is closed with."""
    try:
        data = Unpacker(takes_over=False).unpack(packed)
    except (zlib.error, AssertionError):
        return INVALID
    return data if len(data) <= MIB else TOO_BIG


def test_whatever_comes_is_judged_by_the_letter(deflating: RunningServer, room: str, deflate: str) -> None:
    packers = st.sampled_from([PACKED, HELLO, Packer().store(TEXT_OF_MANY), Packer().pack_with_an_end(TEXT_OF_MANY)])
    changes = st.lists(st.tuples(st.integers(0, 1000), st.binary(max_size=3)), max_size=3)

    @settings(max_examples=200)
    @given(st.binary(max_size=60) | st.tuples(packers, changes).map(changed), st.sampled_from([1, 7, 2**16]))
    def is_judged(packed: bytes, piece_bytes: int) -> None:
        expected = by_the_letter(packed)
        with open_echo(deflating, f"{NAME}; client_no_context_takeover") as client:
            client.send_packed(BINARY, packed, piece_bytes)
            frame = client.receive_message()
            what = frame.close_code if frame.opcode == CLOSE else frame.payload
        if deflate == "once":
            assert what == expected
        else:  # libraries take what is cut off, and lose count of streams
            assert isinstance(what, bytes) or what == expected == INVALID

    with undisturbed_for_long(deflating, room):
        is_judged()


def changed(drawn: tuple[bytes, list[tuple[int, bytes]]]) -> bytes:
    """Return a message in which some bytes are others."""
    packed, changes = drawn
    for at, data in changes:
        place = at % (len(packed) + 1)
        packed = packed[:place] + data + packed[place + len(data) :]
    return packed


def test_what_goes_wrong_after_much_that_was_right_closes(deflating: RunningServer, room: str) -> None:
    with undisturbed(deflating, room):
        client = open_echo(deflating, AS_BROWSERS)
        for number in range(20):
            client.send_text(f"message {number}")
            assert client.receive_text() == f"message {number}"
        client.send_packed(TEXT, BAD_DATA["three wrong bytes"])
        assert client.expect_close() == INVALID


@pytest.mark.parametrize("data", [b"\xff", b"snake \xc3", b"\xed\xa0\x80", b"x" * 5000 + b"\xf0\x9f\x90"])
def test_a_text_that_is_none_closes(deflating: RunningServer, room: str, data: bytes) -> None:
    with undisturbed(deflating, room):
        client = open_echo(deflating, AS_BROWSERS)
        client.send_message(BINARY, data)
        assert client.receive_message() == (BINARY, data)
        client.send_message(TEXT, data, piece_bytes=3)
        assert client.expect_close() == INVALID
        if len(data) < ROOM_LIMIT:
            assert sent(deflating, room, in_pieces(TEXT, Packer().pack(data), 3)).expect_close() == INVALID


def test_a_binary_one_has_no_place_in_a_room(deflating: RunningServer, room: str) -> None:
    with undisturbed(deflating, room):
        assert sent(deflating, room, in_pieces(BINARY, HELLO, 1000)).expect_close() == UNSUPPORTED


def test_what_is_said_wrong_is_answered_as_ever(deflating: RunningServer, room: str) -> None:
    with undisturbed(deflating, room):
        player = sent(deflating, room, b"")
        for _ in range(2):
            player.send_text("not json")
            assert [command[0] for command in player.next_personal()] == ["error"]
            player.ping()
        player.send_text("not json")
        assert player.expect_close() == 1008


# Sizes


def padded(size: int) -> bytes:
    return b'["ping",1]'.ljust(size)


@pytest.mark.parametrize("pieces", [5, 2**20])
def test_a_message_may_be_as_long_as_one_that_is_not_compressed(
    deflating: RunningServer, room: str, arm: Arm, deflate: str, pieces: int
) -> None:
    with undisturbed(deflating, room):
        player = sent(deflating, room, in_pieces(TEXT, Packer().pack(padded(ROOM_LIMIT)), pieces))
        if deflate == "on" and arm.parses_with_websockets and pieces == 5:
            # websockets 17 takes no more bytes of a fragment than may still be inflated: here none for its last ones.
            assert player.expect_close() == TOO_BIG
            return
        assert player.next_personal()[0][:2] == ["pong", 1]
        player.send_message(TEXT, padded(ROOM_LIMIT + 1), pieces)
        assert player.expect_close() == TOO_BIG


@pytest.mark.parametrize("size", [ROOM_LIMIT + 1, 2 * ROOM_LIMIT, MIB, 4 * MIB - 100_000])
def test_a_message_that_inflates_to_more_than_a_room_takes_closes(
    deflating: RunningServer, room: str, size: int
) -> None:
    with undisturbed(deflating, room):
        packed = Packer(level=9).pack(padded(size))
        assert len(packed) <= ROOM_LIMIT
        assert sent(deflating, room, in_pieces(TEXT, packed, 2**20)).expect_close() == TOO_BIG
        assert sent(deflating, room, in_pieces(TEXT, packed, 100)).expect_close() == TOO_BIG


@cache
def much(size: int) -> bytes:
    return Packer(level=9).pack(b"x" * size)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [MIB + 1, 2 * MIB, 100 * MIB])
def test_more_than_a_mebibyte_closes(deflating: RunningServer, room: str, opcode: int, size: int) -> None:
    packed = much(size)
    with undisturbed(deflating, room):
        for piece_bytes in (0, 2000):
            client = open_echo(deflating, AS_BROWSERS)
            client.send_packed(opcode, packed, piece_bytes)
            assert client.expect_close() == TOO_BIG


def test_of_a_long_one_that_is_broken_too_the_length_counts(deflating: RunningServer, room: str) -> None:
    """It is not looked at further than it may go."""
    packed = much(3 * MIB)
    with undisturbed(deflating, room):
        client = open_echo(deflating, AS_BROWSERS)
        client.send_packed(TEXT, packed + b"\xff\xff\xff")
        assert client.expect_close() == TOO_BIG


def test_what_comes_is_bounded_before_it_is_inflated(deflating: RunningServer, room: str) -> None:
    """Stored blocks of nothing add to what is sent, and nothing to what it says."""
    nothing = b"\x00" + TAIL
    with undisturbed(deflating, room):
        player = sent(deflating, room, in_pieces(TEXT, nothing * (ROOM_LIMIT // len(nothing) - 5) + HELLO, 2**20))
        assert player.next_personal()[0][:2] == ["pong", 1]
        player.send_frame(TEXT, reserved=RSV1, declared_length=ROOM_LIMIT + 1)
        assert player.expect_close() == TOO_BIG
