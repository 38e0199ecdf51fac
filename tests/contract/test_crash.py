"""A fault of our own in one room ends that room, is told once, and nothing else notices."""

import random
import time

import pytest

from tests.conftest import FULL_SIZE, Serve, Share
from tests.support.bystander import undisturbed
from tests.support.server import RunningServer, wait_until


@pytest.fixture
def faulty_server(share: Share) -> RunningServer:
    return share("--tick-rate", "50", "--tick-budget", "0", faulty=True, logs=True)


TIMES = 50 if FULL_SIZE else 3


def crash(server: RunningServer, *, members: int = 3, after_s: float = 0) -> None:
    """Have the room ``crash`` crash, and check that everybody in it is told."""
    players = [server.enter("crash", f"player {number}") for number in range(members)]
    time.sleep(after_s)
    players[1].send(["join"])
    assert [player.expect_close() for player in players] == [1011] * members


@pytest.mark.framework
def test_one_room_crashes_and_the_others_go_on(faulty_server: RunningServer, room: str) -> None:
    before, tracebacks = faulty_server.stats(), faulty_server.log.count("Traceback")
    with undisturbed(faulty_server, room) as bystander, undisturbed(faulty_server, f"{room}-other"):
        bystander.join()
        crash(faulty_server)
        for _ in range(10):
            bystander.next_tick()
        wait_until(lambda: faulty_server.stats()["connections"] == 2)
        stats = faulty_server.stats()
        assert faulty_server.room_stats("crash") is None
        assert stats["crashed_rooms"] == before["crashed_rooms"] + 1
        assert stats["closed"]["1011"] == before["closed"].get("1011", 0) + 3
    assert faulty_server.log.count("Traceback") == tracebacks + 1
    assert faulty_server.log.count("RuntimeError: a planted fault") == tracebacks + 1


def test_the_room_can_be_opened_again(faulty_server: RunningServer, room: str) -> None:
    chance = random.Random(5)
    tracebacks = faulty_server.log.count("Traceback")
    with undisturbed(faulty_server, room):
        before = faulty_server.held()
        for times in range(1, TIMES + 1):
            crash(faulty_server, after_s=chance.uniform(0, 0.02))
            wait_until(lambda: faulty_server.room_stats("crash") is None)
            assert faulty_server.log.count("Traceback") == tracebacks + times
        wait_until(lambda: faulty_server.held().is_within(before))
        with undisturbed(faulty_server, "crash") as again:
            assert again.player_id == 1
            assert not again.board.cells


def test_a_welcome_that_fails_ends_its_room(faulty_server: RunningServer, room: str) -> None:
    tracebacks = faulty_server.log.count("Traceback")
    with undisturbed(faulty_server, room):
        before = faulty_server.held()
        for times in range(1, TIMES + 1):
            players = [faulty_server.connect("rude") for _ in range(2)]
            players[0].send(["new_player", "guest"])
            assert [player.expect_close() for player in players] == [1011] * 2
            wait_until(lambda: faulty_server.room_stats("rude") is None)
            assert faulty_server.log.count("Traceback") == tracebacks + times
        wait_until(lambda: faulty_server.held().is_within(before))


@pytest.mark.framework
def test_one_at_the_door_of_a_crashed_room_is_not_left_standing(faulty_server: RunningServer) -> None:
    stranger = faulty_server.connect("crash")
    crash(faulty_server)
    assert stranger.expect_close() == 1011


@pytest.mark.framework
def test_a_stop_right_after_a_crash(serve: Serve) -> None:
    with serve(faulty=True, logs=True) as server:
        players = [server.enter("crash") for _ in range(3)]
        players[0].send(["join"])
        wait_until(lambda: "Traceback" in server.log)
        server.stop()
        lines = server.log.splitlines()
    assert "crash" in lines[0]
    assert lines.count("Traceback (most recent call last):") == 1
    assert lines[-1] == "RuntimeError: a planted fault"
