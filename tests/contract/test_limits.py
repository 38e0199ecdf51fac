"""How much and how many: sizes, rates, seats, and how long one may take."""

import signal
import time
from contextlib import suppress

import pytest

from tests.conftest import Arm, Serve
from tests.support.bystander import undisturbed
from tests.support.client import BINARY, CONTINUATION, PING, PONG, TEXT, Response, Wire, client_frame
from tests.support.requests import plain
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs()

KIB4 = 4096

FULL = b'["ping",1]'.ljust(KIB4)

TOO_BIG = {
    "4097 bytes": client_frame(TEXT, FULL + b" "),
    "declared": client_frame(TEXT, declared_length=KIB4 + 1),
    "most of all, declared": client_frame(TEXT, declared_length=2**63 - 1),
    "fragments": client_frame(TEXT, FULL[:2048], fin=False) + client_frame(CONTINUATION, b" " * 2049),
    "many fragments": client_frame(TEXT, b"[", fin=False)
    + client_frame(CONTINUATION, b" " * 1024, fin=False) * 3
    + client_frame(CONTINUATION, b" " * 1024, fin=False),
    "fragments, declared": client_frame(TEXT, b" ", fin=False) + client_frame(CONTINUATION, declared_length=KIB4),
    "binary": client_frame(BINARY, b"x" * (KIB4 + 1)),
    "binary, declared": client_frame(BINARY, declared_length=KIB4 + 1),
    "invalid UTF-8": client_frame(TEXT, b"\xff" * (KIB4 + 1)),
}


# Sizes


@pytest.mark.framework
def test_4096_bytes_are_taken(server: RunningServer, room: str) -> None:
    player = server.enter(room)
    player.send_frame(TEXT, FULL)
    assert player.next_personal()[0][:2] == ["pong", 1]
    player.send_frame(TEXT, FULL[:1000], fin=False)
    player.send_frame(CONTINUATION, FULL[1000:2000], fin=False)
    player.send_frame(PING, b"between")
    player.send_frame(CONTINUATION, b"", fin=False)
    player.send_frame(CONTINUATION, FULL[2000:])
    assert player.next_personal()[0][:2] == ["pong", 1]


@pytest.mark.parametrize("name", TOO_BIG)
def test_more_is_closed_before_any_other_look_at_it(server: RunningServer, room: str, name: str) -> None:
    with undisturbed(server, room):
        player = server.enter(room)
        player.send_raw(TOO_BIG[name])
        assert player.expect_close() == 1009


# Rates


def test_60_messages_a_second_are_taken(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        player = server.enter(room)
        for _ in range(2):
            player.send_raw(client_frame(TEXT, b'["ping",1]') * 59)
            for _ in range(59):
                last_us = player.next_personal()[0][2]
            player.until_due(last_us + 1_000_000)


@pytest.mark.framework
@pytest.mark.parametrize("opcode", [TEXT, PING, PONG])
def test_more_a_second_is_closed(server: RunningServer, room: str, opcode: int) -> None:
    with undisturbed(server, room):
        player = server.connect(room)
        player.send_raw(client_frame(TEXT, b'["new_player","x"]') + client_frame(opcode, b"0") * 60)
        assert player.expect_close() == 1008


def test_exactly_the_61st_closes(server: RunningServer, room: str) -> None:
    player = server.connect(room)
    player.send_raw(client_frame(TEXT, b'["new_player","x"]') + client_frame(PING, b"x") * 60)
    opcodes = []
    while (frame := player.receive_frame()).opcode != 8:
        opcodes.append(frame.opcode)
    assert opcodes.count(PONG) == 59
    assert frame.close_code == 1008


# Seats


@pytest.mark.framework
def test_max_connections(serve: Serve) -> None:
    with serve("--max-connections", "3") as server, undisturbed(server, "main"):
        first, _ = server.enter("main"), server.connect("other")
        assert_busy(server.upgrade("/connect"))
        assert_busy(server.upgrade("/connect?room=third"))
        assert server.request("/healthz").status == 200
        first.hang_up()
        assert_room_for_one(server, "/connect")
        wait_until(lambda: server.stats()["connections"] == 2)


def test_max_per_address(serve: Serve) -> None:
    with serve("--max-per-address", "2", "--echo") as server, undisturbed(server, "main"):
        second = server.echo()
        assert_busy(server.upgrade("/connect?room=other"))
        assert_busy(server.upgrade("/echo"))
        second.hang_up()
        assert_room_for_one(server, "/connect")


def test_max_rooms(serve: Serve) -> None:
    with serve("--max-rooms", "2", "--room-linger", "0.1") as server, undisturbed(server, "main"):
        second = server.connect("second")  # a seat is enough to hold a room
        assert_busy(server.upgrade("/connect?room=third"))
        server.enter("main")
        second.enter()
        assert_busy(server.upgrade("/connect?room=third"))
        assert server.request("/healthz").status == 200
        second.hang_up()
        assert_room_for_one(server, "/connect?room=third")


def test_a_refused_handshake_takes_no_seat(serve: Serve) -> None:
    with serve("--max-connections", "1") as server:
        for _ in range(3):
            assert server.upgrade("/connect", {"Origin": "http://evil.example"}).status == 403
            assert server.upgrade("/connect", {"Sec-WebSocket-Key": "x"}).status == 400
            assert server.upgrade("/connect?room=.").status == 404
            assert server.upgrade("/connect", {"Sec-WebSocket-Version": "8"}).status == 426
            assert server.upgrade("/nowhere").status == 404
            assert server.upgrade("/connect", method="POST").status == 405
        with undisturbed(server, "main"):
            assert_busy(server.upgrade("/connect"))


def test_over_the_tick_budget(serve: Serve) -> None:
    with serve("--tick-budget", "0.000001") as server, undisturbed(server, "main") as bystander:
        for _ in range(3):
            bystander.next_tick()
        answer = server.upgrade("/connect")
        assert_busy(answer)
        assert server.stats()["refused"] == {"503": 1}


@pytest.mark.differs("condition", "thread", "process")
def test_the_tick_budget_is_asked_again_when_somebody_enters(serve: Serve) -> None:
    with serve("--tick-budget", "0.000001") as server:
        seated = server.connect("main")  # before there is a tick
        with undisturbed(server, "main") as bystander:
            for _ in range(3):
                bystander.next_tick()
            seated.send(["new_player", "late"])
            assert seated.receive_commands() == [["error", "the server is busy: its ticks take too long"]]
            assert seated.expect_close() == 1013
            stats = server.stats()
            assert (stats["busy_closed"], stats["closed"], stats["slow_closed"]) == (1, {"1013": 1}, 0)


def assert_busy(answer: Response) -> None:
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.body


def assert_room_for_one(server: RunningServer, target: str) -> None:
    wait_until(lambda: server.upgrade(target).status == 101)
    wait_until(lambda: server.upgrade(target).status == 101)  # the seat of the first one came back


# Time


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"G",
        b"GET /conn",
        b"GET /connect HTTP/1.1\r\n",
        b"GET /connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso",
    ],
)
def test_half_a_handshake_is_closed(hasty_server: RunningServer, room: str, begun: bytes) -> None:
    with undisturbed(hasty_server, room):
        wires = [Wire(hasty_server.dial()) for _ in range(5)]
        for wire in wires:
            wire.send_raw(begun)
        for wire in wires:
            wire.read_to_eof()  # within its time-out
        assert hasty_server.stats()["connections"] == 1


def test_a_dribbled_handshake_is_closed(hasty_server: RunningServer, room: str) -> None:
    with undisturbed(hasty_server, room):
        wire = Wire(hasty_server.dial())
        wire.send_raw(b"GET /connect HTTP/1.1\r\nX: ")
        assert_closed_while_dribbling(wire)


def test_a_dribbled_second_request_is_closed(hasty_server: RunningServer, room: str) -> None:
    with undisturbed(hasty_server, room):
        wire = Wire(hasty_server.dial())
        wire.send_raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.read_response().status == 200
        wire.send_raw(b"GET /healthz HTTP/1.1\r\nX: ")
        assert_closed_while_dribbling(wire)


def assert_closed_while_dribbling(wire: Wire) -> None:
    """Send a byte now and then until the server hangs up: that no byte is late must not help."""
    wire.sock.settimeout(0.1)
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        try:
            wire.send_raw(b"x")
            assert wire.sock.recv(4096) != b"", "hung up"
        except TimeoutError:
            continue
        except (ConnectionError, AssertionError):
            return
    raise AssertionError("half a handshake went on for ever")


def test_new_player_must_come_in_time(hasty_server: RunningServer, room: str) -> None:
    with undisturbed(hasty_server, room):
        silent, pinging, chatting, in_time = (hasty_server.connect(room) for _ in range(4))
        pinging.send_frame(PING, b"here I am")
        chatting.send_text("37")
        in_time.enter()
        assert chatting.receive_commands()[0][0] == "error"
        assert [late.expect_close() for late in (silent, pinging, chatting)] == [1008] * 3
        in_time.ping()


def test_where_too_many_have_given_no_name_those_who_came_first_make_room(serve: Serve) -> None:
    with serve("--max-unnamed", "2") as server, undisturbed(server, "main"):
        seated = [server.connect("main") for _ in range(5)]
        wait_until(lambda: server.stats()["busy_closed"] == 3)
        assert [client.read_to_eof() for client in seated[:3]] == [b""] * 3, "they are aborted, not closed"
        for client in seated[3:]:
            client.enter()
        assert server.stats()["closed"] == {}


def test_a_server_that_was_held_up_has_them_make_room_a_second_later(serve: Serve) -> None:
    """They are counted and ended as ever, not closed as if they had had all the time that there is."""
    with serve("--max-unnamed", "2") as server, undisturbed(server, "main"):
        seated = [server.connect("main") for _ in range(5)]
        server.signal(signal.SIGSTOP)
        time.sleep(0.5)
        server.signal(signal.SIGCONT)
        wait_until(lambda: server.stats()["busy_closed"] == 3)
        assert [client.read_to_eof() for client in seated[:3]] == [b""] * 3
        for client in seated[3:]:
            client.enter()
        assert server.stats()["closed"] == {}


def test_a_message_that_never_ends_puts_nothing_off(serve: Serve, arm: Arm) -> None:
    """Neither byte by byte nor by empty fragments."""
    with serve("--new-player-limit", "1") as server, undisturbed(server, "main"):
        trickler, flooder = server.connect("main"), server.connect("main")
        trickler.send_raw(client_frame(TEXT, b"x" * 1000)[:10])
        flooder.send_raw(client_frame(TEXT, b"x", fin=False))
        closed: set[str] = set()

        def both_are_closed() -> bool:
            for name, client, more in (
                ("trickler", trickler, b"x"),
                ("flooder", flooder, client_frame(CONTINUATION, fin=False) * 20),
            ):
                try:
                    client.send_raw(more)
                except OSError:
                    closed.add(name)
            return len(closed) == 2

        wait_until(both_are_closed)
        codes = server.stats()["closed"]
        assert codes == {"1008": 2}, arm


def test_the_time_between_requests_is_apart_from_that_of_a_request(serve: Serve) -> None:
    with serve("--handshake-limit", "0.5", "--keep-alive", "60") as server, undisturbed(server, "main"):
        idle, slow, late = (server.keep_alive() for _ in range(3))
        for player in (idle, slow, late):
            assert player.upgrade("/healthz", {}).status == 200
        slow.send_raw(b"GET /healthz")
        late.send_raw(b"\r\n")
        for player in (slow, late):
            assert player.read_to_eof() == b"", "the time of a request counts from its first byte"
        assert idle.upgrade("/healthz", {}).status == 200, "and who has asked for nothing may still ask"
    with serve("--handshake-limit", "60", "--keep-alive", "1") as server, undisturbed(server, "main"):
        new, idle, slow = (server.keep_alive() for _ in range(3))
        for player in (idle, slow):
            assert player.upgrade("/healthz", {}).status == 200
        slow.send_raw(b"GET /healthz HTTP/1.1\r\n")
        assert idle.read_to_eof() == b""
        for player in (slow, new):
            player.send_raw(b"Host: localhost\r\n\r\n" if player is slow else plain())
            assert player.read_response().status == 200


def test_echo_takes_no_room(serve: Serve) -> None:
    with serve("--max-rooms", "1", "--echo") as server:
        server.echo()
        server.enter("other")
        server.echo()
        assert [room["name"] for room in server.stats()["rooms"]] == ["other"]


@pytest.mark.framework
def test_an_answer_that_nobody_reads_is_given_up(serve: Serve) -> None:
    with serve("--handshake-limit", "0.5") as server, undisturbed(server, "main"):
        fds = server.stats()["process"]["fds"]
        sock = server.dial(receive_buffer_bytes=4096)
        sock.setblocking(False)  # noqa: FBT003 # socket takes it by position
        with suppress(BlockingIOError):
            for _ in range(3000):
                sock.send(b"GET /client.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: server.stats()["process"]["fds"] <= fds)
