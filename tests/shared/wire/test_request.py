"""What is a request and what is none; the whole table is in tests/support/requests.py."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.errors import InvariantError
from shared.wire.request import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    PASSED_ON,
    READ_BYTES,
    HeadReader,
    Request,
    RequestError,
)
from tests.support.requests import MALFORMED, SPECIAL, UPGRADE, plain

Outcome = list[Request | int]

CORPUS = [
    *MALFORMED.values(),
    *(special.request for special in SPECIAL.values()),
    plain(*UPGRADE),
    plain(b"X: " * 5000),
]


def read(data: bytes, sizes: list[int] | None = None) -> Outcome:
    """Return the requests that are in ``data``, which comes in pieces of these sizes, and the status that ends them."""
    reader, found, sizes = HeadReader(), list[Request | int](), sizes or [len(data) or 1]
    start = number = 0
    while True:
        try:
            while request := reader.next_request():
                found.append(request)
        except RequestError as error:
            return [*found, int(error.refusal.status)]
        if start >= len(data):
            return found
        size = min(sizes[number % len(sizes)], READ_BYTES)
        reader.feed(data[start : start + size])
        assert len(reader._buffer) < MAX_HEAD_BYTES + READ_BYTES
        start, number = start + size, number + 1


def one(data: bytes) -> Request:
    (request,) = read(data)
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_400(name: str) -> None:
    assert read(MALFORMED[name]) == [400]


def test_a_request_is_read() -> None:
    request = one(b"GET /connect?room=a%20b&x HTTP/1.1\r\nHOST:\tLocalHost:80 \r\nx-y: 1\r\nX-Y:  2, 3\t\r\n\r\n")
    assert (request.method, request.path, request.query, request.minor) == ("GET", "/connect", "room=a%20b&x", 1)
    assert (request.host, request.has_body, request.closes, request.asks_to_upgrade) == ("LocalHost:80", *[False] * 3)
    assert request.fields == {b"host": b"LocalHost:80", b"x-y": b"1, 2, 3"}


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"/", "/", None, "localhost"),
        (b"/?", "/", "", "localhost"),
        (b"//x/y", "//x/y", None, "localhost"),
        (b"/a:@b;c=d/..?a=/?b", "/a:@b;c=d/..", "a=/?b", "localhost"),
        (b"http://other:81/x?y", "/x", "y", "other:81"),
        (b"http://[::1]:81", "/", None, "[::1]:81"),
        (b"https://other?y", "/", "y", "other"),
    ],
)
def test_a_target_is_taken_apart_and_its_host_goes_first(target: bytes, path: str, query: str, host: str) -> None:
    request = one(plain(target=target))
    assert (request.path, request.query, request.host) == (path, query, host)


@pytest.mark.parametrize("host", [b"a", b"a:", b"a:80", b"a_b.c-d.", b"127.0.0.1", b"[::1]:80", b"[fe80::1%25eth0]:1"])
def test_a_host_is_a_name_or_an_address(host: bytes) -> None:
    assert one(plain(host=b"Host: " + host + b"\r\n")).host == host.decode()


@pytest.mark.parametrize(
    "host", [b"a:b:1", b"[a]", b"[::1]x", b"[::1%25a/b]", b"a%2f", b"\xe4", b"a,b", b"[1:2]", b"@a"]
)
def test_anything_else_is_none(host: bytes) -> None:
    assert read(plain(host=b"Host: " + host + b"\r\n")) == [400]


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        (UPGRADE, True),
        ((b"Upgrade: WebSocket", b"Connection: keep-alive , UPGRADE"), True),
        ((b"Upgrade: websocket", b"Connection: keep-alive", b"Connection: Upgrade"), True),
        ((b"Upgrade: websocket", b"Connection: keep-alive"), False),
        ((b"Upgrade: websocket",), False),
        ((b"Connection: Upgrade",), False),
        ((b"Upgrade: h2c, websocket", b"Connection: Upgrade"), False),
    ],
)
def test_an_upgrade_takes_both_fields(fields: tuple[bytes, ...], *, asks: bool) -> None:
    assert one(plain(*fields)).asks_to_upgrade is asks


def test_over_http_1_0_nobody_upgrades_expects_or_stays() -> None:
    request = one(plain(*UPGRADE, b"Expect: 100-continue", b"Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert (request.asks_to_upgrade, request.expects, request.closes) == (False, False, True)


def test_the_head_of_a_plain_request_is_what_a_library_needs() -> None:
    request = one(plain(*UPGRADE, b"Cookie: x", b"Content-Length: 0", b"X-Forwarded-For: y", target=b"http://b/c?d"))
    assert request.head("/c", is_upgrade=False).split(b"\r\n") == [
        b"GET /c?d HTTP/1.1",
        b"Host: b",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"",
        b"",
    ]


def test_the_head_of_an_upgrade_says_so() -> None:
    head = one(plain(*UPGRADE, b"Connection: close")).head("/connect", is_upgrade=True)
    assert head.startswith(
        b"GET /connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
    )


def test_a_request_without_a_host_is_given_an_empty_one() -> None:
    assert one(b"GET / HTTP/1.0\r\n\r\n").head("/", is_upgrade=False) == (
        b"GET / HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n"
    )


# Limits


def test_limits_are_to_the_byte() -> None:
    line = plain(target=b"/".ljust(MAX_LINE_BYTES - len("GET  HTTP/1.1"), b"x"))
    assert isinstance(read(line)[0], Request)
    assert read(line.replace(b"/", b"/x", 1)) == [414]
    for name in (b"Origin: ", b"Sec-WebSocket-Protocol: "):
        value = b"y" * MAX_LINE_BYTES
        assert isinstance(read(plain(name + value))[0], Request)
        assert read(plain(name + value + b"y")) == read(plain(name + value[2:], name + b"y")) == [431]
    assert isinstance(read(plain(host=b"Host: " + b"y" * MAX_LINE_BYTES + b"\r\n"))[0], Request)
    assert read(plain(host=b"Host: y" + b"y" * MAX_LINE_BYTES + b"\r\n")) == [431]
    fields = [b"X: y"] * (MAX_FIELDS - 1)
    assert isinstance(read(plain(*fields))[0], Request)
    assert read(plain(*fields, b"X: y")) == [431]
    cookie = b"Cookie: ".ljust(MAX_HEAD_BYTES - len(plain(b"")), b"y")
    assert len(plain(cookie)) == MAX_HEAD_BYTES
    assert isinstance(read(plain(cookie))[0], Request)
    assert read(plain(cookie + b"y")) == read(plain(cookie[:9000], cookie[:9000])) == [431]


def test_more_than_it_may_be_fed_is_our_own_fault() -> None:
    reader = HeadReader()
    with pytest.raises(InvariantError):
        reader.feed(bytes(READ_BYTES + 1))
    reader.feed(plain())
    reader.feed(bytes(READ_BYTES))
    assert not reader.has_room
    with pytest.raises(InvariantError):
        reader.feed(b"x")


def test_a_dribbled_head_is_looked_at_once() -> None:
    """Each byte is searched for the end of a line once: else 16 KiB by the byte took seconds."""

    class Counting(bytearray):
        looked = 0

        def find(self, sub: bytes, start: int, end: int) -> int:  # type: ignore[override]
            Counting.looked += max(0, min(end, len(self)) - start)
            return super().find(sub, start, end)

    reader = HeadReader()
    reader._buffer = Counting()
    data = plain(*[b"X: " + b"y" * 300] * 50)
    for byte in data:
        assert reader.next_request() is None
        reader.feed(bytes([byte]))
    assert reader.next_request()
    assert Counting.looked < 2 * len(data)


# Whatever comes

SIZES = st.lists(st.integers(1, 50) | st.integers(1, READ_BYTES), min_size=1, max_size=8)


@given(st.lists(st.sampled_from(CORPUS), min_size=1, max_size=4).map(b"".join), SIZES)
def test_how_it_is_split_changes_nothing(data: bytes, sizes: list[int]) -> None:
    assert read(data, sizes) == read(data)


def test_byte_by_byte_changes_nothing() -> None:
    for data in CORPUS:
        assert read(data, [1]) == read(data)


Mutation = tuple[float, int, bytes]
MUTATIONS = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 2), st.binary(max_size=3))


def mutated(data: bytes, changes: list[Mutation]) -> bytes:
    """Return the bytes with some left out and others put in: at which share of them, how many, and which."""
    for share, removed, added in changes:
        place = int(share * len(data))
        data = data[:place] + added + data[place + removed :]
    return data


@given(
    st.lists(st.sampled_from(CORPUS), min_size=1, max_size=2).map(b"".join),
    st.lists(MUTATIONS, max_size=4),
    SIZES,
)
def test_no_mutation_makes_it_raise_anything_else(data: bytes, changes: list[Mutation], sizes: list[int]) -> None:
    data = mutated(data, changes)
    assert read(data, sizes) == read(data)
    for request in read(data):
        if isinstance(request, Request):
            assert_the_head_is_the_same_request(request)


@given(st.sampled_from(CORPUS), st.lists(MUTATIONS, max_size=4))
def test_what_is_taken_another_strict_parser_reads_as_we_do(data: bytes, changes: list[Mutation]) -> None:
    for request in read(mutated(data, changes))[:1]:
        if isinstance(request, Request) and request.minor and request.path:
            event = parsed_by_h11(request.head(request.path, is_upgrade=request.asks_to_upgrade))
            target = request.path if request.query is None else f"{request.path}?{request.query}"
            assert (event.method, event.target) == (request.method.encode(), target.encode())
            names = [name for name, _ in event.headers]
            assert len(set(names)) == len(names), "no field comes twice"
            fields = dict(event.headers)
            assert fields.pop(b"host") == request.host.encode()
            assert (fields.pop(b"upgrade", None) is not None) is request.asks_to_upgrade
            assert (b"close" in fields.pop(b"connection", b"")) is request.closes
            assert fields == {name: request.fields[name] for name in PASSED_ON if name in request.fields}


def parsed_by_h11(head: bytes) -> h11.Request:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(head)
    event = parser.next_event()
    assert isinstance(event, h11.Request)
    assert isinstance(parser.next_event(), h11.EndOfMessage), "it has no body"
    return event


@given(st.binary(max_size=200))
def test_nor_do_any_bytes(data: bytes) -> None:
    assert read(data, [1]) == read(data)


NAMES = st.sampled_from([b"Origin", b"X", *(field.partition(b":")[0] for field in UPGRADE)])
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f") | st.just("\t"))


@given(st.lists(st.tuples(NAMES, VALUES.map(lambda value: value.encode("latin-1"))), max_size=6))
def test_the_head_parses_to_the_same_request(fields: list[tuple[bytes, bytes]]) -> None:
    assert_the_head_is_the_same_request(one(plain(*[name + b": " + value for name, value in fields])))


def assert_the_head_is_the_same_request(request: Request) -> None:
    if not request.path:
        return
    is_upgrade = request.asks_to_upgrade
    head = request.head(request.path, is_upgrade=is_upgrade)
    if not request.host:
        return  # HTTP/1.0 without one
    again = one(head)
    assert (again.method, again.path, again.query, again.host) == (
        request.method,
        request.path,
        request.query,
        request.host,
    )
    assert (again.minor, again.has_body, again.closes) == (1, False, request.closes)
    assert again.asks_to_upgrade is is_upgrade
    assert again.head(again.path, is_upgrade=is_upgrade) == head
    kept = (b"origin", b"sec-websocket-key", b"sec-websocket-version")
    assert [again.fields.get(name) for name in kept] == [request.fields.get(name) for name in kept]
