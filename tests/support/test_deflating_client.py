"""The deflating client takes what a library of another hand makes of RFC 7692, and nothing that breaks an agreement."""

import os
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import ServerConnection, serve

from tests.support.client import BINARY, PATIENCE_S, TEXT
from tests.support.deflating_client import (
    AS_BROWSERS,
    MARK,
    NAME,
    TAIL,
    Agreement,
    DeflatingClient,
    Packer,
    Unpacker,
    agreed,
    answers,
    parsed,
)

OFFERS = [
    NAME,
    AS_BROWSERS,
    f"{NAME}; client_max_window_bits=10",
    f"{NAME}; server_max_window_bits=9; client_max_window_bits=9",
    f"{NAME}; server_no_context_takeover",
    f"{NAME}; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=12",
]
TEXTS = [f'{{"tick":{n},"rows":["{"snake " * (n % 7)}"]}}' for n in range(40)]


def echo(connection: ServerConnection) -> None:
    try:
        for message in connection:
            connection.send(message)
    except ConnectionClosed:
        pass


@contextmanager
def library(**parameters: bool | int | None) -> Iterator[DeflatingClient]:
    """A client, at whose other end is a server of the websockets package that agrees so."""
    factory = ServerPerMessageDeflateFactory(**parameters)  # type: ignore[arg-type] # whichever a test names
    with serve(echo, "127.0.0.1", 0, compression=None, extensions=[factory]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with DeflatingClient(socket.create_connection(server.socket.getsockname())) as client:
                yield client
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("without", [False, True], ids=["takeover", "no takeover"])
def test_a_library_understands_it(offer: str, *, without: bool) -> None:
    with library(server_no_context_takeover=without, client_no_context_takeover=without) as client:
        assert client.offer("/", [offer], {}).status == 101
        assert client.agreement
        assert client.agreement.server_no_context_takeover is (without or "server_no" in offer)
        for text in TEXTS:
            client.send_text(text)
            assert client.receive_text() == text
            assert client.was_packed
        data = os.urandom(100_000)
        client.send_message(BINARY, data, piece_bytes=256)
        assert client.receive_message() == (BINARY, data)


@pytest.mark.parametrize("without", [False, True], ids=["takeover", "no takeover"])
def test_what_is_said_again_is_shorter_where_it_may_refer_back(*, without: bool) -> None:
    text = os.urandom(400).hex()
    with library(server_no_context_takeover=without, client_no_context_takeover=without) as client:
        client.offer("/", [NAME], {})
        sizes = []
        for _ in range(2):
            client.send_text(text)
            assert client.receive_text() == text
            sizes.append(client.wire_bytes)
    assert (sizes[1] < 30) is not without
    packer = Packer(takes_over=not without)
    assert (len(packer.pack(text.encode())) > 2 * len(packer.pack(text.encode()))) is not without


def test_without_an_agreement_it_compresses_nothing() -> None:
    with library() as client:
        assert client.offer("/", [], {}).status == 101
        assert client.agreement is None
        client.send_text("x" * 1000)
        assert client.receive_text() == "x" * 1000
        assert not client.was_packed


def test_of_several_offers_it_takes_the_one_that_is_answered() -> None:
    with library(client_max_window_bits=11, require_client_max_window_bits=True) as client:
        client.offer("/", [NAME, f"{NAME}; server_max_window_bits=10, {AS_BROWSERS}"], {})
        assert client.agreement == Agreement(client_max_window_bits=11)
        client.send_text("snake" * 1000)
        assert client.receive_text() == "snake" * 1000


FORMS: dict[str, Callable[[Packer, bytes], bytes]] = {
    "usual": Packer.pack,
    "blocks": lambda packer, data: packer.pack_in_blocks(data[:9], data[9:]),
    "end": Packer.pack_with_an_end,
    "stored": Packer.store,
    "level 0": lambda packer, data: packer.pack(data, level=0),
    "level 9": lambda packer, data: packer.pack(data, level=9),
}


@given(st.lists(st.tuples(st.sampled_from([*FORMS]), st.binary(max_size=400))), st.integers(8, 15), st.booleans())
def test_what_it_packs_it_unpacks(messages: list[tuple[str, bytes]], bits: int, takes_over: bool) -> None:
    packer, unpacker = Packer(bits, takes_over=takes_over), Unpacker(bits, takes_over=takes_over)
    for form, data in messages:
        assert unpacker.unpack(FORMS[form](packer, data)) == data


def test_it_packs_as_the_examples_of_the_rfc() -> None:
    """Section 7.2.3; the last is what zlib makes of the fifth."""
    assert Packer().pack(b"Hello").hex() == "f248cdc9c90700"
    packer = Packer()
    assert [packer.pack(b"Hello").hex() for _ in range(2)] == ["f248cdc9c90700", "f200110000"]
    assert Packer().store(b"Hello").hex() == "000500faff48656c6c6f00"
    assert Packer().pack_with_an_end(b"Hello").hex() == "f348cdc9c9070000"
    assert Packer().pack_in_blocks(b"He", b"llo").hex() == "f24805000000ffffcac9c90700"
    assert Packer().pack(b"").hex() == "00"


@pytest.mark.parametrize(("bits", "is_broken"), [(9, True), (10, True), (11, False), (15, False)])
def test_a_wider_window_than_agreed_does_not_come_apart(bits: int, *, is_broken: bool) -> None:
    """Behind zlib's own margin a sender of 11 bits refers back by up to 2,048 - 262 bytes."""
    text = os.urandom(1600)
    packed = Packer(11).pack(text + text)
    if not is_broken:
        assert Unpacker(bits).unpack(packed) == text + text
        return
    with pytest.raises(zlib.error):
        Unpacker(bits).unpack(packed)


def test_what_refers_to_another_message_does_not_come_apart_without_takeover() -> None:
    packer, unpacker = Packer(), Unpacker(takes_over=False)
    assert unpacker.unpack(packer.pack(b"snake " * 9)) == b"snake " * 9
    with pytest.raises(zlib.error):
        unpacker.unpack(packer.pack(b"snake " * 9))


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_message_that_is_cut_off_is_none(cut: int) -> None:
    with pytest.raises((zlib.error, AssertionError)):
        Unpacker().unpack(Packer().pack(bytes(range(50)))[:-cut])


def test_a_tail_that_was_left_on_is_a_fault() -> None:
    with pytest.raises(zlib.error):
        Unpacker().unpack(Packer().pack(b"snake") + TAIL)


def test_what_was_not_agreed_on_is_not_inflated() -> None:
    here, there = socket.socketpair()
    with DeflatingClient(here) as client, there:
        there.sendall(bytes((0x80 | MARK | TEXT, 1)) + b"\x00")
        with pytest.raises(AssertionError, match="neither final nor plain"):
            client.receive_frame()
        client.agreement = Agreement()
        client._unpacker = Unpacker()
        assert client.receive_frame() == (TEXT, b"")
        there.sendall(bytes((0x80 | MARK | 9, 0)))
        with pytest.raises(AssertionError, match="neither final nor plain"):
            client.receive_frame()


@pytest.mark.parametrize(
    "text",
    [
        "permessage-bzip2",
        f"x{NAME}",
        f"{NAME}; unknown",
        f"{NAME}; server_no_context_takeover=1",
        f"{NAME}; server_no_context_takeover; server_no_context_takeover",
        f"{NAME}; server_max_window_bits=7",
        f"{NAME}; server_max_window_bits=16",
        f"{NAME}; server_max_window_bits=09",
        f"{NAME}; server_max_window_bits=",
    ],
)
def test_what_is_no_offer_is_none(text: str) -> None:
    assert parsed(text) is None


@pytest.mark.parametrize(
    ("answer", "offer", "is_lawful"),
    [
        ("", "", True),
        ("; server_no_context_takeover", "", True),
        ("; client_no_context_takeover", "", True),
        ("; server_max_window_bits=9", "", True),
        ("; client_max_window_bits=9", "", False),
        ("; client_max_window_bits=9", "; client_max_window_bits", True),
        ("; client_max_window_bits=11", "; client_max_window_bits=10", False),
        ("; client_max_window_bits", "; client_max_window_bits", False),
        ("", "; client_max_window_bits=10", True),
        ("", "; server_no_context_takeover", False),
        ("", "; client_no_context_takeover", True),
        ("", "; server_max_window_bits=10", False),
        ("; server_max_window_bits=9", "; server_max_window_bits=10", True),
        ("; server_max_window_bits=11", "; server_max_window_bits=10", False),
        ("; server_max_window_bits=11", "; server_max_window_bits", False),
        ("", "; server_max_window_bits", False),
    ],
)
def test_an_answer_is_lawful_or_not(answer: str, offer: str, *, is_lawful: bool) -> None:
    parameters = parsed(NAME + answer)
    assert parameters is not None
    assert answers(parameters, parsed(NAME + offer)) is is_lawful


def test_an_answer_to_nothing_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        agreed(NAME, [])
