"""How one comes into a room, and what everybody in it gets with each tick."""

import json
import time
from fractions import Fraction
from itertools import pairwise

import pytest

from tests.conftest import Serve
from tests.support.bystander import assert_every_tick_came
from tests.support.player import Board, Player, TickFrame
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
    first, second = server.enter(room, "Ada"), server.enter(room, "Bob")
    server.enter(room, "spectator")
    first.join()
    second.join()
    newcomer = server.enter(room, "newcomer")
    names = [command[0] for command in newcomer.welcome]
    joined = [command for command in newcomer.welcome if command[0] == "p_joined"]
    assert names == ["handshake", "world", "top_scores"] + ["p_joined"] * len(joined)
    _, board = boards_at_entry(first, newcomer)
    alive = {player_id: (name, color) for _, player_id, name, color, _ in joined}
    assert list(alive.items()) == list(board.alive.items())
    assert {player_id: score for *_, player_id, _, _, score in joined} == {p: board.scores[p] for p in alive}


def test_the_welcome_is_the_state_after_the_last_tick(server: RunningServer, room: str) -> None:
    player = server.enter(room)
    player.join()
    newcomer = server.enter(room)
    welcome, board = boards_at_entry(player, newcomer)
    assert welcome.cells == board.cells
    assert board.cells


def boards_at_entry(witness: Player, newcomer: Player) -> tuple[Board, Board]:
    """Return the board of a newcomer's welcome, and the one of somebody longer there at that time."""
    welcome, board = Board(), Board()
    welcome.apply(newcomer.welcome)
    first = newcomer.next_tick()
    witness.until(lambda tick: tick.n >= first.n)
    board.apply(witness.welcome)
    for tick in witness.ticks:
        if tick.n < first.n:
            board.apply(tick.commands)
    return welcome, board


def test_nothing_but_errors_before_new_player(server: RunningServer, room: str) -> None:
    member = server.enter(room)
    stranger = server.connect(room)
    for _ in range(5):
        member.next_tick()
    stranger.send(["join"])
    (error,) = stranger.receive_commands()
    assert error[0] == "error"
    stranger.enter()
    for _ in range(3):
        stranger.next_tick()
    assert_every_tick_came(stranger, server, room)


def test_tick_frames_come_when_nothing_changed(server: RunningServer, room: str) -> None:
    spectator = server.enter(room)
    for _ in range(5):
        tick = spectator.next_tick()
        assert tick.text == f'[["tick",{tick.n},{tick.due_us},{tick.sent_us}]]'


@pytest.mark.differs("thread")
@pytest.mark.parametrize("rate", ["20", "0.5", "59.94"])
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


def test_everybody_gets_the_same_bytes(server: RunningServer, room: str) -> None:
    players = [server.enter(room, f"player {number}") for number in range(4)]
    for player in players:
        player.join()
    last = players[-1].ticks[-1].n + 20
    for player in players:
        player.until(lambda tick: tick.n >= last)
    texts: dict[int, set[str]] = {}
    for player in players:
        for tick in player.ticks:
            texts.setdefault(tick.n, set()).add(tick.text)
    assert all(len(same) == 1 for same in texts.values())
    assert sum(len(player.ticks) for player in players) >= 80


def test_a_spectator_sees_all(server: RunningServer, room: str) -> None:
    player, spectator = server.enter(room), server.enter(room)
    player.join()
    player.until(lambda tick: tick.named("p_gameover"))
    spectator.until(lambda tick: tick.n >= player.ticks[-1].n)
    seen = {tick.n: tick for tick in spectator.ticks}
    shared = [tick for tick in player.ticks if tick.n in seen]
    assert all(seen[tick.n] == tick for tick in shared)
    assert spectator.board == player.board
    assert tick_names(shared) >= {"p_joined", "render", "p_gameover", "top_scores"}


def tick_names(ticks: list[TickFrame]) -> set[str]:
    return {command[0] for tick in ticks for command in tick.commands}


def test_frames_are_json_without_white_space(server: RunningServer, room: str) -> None:
    player = server.connect(room)
    player.send(["new_player", "a b"])
    player.send(["join"])
    for _ in range(10):
        text = player.receive_text()
        assert json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) == text
