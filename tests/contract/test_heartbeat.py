"""The server's own pings: who answers stays, who does not is ended and counted."""

from contextlib import suppress

import pytest

from tests.conftest import Share
from tests.support.bystander import undisturbed
from tests.support.client import CLOSE, PING, PONG, Client, Frame
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs("condition")


@pytest.fixture
def pinging_server(share: Share) -> RunningServer:
    return share("--ping-interval", "0.2", "--tick-budget", "0", "--echo")


@pytest.mark.framework
def test_one_who_answers_stays(pinging_server: RunningServer, room: str) -> None:
    player = pinging_server.enter(room)
    player.until_due(player.next_tick().due_us + 1_200_000)  # twice as long as one that does not answer
    player.ping()


@pytest.mark.framework
def test_every_ping_asks_for_an_answer_of_its_own(pinging_server: RunningServer, room: str) -> None:
    player = pinging_server.enter(room)
    pings: list[bytes] = []
    while len(pings) < 4:
        opcode, payload = player.receive_frame()
        if opcode == PING:
            pings.append(payload)
            player.send_frame(PONG, payload)
    assert len(set(pings)) == 4


@pytest.mark.parametrize("stale", [False, True], ids=["silent", "pongs nobody asked for"])
def test_one_who_does_not_answer_is_ended(pinging_server: RunningServer, room: str, *, stale: bool) -> None:
    dead = pinging_server.stats()["dead"]
    with undisturbed(pinging_server, room) as bystander:
        player = pinging_server.enter(room, "dead")
        pings = 0
        while frame := next_frame(player):
            assert frame.opcode != CLOSE, "it is aborted, not closed"
            pings += frame.opcode == PING
            if stale:
                with suppress(OSError):  # it may have been ended just now
                    player.send_frame(PONG, b"not what was sent")
            bystander.ping()
        assert pings == 2
        wait_until(lambda: pinging_server.stats()["dead"] == dead + 1)
        assert pinging_server.stats()["connections"] == 1


def next_frame(client: Client) -> Frame | None:
    """Return the next frame, or None where the connection has ended without one."""
    try:
        return client.receive_frame()
    except (EOFError, ConnectionError):
        return None


@pytest.mark.framework
def test_one_that_vanished_without_a_word_is_ended(pinging_server: RunningServer, room: str) -> None:
    """Nothing is read and nothing is sent: only the clock can tell."""
    dead = pinging_server.stats()["dead"]
    with undisturbed(pinging_server, room) as bystander:
        pinging_server.enter(room, "vanished")

        def is_counted() -> bool:
            bystander.next_tick()
            return bool(pinging_server.stats()["dead"] == dead + 1)

        wait_until(is_counted)


def test_echo_has_heartbeats_too(pinging_server: RunningServer) -> None:
    dead = pinging_server.stats()["dead"]
    client = pinging_server.echo()
    for _ in range(2):
        assert client.receive_frame().opcode == PING
    assert next_frame(client) is None
    wait_until(lambda: pinging_server.stats()["dead"] == dead + 1)
