"""permessage-deflate: what is offered and agreed on, and messages that come apart as they were put together."""

import random
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.deflate import (
    BROWSER_OFFER,
    MOST_STREAMS,
    Agreement,
    Deflater,
    InflateError,
    Inflater,
    choose,
    parse_extensions,
    read_answer,
)

LIMIT = 4096
NOBODY_KEEPS = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
TEXTS = st.lists(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)), min_size=1, max_size=8)


def inflater(*, takes_over: bool = False, max_bytes: int = LIMIT) -> Inflater:
    return Inflater(15, max_bytes, takes_over=takes_over)


# What is agreed on


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        (BROWSER_OFFER, NOBODY_KEEPS),
        ("permessage-deflate", NOBODY_KEEPS),
        ("permessage-deflate; server_no_context_takeover", NOBODY_KEEPS),
        ("permessage-deflate; server_max_window_bits=10", f"{NOBODY_KEEPS}; server_max_window_bits=10"),
        ('permessage-deflate; server_max_window_bits="15"', f"{NOBODY_KEEPS}; server_max_window_bits=15"),
        ("permessage-deflate; client_max_window_bits=9", NOBODY_KEEPS),
        ("x-webkit-deflate-frame , permessage-deflate", NOBODY_KEEPS),
    ],
)
def test_a_server_answers_the_first_offer_that_it_can(offers: str, answer: str) -> None:
    agreement = choose(offers)
    assert agreement
    assert agreement.text == answer


@pytest.mark.parametrize(
    "declined",
    [
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; something_else",
        "permessage-bzip2",
    ],
)
def test_an_offer_that_it_can_not_take_is_passed_over(declined: str) -> None:
    assert choose(declined) is None
    agreement = choose(f"{declined}, permessage-deflate; server_max_window_bits=11")
    assert agreement
    assert agreement.server_window_bits == 11


@pytest.mark.parametrize("header", ["", "permessage-deflate;", "permessage-deflate; =1", "a b", 'a; b="c d"'])
def test_a_header_that_is_no_list_of_extensions_offers_nothing(header: str) -> None:
    assert choose(header) is None
    if header:
        with pytest.raises(ValueError, match="no list of extensions"):
            list(parse_extensions(header))


@pytest.mark.parametrize("header", ["permessage-deflate,", ", permessage-deflate", "a, , permessage-deflate , ,"])
def test_empty_elements_of_the_list_mean_nothing(header: str) -> None:
    assert choose(header) is not None
    assert [name for name, _ in parse_extensions(header)][-1] == "permessage-deflate"
    assert list(parse_extensions(" , ,")) == []


def test_a_server_that_takes_over_contexts_grants_what_is_offered() -> None:
    agreement = choose("permessage-deflate; server_max_window_bits=12; client_max_window_bits=10", takes_over=True)
    assert agreement == Agreement(server_max_window_bits=12, client_max_window_bits=10)
    agreement = choose(BROWSER_OFFER, takes_over=True)
    assert agreement
    assert agreement.text == "permessage-deflate"


@pytest.mark.parametrize(
    ("answer", "agreement"),
    [
        ("", None),
        ("permessage-deflate", Agreement()),
        (NOBODY_KEEPS, Agreement(server_no_context_takeover=True, client_no_context_takeover=True)),
        ("permessage-deflate; server_max_window_bits=9", Agreement(server_max_window_bits=9)),
        ("permessage-deflate; client_max_window_bits=12", Agreement(client_max_window_bits=12)),
    ],
)
def test_a_client_takes_the_answers_to_what_browsers_offer(answer: str, agreement: Agreement | None) -> None:
    assert read_answer(answer, BROWSER_OFFER) == agreement


@pytest.mark.parametrize(
    ("answer", "offers", "why"),
    [
        ("permessage-deflate, permessage-deflate", BROWSER_OFFER, "more than one"),
        ("permessage-bzip2", BROWSER_OFFER, "not known"),
        ("permessage-deflate; client_max_window_bits", BROWSER_OFFER, "has no client_max_window_bits"),
        ("permessage-deflate; client_max_window_bits=16", BROWSER_OFFER, "has no client_max_window_bits=16"),
        ("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", BROWSER_OFFER, "twice"),
        ("permessage-deflate;", BROWSER_OFFER, "no list of extensions"),
        ("permessage-deflate", "", "not offered"),
        ("permessage-deflate; client_max_window_bits=12", "permessage-deflate", "not offered"),
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover", "not offered"),
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=15", "not offered"),
        (
            "permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; server_max_window_bits=10",
            "not offered",
        ),
        (
            "permessage-deflate; client_max_window_bits=11",
            "permessage-deflate; client_max_window_bits=10",
            "not offered",
        ),
    ],
)
def test_a_client_refuses_what_it_did_not_offer(answer: str, offers: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_answer(answer, offers)


@given(st.sampled_from([None, 9, 10, 15]), st.sampled_from([None, 0, 8, 12]), st.booleans(), st.booleans())
def test_what_a_server_answers_its_client_takes(
    server_bits: int | None, client_bits: int | None, no_takeover: bool, takes_over: bool
) -> None:
    parts = ["permessage-deflate"]
    parts += [f"server_max_window_bits={server_bits}"] if server_bits else []
    parts += [] if client_bits is None else [f"client_max_window_bits={client_bits}".removesuffix("=0")]
    parts += ["server_no_context_takeover"] if no_takeover else []
    offer = "; ".join(parts)
    agreement = choose(offer, takes_over=takes_over)
    assert agreement
    assert read_answer(agreement.text, offer) == agreement


# Messages


@given(TEXTS, st.sampled_from([9, 12, 15]), st.booleans())
def test_messages_come_apart_as_they_were_put_together(texts: list[bytes], bits: int, takes_over: bool) -> None:
    agreement = Agreement(not takes_over, not takes_over, bits, bits)
    for deflater, reader in (
        (agreement.server_deflater(), agreement.client_inflater(LIMIT)),
        (agreement.client_deflater(), agreement.server_inflater(LIMIT)),
    ):
        assert [reader.inflate(deflater.deflate(text)) for text in texts] == texts


def test_a_context_that_is_taken_over_makes_a_second_text_smaller() -> None:
    text = random.Random(1).randbytes(200)
    deflater, reader = Deflater(15, takes_over=True), inflater(takes_over=True)
    first, second = deflater.deflate(text), deflater.deflate(text)
    assert len(second) < len(first) / 10
    assert [reader.inflate(first), reader.inflate(second)] == [text, text]
    with pytest.raises(InflateError):
        inflater().inflate(second)


def test_without_one_each_message_stands_alone() -> None:
    text = random.Random(1).randbytes(200)
    deflater = Deflater(15, takes_over=False)
    assert deflater.deflate(text) == deflater.deflate(text)
    assert deflater.deflate(b"") == zlib.compressobj(wbits=-15).flush(zlib.Z_SYNC_FLUSH)[:-4]


@given(st.binary(max_size=500), st.binary(max_size=500), st.sampled_from([9, 15]))
def test_a_message_is_put_together_of_parts(first: bytes, second: bytes, bits: int) -> None:
    deflater = Deflater(bits, takes_over=False)
    assert inflater().inflate(deflater.part(first) + deflater.deflate(second)) == first + second


def test_examples_of_the_rfc() -> None:
    hello = bytes.fromhex("f248cdc9c90700")
    for message in (
        hello,  # 7.2.3.1
        bytes.fromhex("000500faff48656c6c6f00"),  # 7.2.3.3: not compressed
        bytes.fromhex("f348cdc9c9070000"),  # 7.2.3.4: the last block of a stream
        bytes.fromhex("f24805000000ffffcac9c90700"),  # 7.2.3.5: two blocks
    ):
        assert inflater().inflate(message) == b"Hello"
    shared = inflater(takes_over=True)
    assert [shared.inflate(hello), shared.inflate(bytes.fromhex("f200110000"))] == [b"Hello", b"Hello"]  # 7.2.3.2


def test_a_stream_that_ends_in_a_message_is_followed_by_another() -> None:
    reader = inflater(takes_over=True)
    ended = zlib.compressobj(wbits=-15)
    assert reader.inflate(ended.compress(b"Hello") + ended.flush() + b"\x00") == b"Hello"
    assert reader.inflate(Deflater(15, takes_over=True).deflate(b"again")) == b"again"


def test_streams_without_end_are_refused() -> None:
    ended = zlib.compressobj(wbits=-15).flush()
    assert inflater().inflate(ended * (MOST_STREAMS - 1) + b"\x00") == b""
    with pytest.raises(InflateError) as refused:
        inflater().inflate(ended * MOST_STREAMS + b"\x00")
    assert refused.value.code == 1007


@pytest.mark.parametrize("takes_over", [False, True])
def test_a_message_that_grows_beyond_the_limit_is_refused_unread(takes_over: bool) -> None:
    deflater = Deflater(15, takes_over=False)
    most = b"x" * LIMIT
    assert inflater(takes_over=takes_over).inflate(deflater.deflate(most)) == most
    bomb = zlib.compressobj(9, wbits=-15)
    for payload in (
        deflater.deflate(most + b"x"),
        bomb.compress(bytes(100_000_000)) + bomb.flush(zlib.Z_SYNC_FLUSH)[:-4],
    ):
        with pytest.raises(InflateError) as refused:
            inflater(takes_over=takes_over).inflate(payload)
        assert refused.value.code == 1009


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_message_that_was_cut_off_is_refused(cut: int) -> None:
    whole = Deflater(15, takes_over=False).deflate(b"Hello")
    with pytest.raises(InflateError) as refused:
        inflater().inflate(whole[:-cut])
    assert refused.value.code == 1007


@given(st.binary(min_size=1, max_size=200))
def test_what_is_no_deflated_data_is_refused_or_comes_apart(data: bytes) -> None:
    with suppress(InflateError):  # and no other error
        assert len(inflater().inflate(data)) <= LIMIT


def test_no_stream_has_a_window_of_8_bits() -> None:
    with pytest.raises(ValueError, match="8 bits"):
        Deflater(8, takes_over=False)
    small = Deflater(9, takes_over=False).deflate(b"Hello, hello, hello")
    assert Inflater(8, LIMIT, takes_over=False).inflate(small) == b"Hello, hello, hello"
