import pytest

from shared.wire.target import Target, parse_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://127.0.0.1:8000", Target("127.0.0.1", 8000, "/connect")),
        ("http://127.0.0.1:8000/", Target("127.0.0.1", 8000, "/connect")),
        ("http://example.org", Target("example.org", 80, "/connect")),
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
        ("wss://x", "TLS is not supported"),
        ("https://x", "TLS is not supported"),
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
        ("ws://user:secret@x", "a user and a password are not sent"),
        ("ws://user@x", "a user and a password are not sent"),
        ("ws://x/#top", "behind # is not sent"),
    ],
)
def test_no_targets(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_target(url)


@pytest.mark.parametrize(
    "url", ["ws://me:secret@x", "ftp://me:secret@x", "ws://me:secret@x:70000", "ws://me:secret@a..b"]
)
def test_no_password_is_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(ws|ftp)://") as error:
        parse_target(url)
    assert "secret" not in str(error.value)


def test_the_interface_is_for_us_and_not_for_the_server() -> None:
    target = parse_target("http://[fe80::1%25eth0]:9/play")
    assert target.authority == "[fe80::1]:9", "RFC 6874, 4: not in a Host header"
    assert target.url == "ws://[fe80::1%25eth0]:9/play"
    assert parse_target(target.url) == target
