import sys
from pathlib import Path

import pytest

from shared import bench
from shared.bench import CountingSocket, OurGame, steer
from shared.measure.blocks import RulesBlock
from tests.shared.game.scripted import DOWN, UP

SETTINGS = "FIELD_SIZE_X = FIELD_SIZE_Y = MAX_PLAYERS = 0\n"
GAME = '''
"""As much of snakepit's game as the bench touches: one cell long snakes that go round in circles."""
import settings
from collections import namedtuple

Char = namedtuple("Char", "char color")

class Player:
    def __init__(self, ws):
        self.ws, self.alive, self.snake, self.direction, self.keys = ws, False, [], (1, 0), []
    def keypress(self, key):
        self.keys.append(key)

class Game:
    def __init__(self):
        self.players, self.resets = [], 0
    def reset_world(self):
        self._world = [[Char(" ", 0)] * settings.FIELD_SIZE_X for _ in range(settings.FIELD_SIZE_Y)]
    def new_player(self, name, ws):
        self.players.append(Player(ws))
        return self.players[-1]
    def count_alive_players(self):
        return sum(player.alive for player in self.players)
    def join(self, player):
        player.alive, player.snake = True, [(5, 5)]
    def next_frame(self):
        for player in self.players:
            x, y = player.snake[0]
            player.snake = [((x + 1) % settings.FIELD_SIZE_X, y)]
            player.ws.send_str("[]")
'''


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Play games of few steps, in a folder of their own, and forget what was imported from there."""
    monkeypatch.setattr(bench, "GAMES_A_BLOCK", 2)
    monkeypatch.setattr(bench, "STEPS_A_GAME", 8)
    monkeypatch.setattr(bench, "PLAYERS", (10,))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    for name in ("game", "settings"):
        monkeypatch.setitem(sys.modules, name, None)  # so that what is imported instead is taken out again
        del sys.modules[name]


def test_a_player_turns_only_when_the_next_cell_is_deadly() -> None:
    assert steer((5, 5), (1, 0), lambda _x, _y: True) is None
    assert steer((5, 5), (1, 0), lambda x, _: x != 6) == UP
    assert steer((5, 5), (1, 0), lambda x, y: x != 6 and y != 4) == DOWN
    assert steer((5, 5), (1, 0), lambda _x, _y: False) is None


def test_our_game_tells_every_socket_the_same_and_counts_the_living() -> None:
    game = OurGame(10, seed=1)
    block = game.play(20)
    assert {(socket.frames, socket.characters) for socket in game.sockets} == {(20, block.characters)}
    assert 150 < block.snake_steps <= 200, "with this steering nearly all of the ten live on"
    again = game.play(5)
    assert again.characters < block.characters
    assert game.sockets[0].frames == 25


def test_time_is_counted_a_living_snake_and_step() -> None:
    assert RulesBlock(elapsed_ns=3_000_000, snake_steps=300, characters=0).us_per_snake == 10


def test_a_socket_counts() -> None:
    socket = CountingSocket()
    socket.send_str("[1]")
    socket.send_str("[]")
    assert (socket.frames, socket.characters) == (2, 5)


@pytest.mark.usefixtures("_short")
def test_each_repeat_is_a_block(tmp_path: Path) -> None:
    report = bench.bench(3, None)
    assert {name: len(blocks) for name, blocks in report.rules["10"].items()} == {"tickbench": 3}
    assert Path.cwd() == tmp_path


@pytest.mark.usefixtures("_short")
def test_snakepit_is_measured_beside_where_it_is_at_hand(tmp_path: Path) -> None:
    checkout = tmp_path / "snakepit"
    checkout.mkdir()
    (checkout / "settings.py").write_text(SETTINGS)
    (checkout / "game.py").write_text(GAME)
    (snakepit, *_) = bench.bench(2, Path("snakepit")).rules["10"]["snakepit"]
    assert snakepit.snake_steps == 10 * 2 * 8
    assert snakepit.characters == 2 * 2 * 8
