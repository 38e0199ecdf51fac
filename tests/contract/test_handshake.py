"""How one comes into a room, and what everybody in it gets with each tick."""

import json
import time
from fractions import Fraction
from itertools import pairwise

import pytest

from tests.conftest import Serve
from tests.support.bystander import assert_every_tick_came
from tests.support.player import Board
from tests.support.server import RunningServer

pytestmark = pytest.mark.differs("thread", "process")


def test_the_welcome_is_one_frame_in_order(server: RunningServer, room: str) -> None:
    player = server.enter(room, "Ada")
    handshake, world, top_scores = player.welcome
    assert handshake == ["handshake", "Ada", player.player_id]
    assert world[0] == "world"
    assert [len(row) for row in world[1]] == [50] * 25
    assert all(cell == [" ", 0] for row in world[1] for cell in row)
    assert top_scores == ["top_scores", []]


def test_the_welcome_names_each_living_player(server: RunningServer, room: str) -> None:
    """In the order in which they joined, with their scores, and nobody who looks on."""
    first, second = server.enter(room, "Ada"), server.enter(room, "Bob")
    server.enter(room, "onlooker")
    first.join()
    second.join()
    newcomer = server.enter(room, "newcomer")
    joined = newcomer.welcome[3:]
    assert [command[0] for command in newcomer.welcome] == ["handshake", "world", "top_scores"] + ["p_joined"] * len(
        joined
    )
    board, entry = Board(), newcomer.next_tick()
    first.until(lambda tick: tick.n >= entry.n)
    for commands in (first.welcome, *(tick.commands for tick in first.ticks if tick.n < entry.n)):
        board.apply(commands)
    assert [command[1:] for command in joined] == [
        [player_id, *shown, board.scores[player_id]] for player_id, shown in board.alive.items()
    ]


def test_who_erred_before_new_player_enters_and_misses_nothing(server: RunningServer, room: str) -> None:
    stranger = server.connect(room)
    stranger.send(["join"])
    assert [command[0] for command in stranger.receive_commands()] == ["error"]
    stranger.enter()
    for _ in range(3):
        stranger.next_tick()
    assert_every_tick_came(stranger, server, room)


def test_a_tick_frame_is_nothing_but_the_tick_where_nothing_changed(server: RunningServer, room: str) -> None:
    onlooker = server.enter(room)
    for _ in range(5):
        tick = onlooker.next_tick()
        assert tick.text == f'[["tick",{tick.n},{tick.due_us},{tick.sent_us}]]'


@pytest.mark.differs("thread")
@pytest.mark.parametrize("rate", ["20", "0.8", "59.94"])
def test_ticks_come_at_every_due_time(serve: Serve, rate: str) -> None:
    with serve("--tick-rate", rate, "--tick-budget", "0") as server:
        player = server.enter("main")
        count = max(2, int(float(rate)))
        ticks = [player.next_tick() for _ in range(count)]
        (stats,) = server.stats()["rooms"]
    # As the protocol has it: t0_us + n * 1_000_000 // tick_rate_hz.
    assert {tick.due_us - tick.n * 1_000_000 // Fraction(rate) for tick in ticks} == {stats["t0_us"]}
    assert all(tick.sent_us >= tick.due_us for tick in ticks)
    assert ticks[-1].n - ticks[0].n + 1 - count <= stats["skipped_ticks"]
    assert all(later.n > earlier.n for earlier, later in pairwise(ticks))


def test_times_are_the_monotonic_clock_plus_an_offset(server: RunningServer, room: str) -> None:
    stats = server.stats()

    def now_us() -> int:
        return time.monotonic_ns() // 1000 + int(stats["clock_offset_us"])

    before_us = now_us()
    player = server.enter(room)
    tick = player.next_tick()
    player.send(["ping", 1])
    server_us = player.next_personal()[0][2]
    after_us = now_us()
    assert before_us - 1 <= tick.sent_us <= after_us + 1  # both are rounded down
    assert before_us - 1 <= server_us <= after_us + 1


def test_an_onlooker_sees_all(server: RunningServer, room: str) -> None:
    player, onlooker = server.enter(room), server.enter(room)
    player.join()
    player.until(lambda tick: tick.named("p_gameover"))
    onlooker.until(lambda tick: tick.n >= player.ticks[-1].n)
    seen = {tick.n: tick for tick in onlooker.ticks}
    both = [tick for tick in player.ticks if tick.n in seen]
    assert [seen[tick.n] for tick in both] == both
    assert onlooker.board == player.board
    names = {command[0] for tick in both for command in tick.commands}
    assert names >= {"p_joined", "render", "p_gameover", "top_scores"}


def test_frames_are_json_without_white_space_and_needless_escapes(server: RunningServer, room: str) -> None:
    player = server.connect(room)
    player.send(["new_player", "Zo\u00eb /\U0001f40d"])
    player.send(["join"])
    for _ in range(10):
        text = player.receive_text()
        assert json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) == text
