import base64

import pytest

from shared.wire.target import Target, parse_header, parse_target, without_login


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://127.0.0.1:8000", Target("127.0.0.1", 8000, "/connect")),
        ("http://127.0.0.1:8000/", Target("127.0.0.1", 8000, "/connect")),
        ("http://example.org", Target("example.org", 80, "/connect")),
        ("wss://example.org", Target("example.org", 443, "/connect", secure=True)),
        ("https://example.org:8443/game/connect", Target("example.org", 8443, "/game/connect", secure=True)),
        ("wss://[::1]", Target("::1", 443, "/connect", secure=True)),
        ("ws://[::1]:9/play?room=a&x=1", Target("::1", 9, "/play", "room=a&x=1")),
        ("ws://[0:0::1]:9", Target("::1", 9, "/connect")),
        ("ws://[fe80::1%25eth0]:9", Target("fe80::1%eth0", 9, "/connect")),
        ("ws://[fe80::1%eth0]:9", Target("fe80::1%eth0", 9, "/connect")),
        (
            "ws://b\udcc3\udcbccher.example:9/\udcc3\udcbc",
            Target("xn--bcher-kva.example", 9, "/%C3%BC"),
        ),  # typed in the locale C
        ("ws://LOCALHOST.:9", Target("localhost.", 9, "/connect")),
        ("ws://game_server:9", Target("game_server", 9, "/connect")),
        (
            "ws://bücher.example:9/spiel ü?x=ß".replace(" ", ""),
            Target("xn--bcher-kva.example", 9, "/spiel%C3%BC", "x=%C3%9F"),
        ),
    ],
)
def test_urls(url: str, target: Target) -> None:
    assert parse_target(url) == target


def test_parts() -> None:
    target = parse_target("http://[::1]:9/play?x=1")
    assert target.authority == "[::1]:9"
    assert target.url == "ws://[::1]:9/play?x=1"
    assert target.room == "main"
    assert target.in_room("r3").resource == "/play?x=1&room=r3"
    assert target.in_room("r3").in_room("r4").room == "r4"


def test_a_room_takes_the_place_of_that_in_the_url() -> None:
    target = parse_target("ws://h:1/echo?room=a&x=1&room=b")
    assert target.room == "b"
    assert target.in_room("w0r3").url == "ws://h:1/echo?x=1&room=w0r3"
    assert target.url == "ws://h:1/echo?room=a&x=1&room=b", "the target stays as it is"


@pytest.mark.parametrize("room", ["a", "A-z_9", "x" * 32])
def test_names_of_rooms(room: str) -> None:
    assert parse_target(f"ws://h?room={room}").room == room


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("127.0.0.1:8000", "not a WebSocket URL"),
        ("ftp://x", "not a WebSocket URL"),
        ("ws://", "no host"),
        ("ws://x:0", "bad port"),
        ("ws://x:70000", "right would be"),
        ("ws://x:port", "right would be"),
        ("ws://x/a b", "bad port or character"),
        ("ws://x?room=a/b", "a room's name is"),
        (f"ws://x?room={'x' * 33}", "a room's name is"),
        ("ws://x?room=%20", "a room's name is"),
        ("ws://x/\n", "bad port or character"),
        ("ws://[x", "right would be"),
        ("ws://[x]", "right would be"),
        ("ws://[v1.x]", "right would be"),
        ("ws://[::1%25%2F]", "right would be"),
        ("ws://[fe80::1]:9", r"name the interface, such as \[fe80::1%25eth0\]"),
        ("ws://a..b", "no name or address of a host"),
        ("ws://a%20b", "no name or address of a host"),
        (f"ws://{'ü' * 70}.example", "no name or address of a host"),
        ("ws://us%3Aer:secret@x", "a user with a colon"),
        ("ws://user:secret%0A@x", "with control characters"),
        ("ws://x/#top", "behind # is not sent"),
    ],
)
def test_no_targets(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_target(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://me:secret@x",
        "ws://me:secret@x:70000",
        "ws://me:secret@a..b",
        "ws://me:sec/ret:secret@x",
        "ws://me:secret@me:secret@:x",
        "ws://me:secret?secret@x/#",
        "ws://me:secret%00@x",
        "wss://me:secret@x?room=.",
    ],
)
def test_no_password_is_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(wss?|ftp)://") as error:
        parse_target(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("wss://me:secret@x/connect?room=a", "wss://x/connect?room=a"),
        ("wss://me:sec@ret@[::1]:8000", "wss://[::1]:8000"),
        ("wss://x/connect?user=me@example.org", "wss://x/connect?user=me@example.org"),
        ("wss://me:secret@x/@arena/connect", "wss://x/@arena/connect"),
        ("me:secret@x", "me:secret@x"),
    ],
)
def test_a_login_is_taken_out_of_the_authority_alone(url: str, without: str) -> None:
    assert without_login(url) == without
    if url.startswith("wss"):
        assert (parse_target(without).host, parse_target(without).path) == (
            parse_target(url).host,
            parse_target(url).path,
        )


def test_a_header_that_is_given_twice_is_one_field_with_a_list() -> None:
    target = parse_target("ws://x").with_headers((("Cookie", "a=1"), ("X-Key", "1"), ("cookie", "b=2"), ("x-key", "2")))
    assert target.fields == {"Cookie": "a=1; b=2", "X-Key": "1, 2"}


def test_the_interface_is_for_us_and_not_for_the_server() -> None:
    target = parse_target("http://[fe80::1%25eth0]:9/play")
    assert target.authority == "[fe80::1]:9", "RFC 6874, 4: not in a Host header"
    assert target.url == "ws://[fe80::1%25eth0]:9/play"
    assert parse_target(target.url) == target


# Who we are, and what else is said


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("ws://me:secret@x", "me:secret"),
        ("wss://me@x", "me:"),
        ("https://m%40e:s%3Ae%2Fc%20r%C3%A9t@x", "m@e:s:e/c rét"),
        ("ws://:secret@x", ":secret"),
    ],
)
def test_user_and_password_become_a_header_and_are_shown_nowhere(url: str, login: str) -> None:
    target = parse_target(url)
    ((name, value),) = target.headers
    assert name == "Authorization"
    assert value == f"Basic {base64.b64encode(login.encode()).decode()}"
    assert f"\r\nAuthorization: {value}\r\n".encode() in target.request("/stats")
    assert parse_target(target.url).headers == ()
    for shown in (target.url, repr(target), target.place, target.authority):
        assert value not in shown
        assert "me" not in shown.replace("name", "")
        assert "secret" not in shown


def test_a_prefix_is_kept() -> None:
    target = parse_target("https://x/game/connect?room=a")
    assert target.resource == "/game/connect?room=a"
    assert target.in_room("b").resource == "/game/connect?room=b"
    assert target.beside("stats") == "/game/stats"
    assert parse_target("ws://x").beside("stats") == "/stats"
    assert parse_target("ws://x/ws/game/").beside("stats") == "/ws/game/stats"


def test_the_port_of_the_scheme_is_left_out_of_the_host_header() -> None:
    """As browsers do: a proxy may know its hosts by their bare names."""
    assert parse_target("wss://x").authority == "x"
    assert parse_target("ws://x:80").authority == "x"
    assert parse_target("ws://x:443").authority == "x:443"
    assert parse_target("wss://[::1]:80").authority == "[::1]:80"
    assert parse_target("wss://x").url == "wss://x:443/connect"


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Cookie: a=b; c=d", ("Cookie", "a=b; c=d")),
        ("X-A:b", ("X-A", "b")),
        ("Authorization:  Bearer a:b ", ("Authorization", "Bearer a:b")),
        ("Sec-WebSocket-Protocol: game", ("Sec-WebSocket-Protocol", "game")),
    ],
)
def test_headers(text: str, header: tuple[str, str]) -> None:
    assert parse_header(text) == header
    request = parse_target("ws://x").with_headers((header,)).request("/", "Upgrade: websocket")
    assert request == f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{header[0]}: {header[1]}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("secret", "right would be 'Name: value'"),
        (": secret", "right would be 'Name: value'"),
        ("A B: secret", "right would be 'Name: value'"),
        ("Host: secret", "Host: the handshake says it itself"),
        ("upgrade: secret", "the handshake says it itself"),
        ("CONNECTION: secret", "the handshake says it itself"),
        ("Sec-WebSocket-Key: secret", "the handshake says it itself"),
        ("Sec-WebSocket-Extensions: secret", "the handshake says it itself"),
        ("Content-Length: secret", "the handshake says it itself"),
        ("A:", "A: no value"),
        ("A: secret\r\nB: c", "A: no value, or one with control characters"),
        ("A: secret\x00", "A: no value, or one with control characters"),
        ("A: secret ü", "beyond ASCII"),
    ],
)
def test_no_headers(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as error:
        parse_header(text)
    assert "secret" not in str(error.value)


def test_we_are_nobody_else_at_the_same_time() -> None:
    with pytest.raises(ValueError, match="are given twice") as error:
        parse_target("ws://me:secret@x").with_headers((("authorization", "Bearer secret"),))
    assert "secret" not in str(error.value)
