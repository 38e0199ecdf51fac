"""What is refused, with which answer; and that nobody else is disturbed by it."""

import base64

import pytest

from tests.conftest import Serve
from tests.support.bystander import undisturbed
from tests.support.client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, client_frame
from tests.support.player import Player
from tests.support.server import RunningServer, wait_until

FAULTS = [
    "",
    " ",
    "not json",
    "[1,2",
    '["join"]]',
    "nan",
    "'join'",
    "null",
    "true",
    "37.0",
    "37.5",
    '"37"',
    "{}",
    '{"new_player":"x"}',
    "[]",
    "[37]",
    "[[]]",
    '[["join"]]',
    '["JOIN"]',
    '["leave"]',
    '["tick",1,2,3]',
    '["join",1]',
    '["join",null]',
    '["ping"]',
    '["ping","1"]',
    '["ping",null]',
    '["ping",true]',
    '["ping",[1]]',
    '["ping",1,2]',
    '["new_player","again"]',
    '["new_player"]',
    '["new_player",1]',
    '["new_player","a","b"]',
    '["new_player","raw \x01 control"]',
    "[" * 2000,
    "[" * 1000 + "]" * 1000,
    "1" * 4000 + "x",
]

BAD_FRAMES = {
    "reserved bit 1": (1002, client_frame(TEXT, b"37", reserved=4)),
    "reserved bit 2": (1002, client_frame(TEXT, b"37", reserved=2)),
    "reserved bit 3": (1002, client_frame(TEXT, b"37", reserved=1)),
    "opcode 3": (1002, client_frame(3, b"37")),
    "opcode 7": (1002, client_frame(7)),
    "opcode 11": (1002, client_frame(11)),
    "opcode 15": (1002, client_frame(15, b"37")),
    "a ping in fragments": (1002, client_frame(PING, b"x", fin=False)),
    "a close in fragments": (1002, client_frame(CLOSE, b"\x03\xe8", fin=False)),
    "a ping of 126 bytes": (1002, client_frame(PING, b"x" * 126)),
    "a pong of 126 bytes": (1002, client_frame(PONG, b"x" * 126)),
    "a close of 126 bytes": (1002, client_frame(CLOSE, b"\x03\xe8" + b"x" * 124)),
    "a ping of 65536 bytes, declared": (1002, client_frame(PING, declared_length=65536)),
    "a continuation of nothing": (1002, client_frame(CONTINUATION, b"37")),
    "the first part of a continuation of nothing": (1002, client_frame(CONTINUATION, b"37", fin=False)),
    "a text amid fragments": (1002, client_frame(TEXT, b"3", fin=False) + client_frame(TEXT, b"37")),
    "a binary amid fragments": (1002, client_frame(TEXT, b"3", fin=False) + client_frame(BINARY, b"7")),
    "a close of one byte": (1002, client_frame(CLOSE, b"\x03")),
    "binary": (1003, client_frame(BINARY, b"37")),
    "empty binary": (1003, client_frame(BINARY)),
    "binary in fragments": (1003, client_frame(BINARY, b"3", fin=False) + client_frame(CONTINUATION, b"7")),
    "invalid UTF-8": (1007, client_frame(TEXT, b'["new_player","\xff"]')),
    "UTF-8 that is cut off": (1007, client_frame(TEXT, b'"\xe2\x82')),
    "a surrogate in UTF-8": (1007, client_frame(TEXT, b'"\xed\xa0\x80"')),
    "an overlong form": (1007, client_frame(TEXT, b'"\xc0\xaf"')),
    "invalid UTF-8 in fragments": (1007, client_frame(TEXT, b'"\xe2', fin=False) + client_frame(CONTINUATION, b'("')),
    "invalid UTF-8 as the reason of a close": (1007, client_frame(CLOSE, b"\x03\xe8\xff")),
}

UNMASKED = {"asyncio": None, "gevent": 1002}
"""aiohttp's reader takes an unmasked frame, and nothing tells; the protocol grants it that."""

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


# Messages


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: text[:24] or "empty")
def test_a_fault_is_answered(server: RunningServer, room: str, text: str) -> None:
    with undisturbed(server, room):
        player = server.enter(room)
        player.send_text(text)
        ((name, why),) = player.next_personal()
        assert name == "error"
        assert why
        player.ping()


@pytest.mark.parametrize("text", ["37", '["join"]', '["ping",1]', "not json", '["leave"]'])
def test_new_player_comes_first(server: RunningServer, room: str, text: str) -> None:
    with undisturbed(server, room):
        player = server.connect(room)
        for _ in range(2):
            player.send_text(text)
            assert [command[0] for command in player.receive_commands()] == ["error"]
        player.send_text(text)
        assert player.expect_close() == 1008


def test_the_third_fault_closes(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        player = server.enter(room)
        for _ in range(2):
            player.send(["leave"])
            assert player.next_personal()[0][0] == "error"
        player.send(["leave"])
        assert player.expect_close() == 1008


def test_old_faults_are_forgotten(hasty_server: RunningServer, room: str) -> None:
    player = hasty_server.enter(room)
    for _ in range(6):
        player.send(["leave"])
        player.next_personal()
        player.until_due(player.next_tick().due_us + 200_000)
    player.ping()
    for _ in range(3):
        player.send(["leave"])
    assert player.expect_close() == 1008


# Frames


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_closes(server: RunningServer, room: str, name: str) -> None:
    code, data = BAD_FRAMES[name]
    with undisturbed(server, room):
        player = server.enter(room)
        player.send_raw(data)
        assert player.expect_close() == code


def test_a_bad_frame_closes_before_new_player(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        stranger = server.connect(room)
        stranger.send_frame(BINARY, b"x")
        assert stranger.expect_close() == 1003


def test_an_unmasked_frame(server: RunningServer, room: str) -> None:
    code = UNMASKED[server.backend]
    with undisturbed(server, room):
        player = server.enter(room)
        player.send_frame(TEXT, b'["ping",1]', masked=False)
        if code is None:
            assert player.next_personal()[0][:2] == ["pong", 1]
        else:
            assert player.expect_close() == code


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(None, 1000), (1000, 1000), (1001, 1001), (1011, 1011), (3000, 3000), (4999, 4999)]
    + [(code, 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)],
)
def test_a_close_is_answered(server: RunningServer, room: str, sent: int | None, answered: int) -> None:
    with undisturbed(server, room):
        player = server.enter(room)
        payload = b"" if sent is None else sent.to_bytes(2) + b"bye"
        player.send_frame(CLOSE, payload)
        player.send(["ping", 1])  # nothing that comes behind a close counts
        assert player.expect_close() == answered


def test_a_torn_connection_is_left_alone(server: RunningServer, room: str) -> None:
    with undisturbed(server, room) as bystander:
        for end in (b"", client_frame(TEXT, b'["join"]')[:5], client_frame(TEXT, declared_length=100)):
            player = server.enter(room, "torn")
            player.join()
            player.send_raw(end)
            player.hang_up()
        bystander.until(lambda _: not bystander.board.alive)
        wait_until(lambda: (server.room_stats(room) or {}).get("members") == 1)


# Before the upgrade


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


@pytest.mark.parametrize("name", ["x" * 33, "", "a b".replace(" ", "%20"), "a.b", "%C3%A4", "a%00", "../x", "a%0A"])
def test_a_bad_room_name_is_not_found(server: RunningServer, room: str, name: str) -> None:
    with undisturbed(server, room):
        assert server.upgrade(f"/connect?room={name}").status == 404


@pytest.mark.parametrize("name", ["x", "x" * 32, "A-Z_a-z_0-9", "%41"])
def test_a_good_room_name_is_taken(server: RunningServer, name: str) -> None:
    assert server.upgrade(f"/connect?room={name}").status == 101


@pytest.mark.parametrize("path", ["/nowhere", "/connect/", "/connect/x", "/Connect", "/ECHO", "/socket.io/?x=1", "//"])
def test_an_unknown_path_is_not_found(server: RunningServer, room: str, path: str) -> None:
    with undisturbed(server, room):
        assert server.upgrade(path).status == 404
        assert server.request(path).status == 404


def test_half_a_message_is_no_message(server: RunningServer, room: str) -> None:
    player: Player = server.enter(room)
    data = client_frame(TEXT, b'["ping",1]')
    for byte in data[:-1]:
        player.send_raw(bytes([byte]))
    for _ in range(3):
        player.next_tick()  # nothing personal
    player.send_raw(data[-1:])
    assert player.next_personal()[0][:2] == ["pong", 1]
