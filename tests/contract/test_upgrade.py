"""What is refused before there is a WebSocket, with which HTTP status."""

import base64

import pytest

from tests.conftest import Serve
from tests.support.bystander import undisturbed
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs()

HANDSHAKES: dict[str, tuple[int, dict[str, str | None]]] = {
    "no upgrade": (426, {"Upgrade": None, "Connection": None}),
    "another upgrade": (426, {"Upgrade": "h2c"}),
    "no connection header": (426, {"Connection": "keep-alive"}),
    "version 8": (426, {"Sec-WebSocket-Version": "8"}),
    "version 14": (426, {"Sec-WebSocket-Version": "14"}),
    "no version": (426, {"Sec-WebSocket-Version": None}),
    "no key": (400, {"Sec-WebSocket-Key": None}),
    "an empty key": (400, {"Sec-WebSocket-Key": ""}),
    "a short key": (400, {"Sec-WebSocket-Key": base64.b64encode(b"x" * 15).decode()}),
    "a long key": (400, {"Sec-WebSocket-Key": base64.b64encode(b"x" * 17).decode()}),
    "a key that is no base64": (400, {"Sec-WebSocket-Key": "!" * 24}),
    "a key without its padding": (400, {"Sec-WebSocket-Key": base64.b64encode(b"x" * 16).decode().rstrip("=")}),
    "a foreign origin": (403, {"Origin": "http://evil.example"}),
    "another port": (403, {"Origin": "http://127.0.0.1:1"}),
    "an opaque origin": (403, {"Origin": "null"}),
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


@pytest.mark.parametrize("origin", ["http://{}:{}", "HTTP://{}:{}", "https://{}:{}"])
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


@pytest.mark.parametrize("name", ["x" * 33, "", "a%20b", "a.b", "%C3%A4", "a%00", "../x", "a%0A"])
def test_a_bad_room_name_is_not_found(server: RunningServer, room: str, name: str) -> None:
    with undisturbed(server, room):
        assert server.upgrade(f"/connect?room={name}").status == 404


@pytest.mark.parametrize("name", ["x", "x" * 32, "A-Z_a-z_0-9", "%41"])
def test_a_good_room_name_is_taken(server: RunningServer, name: str) -> None:
    assert server.upgrade(f"/connect?room={name}").status == 101


@pytest.mark.parametrize(
    "path", ["/nowhere", "/connect/", "/connect/x", "/Connect", "/ECHO", "/socket.io/?x=1", "//", "//connect"]
)
def test_an_unknown_path_is_not_found(server: RunningServer, room: str, path: str) -> None:
    with undisturbed(server, room):
        assert server.upgrade(path).status == 404
        assert server.request(path).status == 404
