"""Rooms: worlds of their own, that stand still while nobody is in them and are disposed of in the end."""

import math
from itertools import pairwise

import pytest

from tests.conftest import Serve, Share
from tests.support.bystander import assert_every_tick_came
from tests.support.server import RunningServer, wait_until

PERIOD_US = 20_000
"""Of the shared servers."""
SLOW_PERIOD_US = 50_000
"""Of one that has fewer steps in which something may happen in between."""


def test_worlds_are_separate(server: RunningServer, room: str) -> None:
    here, there = server.enter(f"{room}-a", "here"), server.enter(f"{room}-b", "there")
    here.join()
    for _ in range(5):
        assert there.next_tick().commands == []
    assert not there.board.cells
    there.join()
    for _ in range(5):
        here.next_tick()
    assert there.player_id not in {command[1] for tick in here.ticks for command in tick.named("p_joined")[1:]}
    assert [name for name, _ in here.board.alive.values()] in (["here"], [])


def test_player_ids_count_in_each_room(server: RunningServer, room: str) -> None:
    ids = [server.enter(f"{room}-{name}").player_id for name in "aabbab"]
    assert ids == [1, 2, 1, 2, 3, 3]


def test_n_and_t0_go_on(server: RunningServer, room: str) -> None:
    ticks = []
    for _ in range(3):
        player = server.enter(room)
        ticks += [player.next_tick() for _ in range(3)]
        player.hang_up()
        wait_until(lambda: room_members(server, room) == 0)
    assert len({t0_us(tick.n, tick.due_us) for tick in ticks}) == 1
    assert all(later.n > earlier.n for earlier, later in pairwise(ticks))


def test_a_room_that_is_left_stands_still(share: Share, room: str) -> None:
    # Where the machine is busy, a quick snake is at the border before the server has seen its player go, and a step
    # that was begun meanwhile takes it out of the field.
    server = share("--tick-rate", "20", "--tick-budget", "0", "--speed", "0.1")
    player = server.enter(room)
    player.join()
    player.hang_up()
    wait_until(lambda: room_members(server, room) == 0)
    clock = server.enter(f"{room}-clock")
    left = server.room_stats(room)
    assert left is not None
    # By what it said: the next tick of the clock that is read may have come long before.
    clock.until_due(left["t0_us"] + (left["n"] + 10) * SLOW_PERIOD_US)
    still = server.room_stats(room)
    assert still is not None
    assert still["ticks"] == left["ticks"]
    again = server.enter(room)
    tick = again.next_tick()
    assert t0_us(tick.n, tick.due_us, SLOW_PERIOD_US) == left["t0_us"]
    assert tick.due_us >= clock.ticks[-1].due_us, "due times in between are no ticks"
    assert tick.n >= left["n"] + 9
    assert again.player_id == player.player_id + 1
    # Its world as well: the leaver's snake dies at the next step.
    assert again.welcome[-1][:2] == ["p_joined", player.player_id]
    assert tick.named("p_gameover") == [["p_gameover", player.player_id]]


def test_one_who_stays_misses_nothing_when_others_come_and_go(server: RunningServer, room: str) -> None:
    stays = server.enter(room)
    for _ in range(10):
        visitor = server.enter(room)
        visitor.join()
        visitor.hang_up()
        server.connect(room).hang_up()
    stays.ping()
    assert_every_tick_came(stays, server, room)


def test_rooms_tick_out_of_phase(hasty_server: RunningServer, room: str) -> None:
    phases = []
    for number in range(5):
        tick = hasty_server.enter(f"{room}-{number}").next_tick()
        phases.append(t0_us(tick.n, tick.due_us) % PERIOD_US / PERIOD_US)
    golden_ratio = (math.sqrt(5) - 1) / 2
    for k, phase in enumerate(phases):
        apart = (phase - phases[0] - k * golden_ratio) % 1
        assert min(apart, 1 - apart) < 0.001


def test_an_empty_room_is_disposed_of(hasty_server: RunningServer, room: str) -> None:
    player = hasty_server.enter(room)
    player.join()
    player.hang_up()
    wait_until(lambda: hasty_server.room_stats(room) is None)
    again = hasty_server.enter(room)
    assert again.player_id == 1
    assert [command[0] for command in again.welcome] == ["handshake", "world", "top_scores"]
    assert not again.board.cells
    assert again.next_tick().n < 5


@pytest.mark.differs("process")
def test_a_room_with_somebody_in_it_is_kept(hasty_server: RunningServer, room: str) -> None:
    first, second = hasty_server.enter(room), hasty_server.enter(room)
    first.hang_up()
    second.until_due(second.next_tick().due_us + 1_000_000)
    assert hasty_server.enter(room).player_id == 3


def room_members(server: RunningServer, room: str) -> int:
    stats = server.room_stats(room)
    assert stats is not None
    return int(stats["members"])


def t0_us(n: int, due_us: int, period_us: int = PERIOD_US) -> int:
    return due_us - n * period_us


def test_who_comes_while_empty_rooms_are_cleared_away_gets_ticks(serve: Serve) -> None:
    with serve("--room-linger", "0.05", "--tick-budget", "0") as server:
        names = [f"room-{number}" for number in range(60)]
        for name in names:
            server.enter(name)
        server.hang_up()
        wait_until(lambda: len(server.stats()["rooms"]) < len(names))
        players = [server.enter(name) for name in names]  # while the others are still being cleared away
        for player in players:
            player.next_tick()
        assert len(server.stats()["rooms"]) == len(names)


@pytest.mark.differs("always-on", "thread", "process")
def test_rooms_that_nobody_entered_are_gone_with_their_last_seat(serve: Serve) -> None:
    """However long empty rooms stay: whoever opens them and goes keeps nobody out, nor their loops running."""
    with serve("--max-rooms", "4", "--tick-budget", "0") as server:
        server.enter("kept").hang_up()
        for number in range(12):
            visitor = server.connect(f"squat-{number}")
            visitor.hang_up()
            wait_until(lambda: server.stats()["connections"] == 0)
        wait_until(lambda: [room["name"] for room in server.stats()["rooms"]] == ["kept"])
        server.enter("kept").next_tick()


@pytest.mark.differs("always-on", "thread", "process")
def test_rooms_that_are_empty_give_way_to_new_ones(serve: Serve) -> None:
    with serve("--max-rooms", "3", "--tick-budget", "0") as server:
        for number in range(8):
            player = server.enter(f"room-{number}")
            player.next_tick()
            player.hang_up()
            wait_until(lambda: server.stats()["connections"] == 0)
        wait_until(lambda: len(server.stats()["rooms"]) == 3)
        assert [room["name"] for room in server.stats()["rooms"]] == ["room-5", "room-6", "room-7"]
        players = [server.enter(f"held-{number}") for number in range(3)]
        assert server.upgrade("/connect?room=one-more").status == 503
        wait_until(lambda: len(server.stats()["rooms"]) == 3)
        for player in players:
            player.next_tick()
