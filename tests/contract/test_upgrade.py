"""What is refused before there is a WebSocket, with which HTTP status."""

import base64

import pytest

from tests.conftest import Arm, Serve, Share
from tests.support.bystander import undisturbed
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs()

HANDSHAKES: dict[str, tuple[int, dict[str, str | None]]] = {
    "no connection header": (426, {"Connection": "keep-alive"}),
    "a key without its padding": (400, {"Sec-WebSocket-Key": base64.b64encode(b"x" * 16).decode().rstrip("=")}),
    "an empty origin": (403, {"Origin": ""}),
    "an origin with a bad port": (403, {"Origin": "http://127.0.0.1:x"}),
    "an origin that is no URL": (403, {"Origin": "http://[::1"}),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_bad_handshake_is_refused(server: RunningServer, room: str, name: str) -> None:
    status, headers = HANDSHAKES[name]
    with undisturbed(server, room):
        before = server.stats()
        answer = server.upgrade(f"/connect?room={room}", headers)
        assert answer.status == status
        assert answer.body
        if status == 426:
            assert answer.headers["sec-websocket-version"] == "13"
        wait_until(lambda: server.stats()["connections"] == before["connections"])
        assert server.stats()["refused"][str(status)] == before["refused"].get(str(status), 0) + 1


@pytest.mark.framework
@pytest.mark.parametrize("value", [";", "sn\xe4ke"])
@pytest.mark.parametrize(("field", "flags"), [("Protocol", ()), ("Extensions", ("--fanout", "naive"))])
def test_what_only_one_library_looks_at(share: Share, arm: Arm, field: str, flags: tuple[str, ...], value: str) -> None:
    """Its parser refuses what the others pass over, see docs/protocol.md; the seat is given back all the same."""
    server = share("--tick-budget", "0", *flags)
    answer = server.upgrade("/connect", {f"Sec-WebSocket-{field}": value})
    assert answer.status == (400 if arm.parses_with_websockets else 101)
    wait_until(lambda: server.stats()["connections"] == 0)
    assert server.upgrade("/connect").status == 101


@pytest.mark.framework
@pytest.mark.parametrize("origin", ["HTTP://{}:{}", "https://{}:{}"])
def test_the_own_host_is_a_good_origin(server: RunningServer, room: str, origin: str) -> None:
    assert server.upgrade(f"/connect?room={room}", {"Origin": origin.format(*server.address)}).status == 101


def test_origins_can_be_allowed(serve: Serve) -> None:
    with serve("--origin", "https://good.example", "--origin", "http://other.example:81") as server:
        for origin, status in {
            "https://good.example": 101,
            "http://other.example:81": 101,
            "http://good.example": 403,
            "http://other.example": 403,
        }.items():
            assert server.upgrade("/connect", {"Origin": origin}).status == status


def test_origins_are_taken_as_people_write_them(serve: Serve) -> None:
    with serve("--origin", "HTTPS://Good.example:443/", "--origin", "*.many.example") as server:
        for origin, status in {
            "https://good.example": 101,
            "http://good.example": 403,
            "https://a.many.example": 101,
            "http://a.b.many.example": 101,
            "https://many.example": 403,
            "https://notmany.example": 403,
            "https://a.many.example:8443": 403,
        }.items():
            assert server.upgrade("/connect", {"Origin": origin}).status == status
        own = {"Host": "a.many.example", "Origin": "https://a.many.example"}
        assert server.upgrade("/connect", own).status == 101, "a proxy hands on the name that it is called by"


@pytest.mark.parametrize("name", ["a%00", "../x", "a%0A"])
def test_a_bad_room_name_is_not_found(server: RunningServer, room: str, name: str) -> None:
    with undisturbed(server, room):
        assert server.upgrade(f"/connect?room={name}").status == 404


def test_one_character_is_a_good_room_name(server: RunningServer) -> None:
    assert server.upgrade("/connect?room=x").status == 101


@pytest.mark.parametrize("path", ["/connect/", "/connect/x", "/Connect", "/ECHO", "/socket.io/?x=1", "//", "//connect"])
def test_an_unknown_path_is_not_found(server: RunningServer, room: str, path: str) -> None:
    with undisturbed(server, room):
        assert server.upgrade(path).status == 404
        assert server.request(path).status == 404
