"""What is refused, with which answer; and that nobody else is disturbed by it."""

import socket
import struct

import pytest

from tests.conftest import Arm, Serve
from tests.support.bystander import undisturbed
from tests.support.client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    client_frame,
    request_bytes,
    upgrade_headers,
)
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs()

FAULTS = [
    " ",
    "nan",
    "true",
    "37.0",
    '"37"',
    '{"new_player":"x"}',
    "[]",
    "[37]",
    "[[]]",
    '[["join"]]',
    '["join",null]',
    '["ping",null]',
    '["ping",true]',
    '["ping",[1]]',
    '["new_player"]',
    '["new_player",1]',
    '["new_player","a","b"]',
    '["new_player","raw \x01 control"]',
    "[" * 2000,
    "[" * 1000 + "]" * 1000,
    "1" * 4000 + "x",
    "9" * 4000,
    '["ping",' + "9" * 4000 + "]",
    '["new_player","' + "x" * 4000 + '"]',
]

BAD_FRAMES = {
    "reserved bit 2": (1002, client_frame(TEXT, b"37", reserved=2)),
    "opcode 7": (1002, client_frame(7)),
    "a close in fragments": (1002, client_frame(CLOSE, b"\x03\xe8", fin=False)),
    "a pong of 126 bytes": (1002, client_frame(PONG, b"x" * 126)),
    "a ping of 65536 bytes, declared": (1002, client_frame(PING, declared_length=65536)),
    "the first part of a continuation of nothing": (1002, client_frame(CONTINUATION, b"37", fin=False)),
    "a binary amid fragments": (1002, client_frame(TEXT, b"3", fin=False) + client_frame(BINARY, b"7")),
    "empty binary": (1003, client_frame(BINARY)),
    "binary in fragments": (1003, client_frame(BINARY, b"3", fin=False) + client_frame(CONTINUATION, b"7")),
    "UTF-8 that is cut off": (1007, client_frame(TEXT, b'"\xe2\x82')),
    "invalid UTF-8 in fragments": (1007, client_frame(TEXT, b'"\xe2', fin=False) + client_frame(CONTINUATION, b'("')),
    "invalid UTF-8 as the reason of a close": (1007, client_frame(CLOSE, b"\x03\xe8\xff")),
}

UPGRADE = request_bytes("GET", "/connect?room=resets", upgrade_headers({}))
NEW_PLAYER = client_frame(TEXT, b'["new_player","x"]')

RESETS = {
    "nothing": b"",
    "half a handshake": UPGRADE[:60],
    "a request": request_bytes("GET", "/stats", {"Host": "localhost"}),
    "a bad request": b"\x16\x03\x01\x02\r\n\r\n",
    "a long target": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    "a body that is none": b"POST /stats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a handshake": UPGRADE,
    "a refused handshake": request_bytes("GET", "/connect", upgrade_headers({"Sec-WebSocket-Key": "x"})),
    "a player": UPGRADE + NEW_PLAYER + client_frame(TEXT, b'["join"]'),
    "a fault": UPGRADE + NEW_PLAYER + client_frame(TEXT, b"x"),
    "a bad frame": UPGRADE + NEW_PLAYER + client_frame(TEXT, b"x", reserved=4),
    "a bad text": UPGRADE + NEW_PLAYER + client_frame(TEXT, b"\xff"),
    "too much": UPGRADE + NEW_PLAYER + client_frame(TEXT, declared_length=2**40),
    "too many": UPGRADE + NEW_PLAYER + client_frame(TEXT, b"37") * 61,
    "a close": UPGRADE + NEW_PLAYER + client_frame(CLOSE),
    "half a frame": UPGRADE + NEW_PLAYER + client_frame(TEXT, b"37")[:5],
}
ENDLESS = b"POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
FLOOD_BYTES = 2**18
"""More than a server reads of who was turned away before it holds it back for a moment."""


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


def test_the_third_fault_closes_before_new_player_too(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        player = server.connect(room)
        for _ in range(2):
            player.send_text("not json")
            assert [command[0] for command in player.receive_commands()] == ["error"]
        player.send_text("not json")
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


@pytest.mark.framework
def test_a_bad_frame_closes_before_new_player(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        stranger = server.connect(room)
        stranger.send_frame(BINARY, b"x")
        assert stranger.expect_close() == 1003


@pytest.mark.framework
@pytest.mark.parametrize("length", [b"\xfe\x00\x02", b"\xff" + (2).to_bytes(8)], ids=["two", "eight"])
def test_a_length_in_more_bytes_than_it_needs(server: RunningServer, room: str, arm: Arm, length: bytes) -> None:
    """RFC 6455 forbids it (5.2), and all libraries but three take it."""
    with undisturbed(server, room):
        player = server.enter(room)
        player.send_raw(b"\x81" + length + bytes(4) + b"65")
        if arm.framework in {"picows", "flask-sock", "autobahn", "daphne"}:
            assert player.expect_close() == 1002
        else:
            player.ping()


@pytest.mark.framework
@pytest.mark.differs("condition")
@pytest.mark.parametrize("in_between", [b"", client_frame(PING)], ids=["at once", "behind a message"])
def test_who_says_its_last_in_a_bad_frame_is_told_so(server: RunningServer, room: str, in_between: bytes) -> None:
    player = server.enter(room)
    player.send_raw(in_between + client_frame(TEXT, b"65", masked=False))
    player.sock.shutdown(socket.SHUT_WR)
    while (frame := player.receive_frame()).opcode != CLOSE:
        pass
    assert frame.close_code == 1002


@pytest.mark.framework
def test_what_does_not_come_apart_closes(serve: Serve) -> None:
    """With the naive fan-out a peer may compress, where its server's library does."""
    with serve("--fanout", "naive") as server:
        player = server.keep_alive()
        asked = upgrade_headers({"Sec-WebSocket-Extensions": "permessage-deflate"})
        player.send_raw(request_bytes("GET", "/connect", asked))
        compresses = "sec-websocket-extensions" in player.read_response().headers
        player.send_raw(client_frame(TEXT, b"\xff\xff\xff\xff", reserved=4))
        assert player.expect_close() == (1007 if compresses else 1002)


@pytest.mark.framework
@pytest.mark.parametrize(
    ("sent", "answered"),
    [(1011, 1011), (1004, 1002), (1016, 1002), (65535, 1002)],
)
def test_a_close_is_answered(server: RunningServer, room: str, sent: int, answered: int) -> None:
    with undisturbed(server, room):
        player = server.enter(room)
        player.send_frame(CLOSE, sent.to_bytes(2) + b"bye")
        player.send(["ping", 1])  # nothing that comes behind a close counts
        assert player.expect_close() == answered


@pytest.mark.framework
def test_a_torn_connection_is_left_alone(server: RunningServer, room: str) -> None:
    with undisturbed(server, room) as bystander:
        for end in (b"", client_frame(TEXT, b'["join"]')[:5], client_frame(TEXT, declared_length=100)):
            player = server.enter(room, "torn")
            player.join()
            player.send_raw(end)
            player.hang_up()
        bystander.until(lambda _: not bystander.board.alive)
        wait_until(lambda: (server.room_stats(room) or {}).get("members") == 1)


@pytest.mark.framework
@pytest.mark.parametrize("name", RESETS)
def test_a_reset_is_left_alone(server: RunningServer, room: str, name: str) -> None:
    """Whatever the server was about to say when its peer had gone: it is not worth a word in the log."""
    before = server.log
    with undisturbed(server, room):
        for _ in range(20):
            sock = server.dial()
            sock.sendall(RESETS[name])
            reset(sock)
    wait_until(lambda: server.stats()["connections"] == 1)
    assert server.log == before


@pytest.mark.parametrize("name", ["too much", "a body without end"])
def test_who_was_turned_away_and_hangs_up_in_the_midst_of_a_flood_is_forgotten(serve: Serve, name: str) -> None:
    """Not only at the end of the close limit: whoever floods again and again would be there many times over."""
    with serve("--close-limit", "60") as server:
        before = server.held()
        sock = server.dial()
        sock.sendall(RESETS.get(name, ENDLESS))
        while sock.recv(65536):  # what it is told last
            pass
        sock.sendall(bytes(FLOOD_BYTES))
        reset(sock)
        wait_until(lambda: server.held().is_within(before))


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_reset_behind_a_bad_frame_is_left_alone(server: RunningServer, room: str, name: str) -> None:
    before = server.log
    with undisturbed(server, room):
        for _ in range(5):
            player = server.enter(room)
            player.send_raw(BAD_FRAMES[name][1])
            reset(player.sock)
    wait_until(lambda: server.stats()["connections"] == 1)
    assert server.log == before


@pytest.mark.framework
def test_a_port_that_is_used_again_is_another_peer(server: RunningServer, room: str) -> None:
    """The address of one who was reset may be that of the next one before the server has seen it go."""
    before, port = server.log, 0
    with undisturbed(server, room):
        for number in range(150):
            sock = server.dial(source_port=port)
            port = sock.getsockname()[1]
            sock.sendall(RESETS["a player"])
            if number % 3 == 0:
                sock.recv(100)  # this one is in, when the next two come
            reset(sock)
    wait_until(lambda: server.stats()["connections"] == 1)
    assert server.log == before


def reset(sock: socket.socket) -> None:
    """End a connection with a reset instead of an end of the stream."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.framework
def test_half_a_message_is_no_message(server: RunningServer, room: str) -> None:
    player = server.enter(room)
    data = client_frame(TEXT, b'["ping",1]')
    for byte in data[:-1]:
        player.send_raw(bytes([byte]))
    for _ in range(3):
        player.next_tick()  # nothing personal
    player.send_raw(data[-1:])
    assert player.next_personal()[0][:2] == ["pong", 1]
