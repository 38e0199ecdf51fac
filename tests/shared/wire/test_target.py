import pytest

from shared.wire.target import Target, parse_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://127.0.0.1:8000", Target("127.0.0.1", 8000, "/connect")),
        ("http://127.0.0.1:8000/", Target("127.0.0.1", 8000, "/connect")),
        ("http://example.org", Target("example.org", 80, "/connect")),
        ("ws://[::1]:9/play?room=a&x=1", Target("::1", 9, "/play", "room=a&x=1")),
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
    ],
)
def test_no_targets(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_target(url)
