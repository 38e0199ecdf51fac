import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire import handshake
from shared.wire.handshake import busy, check_room, check_upgrade, origin_allowed, parse_origin, room_name

GOOD = {
    "host": "game.example:8000",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def status(**changes: str | None) -> int:
    """Return the status of the refusal of a good request with some headers changed, or 101."""
    headers = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    refusal = check_upgrade({name: value for name, value in headers.items() if value is not None})
    return int(refusal.status) if refusal else 101


def test_a_good_request_is_not_refused() -> None:
    assert check_upgrade(GOOD) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"upgrade": None},
        {"upgrade": "h2c"},
        {"sec_websocket_version": None},
        {"sec_websocket_version": "8"},
        {"sec_websocket_version": "14"},
        {"sec_websocket_version": "thirteen"},
    ],
    ids=str,
)
def test_what_is_no_websocket_13_is_426_and_told_so(changes: dict[str, str | None]) -> None:
    headers = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    refusal = check_upgrade({name: value for name, value in headers.items() if value is not None})
    assert refusal is not None
    assert refusal.status == 426
    assert ("Sec-WebSocket-Version", "13") in refusal.headers
    assert ("Upgrade", "websocket") in refusal.headers


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZSE=",
        "dGhlIHNhbXBsZSBub25!ZQ==",
        "dGhlIHNhbXBs ZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        "é" * 24,
    ],
)
def test_a_key_that_is_not_16_bytes_is_400(key: str | None) -> None:
    assert status(sec_websocket_key=key) == 400


@given(st.binary(min_size=16, max_size=16))
def test_every_key_of_16_bytes_is_taken(key: bytes) -> None:
    assert status(sec_websocket_key=base64.b64encode(key).decode()) == 101


@given(st.binary(max_size=40).filter(lambda key: len(key) != 16))
def test_no_key_of_another_length_is_taken(key: bytes) -> None:
    assert status(sec_websocket_key=base64.b64encode(key).decode()) == 400


def test_a_foreign_origin_is_403_and_comes_last() -> None:
    assert status(origin="http://evil.example") == 403
    assert status(origin="http://evil.example", upgrade=None) == 426
    assert status(origin="http://evil.example", sec_websocket_key="x") == 400


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "game.example"),
        (None, ""),
        ("http://game.example", "game.example"),
        ("http://GAME.example", "game.EXAMPLE"),
        ("HTTP://game.example", "game.example"),
        ("http://game.example:8000", "game.example:8000"),
        ("http://game.example", "game.example:80"),
        ("http://game.example:80", "game.example"),
        ("https://game.example", "game.example:443"),
        ("https://game.example:443", "game.example"),
        ("https://game.example", "game.example"),
        ("ws://game.example", "game.example:80"),
        ("wss://game.example", "game.example:443"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://[::1]", "[::1]"),
        ("http://[::1]", "[::1]:80"),
        ("http://[FE80::1]", "[fe80::1]"),
    ],
)
def test_the_own_host_is_allowed(origin: str | None, host: str) -> None:
    assert origin_allowed(origin, host, ())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "game.example"),
        ("http://game.example.evil", "game.example"),
        ("http://evil-game.example", "game.example"),
        ("http://game.example:8001", "game.example:8000"),
        ("http://game.example", "game.example:8000"),
        ("http://game.example:8000", "game.example"),
        ("https://game.example", "game.example:80"),
        ("http://game.example", "game.example:443"),
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::2]:8000"),
        ("http://[::1]:8000", "[::1]:8001"),
        ("null", "game.example"),
        ("null", "null"),
        ("", "game.example"),
        ("", ""),
        ("game.example", "game.example"),
        ("http://", "game.example"),
        ("http://game.example", ""),
        ("http://game.example:x", "game.example:x"),
        ("http://game.example:99999", "game.example:99999"),
        ("http://[::1", "[::1"),
        ("http://evil.example@game.example.evil", "game.example"),
    ],
)
def test_another_host_is_not(origin: str, host: str) -> None:
    assert not origin_allowed(origin, host, ())


def test_origins_can_be_allowed_beside() -> None:
    headers = {**GOOD, "origin": "https://Friend.example:4430"}
    assert check_upgrade(headers) is not None
    assert check_upgrade(headers, {"https://friend.example:4430"}) is None
    assert check_upgrade(headers, {"https://friend.example"}) is not None
    assert check_upgrade(headers, {"*"}) is None
    assert check_upgrade({**GOOD, "origin": "null"}, {"null"}) is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_origin_raises(origin: str, host: str) -> None:
    assert isinstance(origin_allowed(origin, host, ()), bool)
    assert isinstance(origin_allowed(f"http://{origin}", host, ()), bool)


# Rooms


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "main"),
        ("room=den", "den"),
        ("x=1&room=den", "den"),
        ("room=den&room=other", "den"),
        ("room=", ""),
        ("room", ""),
        ("ROOM=den", "main"),
        ("room=a%20b", "a b"),
        ("room=%ff", "\ufffd"),
    ],
)
def test_the_room_is_asked_for_in_the_query(query: str, name: str) -> None:
    assert room_name(query) == name


@pytest.mark.parametrize(
    "query",
    ["&".join(["a=b"] * 2000), "room=" + "%41" * 2500, "%" * 8000, "room=main&x=" + "y" * 8000],
    ids=lambda query: query[:12],
)
def test_a_query_that_is_too_long_is_not_looked_at(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "parse_qs", None)
    refusal = check_room(room_name(query))
    assert refusal
    assert refusal.status == 404


def test_a_query_with_more_than_a_room_is_looked_at() -> None:
    assert room_name("x=" + "y" * 1000 + "&room=den") == "den"


@pytest.mark.parametrize(
    "key", ["A" * 8000, "A" * 7998 + "==", "A" * 24, "A" * 22, "A" * 21 + "-==", "A" * 22 + "==\n"]
)
def test_a_key_is_22_characters_and_two_signs_of_equality(key: str) -> None:
    assert status(sec_websocket_key=key) == 400


@pytest.mark.parametrize("name", ["main", "a", "Z-9_", "x" * 32])
def test_a_room_s_name_is_1_to_32_of_letters_digits_dash_and_underline(name: str) -> None:
    assert check_room(name) is None


@pytest.mark.parametrize("name", ["", "x" * 33, "a b", "a/b", "é", "a\n", "main\x00", "\u0661", "."])
def test_any_other_name_is_404(name: str) -> None:
    refusal = check_room(name)
    assert refusal is not None
    assert refusal.status == 404


@given(st.text(max_size=50))
def test_no_query_raises(query: str) -> None:
    check_room(room_name(query))


def test_busy_says_when_to_come_again() -> None:
    refusal = busy("the server is full")
    assert (refusal.status, refusal.text) == (503, "the server is full")
    ((name, value),) = refusal.headers
    assert name == "Retry-After"
    assert int(value) > 0


def test_a_random_key_is_taken() -> None:
    assert status(sec_websocket_key=base64.b64encode(os.urandom(16)).decode()) == 101


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://A.example", "http://a.example"),
        ("https://a.example:443/", "https://a.example"),
        ("http://a.example:81", "http://a.example:81"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
        ("http://[0:0::1]:8000", "http://[::1]:8000"),
        ("chrome-extension://abc", "chrome-extension://abc"),
        ("capacitor://localhost/", "capacitor://localhost"),
        ("NULL", "null"),
        (" * ", "*"),
        ("HTTPS://*.A.example:443/", "https://*.a.example"),
        ("https://*.a.example:8443", "https://*.a.example:8443"),
        ("http://*.bücher.example", "http://*.xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_allowed_as_browsers_send_it(text: str, origin: str) -> None:
    assert parse_origin(text) == {origin}


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("A.example/", {"http://a.example", "https://a.example"}),
        ("a.example:443", {"http://a.example:443", "https://a.example"}),
        ("localhost:3000", {"http://localhost:3000", "https://localhost:3000"}),
        ("*.a.example", {"http://*.a.example", "https://*.a.example"}),
        ("[::1]:3000", {"http://[::1]:3000", "https://[::1]:3000"}),
    ],
)
def test_a_name_alone_is_one_of_http_and_of_https(text: str, origins: set[str]) -> None:
    assert parse_origin(text) == origins


BAD_ORIGINS = {
    "": "right would be http://HOST",
    "http://": "right would be http://HOST",
    "http://a:b": "right would be http://HOST",
    "http://[::1": "right would be http://HOST",
    "http://u@a": "right would be http://HOST",
    "https://*": "right would be http://HOST",
    "*:8000": "right would be http://HOST",
    "https://a.*.example": "right would be http://HOST",
    "https://*a.example": "right would be http://HOST",
    "https://*.": "right would be http://HOST",
    "https://a.example,https://b.example": "right would be http://HOST",
    "http://a/b": "http://a would be one",
    "A.example/game/": "https://a.example would be one",
    "https://a.example?x": "https://a.example would be one",
    "wss://a.example/connect": "https://a.example would be one",
    "wss://a.example": "https://a.example would be one",
    "ws://a.example:81": "http://a.example:81 would be one",
}


@pytest.mark.parametrize("text", BAD_ORIGINS)
def test_what_no_browser_sends_is_no_origin_and_told_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="origin") as told:
        parse_origin(text)
    assert BAD_ORIGINS[text] in str(told.value)


@pytest.mark.parametrize("allowed", ["https://*.friend.example", "*.friend.example"])
def test_a_star_stands_for_all_names_below(allowed: str) -> None:
    origins = parse_origin(allowed)
    for origin in ("https://a.friend.example", "HTTPS://A.B-1_c.friend.example"):
        assert origin_allowed(origin, "game.example", origins)
    for origin in (
        "https://friend.example",
        "https://.friend.example",
        "https://a..friend.example",
        "https://evilfriend.example",
        "https://a.friend.example.evil",
        "https://evil/.friend.example",
        "https://evil:1.friend.example",
        "https://evil@a.friend.example",
        "https://a.friend.example:8443",
        "https://*.friend.example/",
        "ftp://a.friend.example",
        "null",
    ):
        assert not origin_allowed(origin, "game.example", origins), origin
    assert origin_allowed("http://a.friend.example", "game.example", origins) is ("//" not in allowed)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://[::1]:8000", "[0:0:0:0:0:0:0:1]:8000"),
        ("http://[::1]", "[::1]:80"),
        ("http://[fe80::1]:8000", "[fe80::1%25eth0]:8000"),
        ("http://[fe80::1]:8000", "[fe80::1%eth0]:8000"),
    ],
)
def test_the_own_address_is_allowed_in_each_of_its_spellings(origin: str, host: str) -> None:
    assert origin_allowed(origin, host, ())
    assert not origin_allowed(origin, host.replace(":1", ":2"), ())
