"""
Compressed messages of every kind come back as they went, on ``/echo``: what Autobahn's cases 12 and 13 look at.

Their sizes and pieces, in fewer messages; all of them at full size.
"""

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import FULL_SIZE, Arm
from tests.support.client import BINARY, CONTINUATION, PING, PONG, TEXT, client_frame
from tests.support.deflating_client import (
    AS_BROWSERS,
    NAME,
    RSV1,
    TAIL,
    DeflatingClient,
    Packer,
    in_pieces,
    open_echo,
)
from tests.support.server import RunningServer

pytestmark = [pytest.mark.differs(), pytest.mark.framework("on")]

MIB = 2**20
SIZES = (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)
PIECES = {8192: (256,), 16384: (256,), 32768: (256,), 65536: (256,), 131072: (256, 1024, 4096, 32768)}
WHOLE = 0
CASES = [*((size, WHOLE) for size in SIZES), *((size, piece) for size, pieces in PIECES.items() for piece in pieces)]
COUNT = 1000 if FULL_SIZE else 100
MOST_BYTES = COUNT * (131072 if FULL_SIZE else 8192)
"""In all messages of a case."""

WORDS = (*"abcdefgh", "snake", "tick", "lateness", "fan-out", "consumer", "generator", "ö", "€", "\U0001f40d")

Make = Callable[[random.Random, int], bytes]


def text_of(chance: random.Random, size: int) -> bytes:
    """Return words of a language, cut at a character's border and filled up."""
    text = " ".join(chance.choices(WORDS, k=size // 3 + 1)).encode()[:size]
    return text.decode(errors="ignore").encode().ljust(size)


def json_of(chance: random.Random, size: int) -> bytes:
    """Return what a game would send."""
    cells = [
        ["render", chance.randrange(50), chance.randrange(25), "@", chance.randrange(6)] for _ in range(size // 16)
    ]
    return json.dumps([["tick", chance.randrange(10**6)], *cells], separators=(",", ":")).encode()[:size].ljust(size)


KINDS: dict[str, tuple[int, Make]] = {
    "JSON": (TEXT, json_of),
    "words": (TEXT, text_of),
    "one character": (TEXT, lambda _, size: b"x" * size),
    "hexadecimal": (TEXT, lambda chance, size: chance.randbytes(size).hex()[:size].encode()),
    "words as binary": (BINARY, text_of),
    "random": (BINARY, random.Random.randbytes),
}

OFFERS = {
    "nothing asked": NAME,
    "as browsers": AS_BROWSERS,
    "no takeover": f"{NAME}; client_no_context_takeover; server_no_context_takeover; client_max_window_bits",
    "small windows": f"{NAME}; server_max_window_bits=9; client_max_window_bits=9",
    "all": f"{NAME}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
    "client_max_window_bits=10",
}


def agreed_echo(server: RunningServer, offer: str) -> DeflatingClient:
    client = open_echo(server, offer)
    assert client.agreement, "it does not take deflate"
    return client


def assert_comes_back(client: DeflatingClient, opcode: int, data: bytes) -> None:
    message = client.receive_message()
    assert message.opcode == opcode
    assert len(message.payload) == len(data)
    assert message.payload == data


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_messages_come_back_as_they_went(deflating: RunningServer, kind: str) -> None:
    opcode, make = KINDS[kind]
    chance = random.Random(kind)
    for size, piece_bytes in CASES:
        client = agreed_echo(deflating, AS_BROWSERS)
        for _ in range(max(2, min(COUNT, MOST_BYTES // size // 8))):
            data = make(chance, size)
            client.send_message(opcode, data, piece_bytes)
            assert_comes_back(client, opcode, data)
        client.hang_up()


@pytest.mark.parametrize("offer", OFFERS)
def test_one_after_the_other_they_use_what_came_before(deflating: RunningServer, offer: str) -> None:
    """Of sizes around every window, so that both ends refer as far back as they may."""
    client, chance = agreed_echo(deflating, OFFERS[offer]), random.Random(offer)
    told = text_of(chance, 2**16)
    for _ in range(COUNT):
        first, size = chance.randrange(2**15), int(2 ** chance.uniform(0, 15))
        opcode, data = chance.choice((TEXT, BINARY)), told[first : first + size].decode(errors="ignore").encode()
        client.send_message(opcode, data)
        assert_comes_back(client, opcode, data)


def test_many_at_once_come_back_in_order(deflating: RunningServer) -> None:
    client, chance = agreed_echo(deflating, AS_BROWSERS), random.Random(1)
    texts = [json_of(chance, 40 + number % 200) for number in range(500)]
    client.send_raw(b"".join(in_pieces(TEXT, client.packer.pack(text), 2**16) for text in texts))
    for text in texts:
        assert_comes_back(client, TEXT, text)


def test_what_is_said_again_costs_little_where_the_server_may_refer_back(deflating: RunningServer) -> None:
    client = agreed_echo(deflating, AS_BROWSERS)
    assert client.agreement
    data, sizes = random.Random(2).randbytes(400).hex().encode(), []
    for _ in range(3):
        client.send_message(TEXT, data)
        assert_comes_back(client, TEXT, data)
        sizes.append(client.wire_bytes if client.was_packed else len(data))
    assert (sizes[1] < 50) is not client.agreement.server_no_context_takeover


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_mebibyte_comes_back(deflating: RunningServer, opcode: int) -> None:
    client = agreed_echo(deflating, AS_BROWSERS)
    for make in (text_of, lambda _, size: b" " * size, json_of):
        data = make(random.Random(3), MIB)
        client.send_message(opcode, data)
        assert_comes_back(client, opcode, data)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_what_is_nothing_comes_back_as_nothing(deflating: RunningServer, opcode: int) -> None:
    client = agreed_echo(deflating, AS_BROWSERS)
    for data in (b"", b"", b"snake", b"", b"snake", b""):
        client.send_message(opcode, data)
        assert_comes_back(client, opcode, data)


def test_what_is_not_compressed_is_taken_too(deflating: RunningServer) -> None:
    """It is no part of what the compressed ones may refer to."""
    client = agreed_echo(deflating, AS_BROWSERS)
    for number in range(20):
        data = b"snake " * (number + 1)
        if number % 3:
            client.send_message(TEXT, data)
        else:
            client.send_raw(in_pieces(TEXT, data, 7, reserved=0))
        assert_comes_back(client, TEXT, data)


# The forms that compressed data may have


def blocks_as_frames(packer: Packer, data: bytes) -> bytes:
    """Return a message of which each piece is flushed and sent in a frame of its own (RFC 7692, section 7.2.3.1)."""
    parts = [data[first : first + 100] for first in range(0, len(data), 100)]
    packed = [packer.pack(part) + TAIL for part in parts]
    packed[-1] = packed[-1].removesuffix(TAIL)
    last = len(parts) - 1
    return b"".join(
        client_frame(CONTINUATION if n else TEXT, part, fin=n == last, reserved=0 if n else RSV1)
        for n, part in enumerate(packed)
    )


FORMS: dict[str, Callable[[Packer, bytes], bytes]] = {
    "usual": lambda packer, data: in_pieces(TEXT, packer.pack(data), 2**16),
    "not compressed": lambda packer, data: in_pieces(TEXT, packer.store(data), 2**16),
    "blocks": lambda packer, data: in_pieces(TEXT, packer.pack_in_blocks(data[:9], data[9:]), 2**16),
    "blocks of nothing": lambda packer, data: in_pieces(TEXT, TAIL.join([b"\0", b"\0", packer.pack(data)]), 2**16),
    "level 0": lambda packer, data: in_pieces(TEXT, packer.pack(data, level=0), 2**16),
    "level 9": lambda packer, data: in_pieces(TEXT, packer.pack(data, level=9), 2**16),
    "a byte a frame": lambda packer, data: in_pieces(TEXT, packer.pack(data), 1),
    "a block a frame": blocks_as_frames,
}
LAST, PLAIN = "a last block", "not compressed at all"


def heeds_nothing_behind_a_last_block(arm: Arm, deflate: str) -> bool:
    """
    Say whether its library inflates to nothing whatever follows one, until it begins anew.

    Compressors make one only if they are told to, and none that clients are known to use is.
    """
    return deflate == "on" and arm.is_deaf_behind_an_end  # websockets 17, Tornado 6.6


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_compressed_data_is_taken(deflating: RunningServer, form: str, offer: str) -> None:
    client, chance = agreed_echo(deflating, OFFERS[offer]), random.Random(form)
    for _ in range(3):
        data = text_of(chance, 900)
        client.send_raw(FORMS[form](client.packer, data))
        assert_comes_back(client, TEXT, data)
        client.send_message(TEXT, data)
        assert_comes_back(client, TEXT, data)


@pytest.mark.parametrize("offer", OFFERS)
def test_a_last_block_ends_nothing(deflating: RunningServer, arm: Arm, deflate: str, offer: str) -> None:
    client, chance = agreed_echo(deflating, OFFERS[offer]), random.Random(offer)
    assert client.agreement
    is_deaf = heeds_nothing_behind_a_last_block(arm, deflate) and not client.agreement.client_no_context_takeover
    for is_last in (False, True, False, True, False):
        data = text_of(chance, 900)
        client.send_packed(TEXT, client.packer.pack_with_an_end(data) if is_last else client.packer.pack(data))
        assert_comes_back(client, TEXT, data)
        if is_last and is_deaf:
            client.send_message(TEXT, data)
            assert_comes_back(client, TEXT, b"")
            return


def test_fragments_of_nothing_are_taken_and_pings_answered_between_them(deflating: RunningServer) -> None:
    client = agreed_echo(deflating, AS_BROWSERS)
    for _ in range(3):
        packed = client.packer.pack("snäke".encode())
        client.send_frame(TEXT, b"", fin=False, reserved=RSV1)
        client.send_frame(CONTINUATION, packed[:3], fin=False)
        client.send_frame(PING, b"between")
        client.send_frame(CONTINUATION, b"", fin=False)
        client.send_frame(CONTINUATION, packed[3:], fin=False)
        client.send_frame(CONTINUATION)
        assert client.receive_frame() == (PONG, b"between")
        assert client.receive_frame() == (TEXT, "snäke".encode())


def test_any_messages_come_back(deflating: RunningServer, arm: Arm, deflate: str) -> None:
    forms = [*FORMS, PLAIN] if heeds_nothing_behind_a_last_block(arm, deflate) else [*FORMS, LAST, PLAIN]

    @given(st.sampled_from([*OFFERS]), st.lists(st.tuples(st.sampled_from(forms), st.text(min_size=1)), max_size=12))
    def come_back(offer: str, messages: list[tuple[str, str]]) -> None:
        with agreed_echo(deflating, OFFERS[offer]) as client:
            for form, text in messages:
                data = text.encode()
                if form == PLAIN:
                    client.send_raw(in_pieces(TEXT, data, 50, reserved=0))
                elif form == LAST:
                    client.send_packed(TEXT, client.packer.pack_with_an_end(data))
                else:
                    client.send_raw(FORMS[form](client.packer, data))
                assert_comes_back(client, TEXT, data)

    come_back()


def test_who_offers_nothing_has_it_as_ever(deflating: RunningServer) -> None:
    client, chance = open_echo(deflating), random.Random(4)
    assert client.agreement is None
    for number in range(20):
        data = text_of(chance, 100 * number)
        client.send_message(TEXT, data, piece_bytes=77)
        assert_comes_back(client, TEXT, data)
        assert not client.was_packed
