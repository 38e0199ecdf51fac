"""
Measures what the rules cost: the time of one step and its encoding for each living snake, at 10 and at 100 players.

Given a checkout of 7WebPages/snakepit-game, it measures snakepit's own ``next_frame`` in turns with ours. Both play
with the same steering on the same field, and sockets are replaced by counters. Only ratios of one run mean something:
the times are those of this machine in this minute.

``python -m shared.bench FILE REPEATS [CHECKOUT]`` writes a :class:`RulesReport`; ``tickbench bench rules`` shows it.
"""

import contextlib
import importlib
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from shared.game.commands import Command, Join, Turn
from shared.game.snake import KEYS, Direction, Position
from shared.game.world import DIGITS, Rules, World
from shared.measure.blocks import RulesBlock, RulesReport
from shared.wire.messages import Tick, encode_commands, join_arrays

PLAYERS = (10, 100)
WIDTH, HEIGHT_PER_TEN = 50, 25
GAMES_A_BLOCK = 10
STEPS_A_GAME = 100
"""Few enough that the field is still empty: later, snakepit places snakes on top of what lies there, and we don't."""


class CountingSocket:
    """Counts what is sent to it, in place of a connection."""

    def __init__(self) -> None:
        self.frames = 0
        self.characters = 0

    def send_str(self, text: str) -> None:
        """Count a message."""
        self.frames += 1
        self.characters += len(text)


def steer(head: Position, direction: Direction, is_open: Callable[[int, int], bool]) -> int | None:
    """Return the key of a player who turns only when the next cell is deadly: the same for both games."""
    x, y = head
    dx, dy = direction
    if is_open(x + dx, y + dy):
        return None
    for turn in ((dy, -dx), (-dy, dx)):
        if is_open(x + turn[0], y + turn[1]):
            return KEYS[turn]
    return None


class OurGame:
    """Our world with ``players`` who join again whenever they have died."""

    def __init__(self, players: int, seed: int) -> None:
        self.rules = Rules(WIDTH, HEIGHT_PER_TEN * players // 10, players)
        self.world = World(self.rules, random.Random(seed))  # noqa: S311 # a game
        self.players = players
        self.sockets = [CountingSocket() for _ in range(players)]
        self.n = 0

    def commands(self) -> list[Command]:
        """Decide what every player does next."""
        commands: list[Command] = []
        for player_id in range(1, self.players + 1):
            snake = self.world.snakes.get(player_id)
            if snake is None:
                commands.append(Join(player_id, f"player {player_id}"))
            elif snake.born and (key := steer(snake.body[0], snake.direction, self._is_open)):
                commands.append(Turn(player_id, key))
        return commands

    def play(self, steps: int) -> RulesBlock:
        """Play so many steps, and time the rules and the encoding."""
        elapsed_ns = snake_steps = 0
        sockets, clock = self.sockets, time.perf_counter_ns
        before = sockets[0].characters
        for _ in range(steps):
            commands = self.commands()
            began_ns = clock()
            step = self.world.step(commands)
            self.n += 1
            frame = join_arrays(encode_commands([Tick(self.n, began_ns, began_ns)]), encode_commands(step.changes))
            text = frame.decode()
            for socket in sockets:
                socket.send_str(text)
            elapsed_ns += clock() - began_ns
            snake_steps += self.world.living
        return RulesBlock(elapsed_ns, snake_steps, sockets[0].characters - before)

    def _is_open(self, x: int, y: int) -> bool:
        if not (0 <= x < self.rules.width and 0 <= y < self.rules.height):
            return False
        cell = self.world.cells.get((x, y))
        return cell is None or cell.char in DIGITS


class Snakepit:
    """Snakepit's own game, from its checkout, with the same players. Its settings are global."""

    def __init__(self, players: int, seed: int) -> None:
        self.settings: Any = importlib.import_module("settings")
        height = HEIGHT_PER_TEN * players // 10
        vars(self.settings).update(FIELD_SIZE_X=WIDTH, FIELD_SIZE_Y=height, MAX_PLAYERS=players)
        random.seed(seed)
        self.game: Any = importlib.import_module("game").Game()
        self.sockets = [CountingSocket() for _ in range(players)]
        self.seats = [self.game.new_player(f"player {i}", socket) for i, socket in enumerate(self.sockets, 1)]

    def steer(self) -> None:
        """Let every player do what it does next."""
        if not self.game.count_alive_players():
            self.game.reset_world()
        for player in self.seats:
            if not player.alive:
                self.game.join(player)
            elif player.snake and (key := steer(tuple(player.snake[0]), tuple(player.direction), self._is_open)):
                player.keypress(key)

    def play(self, steps: int) -> RulesBlock:
        """Play so many steps, and time ``next_frame``."""
        elapsed_ns = snake_steps = 0
        clock, before = time.perf_counter_ns, self.sockets[0].characters
        for _ in range(steps):
            self.steer()
            began_ns = clock()
            self.game.next_frame()
            elapsed_ns += clock() - began_ns
            snake_steps += self.game.count_alive_players()
        return RulesBlock(elapsed_ns, snake_steps, self.sockets[0].characters - before)

    def _is_open(self, x: int, y: int) -> bool:
        if not (0 <= x < self.settings.FIELD_SIZE_X and 0 <= y < self.settings.FIELD_SIZE_Y):
            return False
        char: str = self.game._world[y][x].char  # noqa: SLF001 # there is no public way
        return char == " " or char.isdigit()


def measure(players: int, repeats: int, *, with_snakepit: bool) -> dict[str, list[RulesBlock]]:
    """Play both games in turns, in an order that changes with every repeat; return the blocks by game."""
    games: dict[str, type[OurGame | Snakepit]] = {"tickbench": OurGame}
    if with_snakepit:
        games["snakepit"] = Snakepit
    blocks: dict[str, list[RulesBlock]] = {name: [] for name in games}
    for game in games.values():
        play_block(game, players, 0)  # not counted: it fills caches
    for repeat in range(repeats):
        for name in list(games) if repeat % 2 else reversed(games):
            blocks[name].append(play_block(games[name], players, repeat))
    return blocks


def play_block(kind: type[OurGame | Snakepit], players: int, repeat: int) -> RulesBlock:
    """Play ``GAMES_A_BLOCK`` games from their start; return their sums."""
    seeds = range(repeat * GAMES_A_BLOCK, (repeat + 1) * GAMES_A_BLOCK)
    played = [kind(players, seed).play(STEPS_A_GAME) for seed in seeds]
    return RulesBlock(
        sum(block.elapsed_ns for block in played),
        sum(block.snake_steps for block in played),
        sum(block.characters for block in played),
    )


def bench(repeats: int, snakepit: Path | None) -> RulesReport:
    """Measure what the rules cost, beside those of a checkout of snakepit where one is given."""
    if snakepit:
        sys.path.insert(0, str(snakepit.resolve()))
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
    ):  # snakepit writes its scores where it stands
        blocks = {str(n): measure(n, repeats, with_snakepit=snakepit is not None) for n in PLAYERS}
    return RulesReport(platform.python_version(), blocks)


if __name__ == "__main__":
    file, repeats, *checkout = sys.argv[1:]
    report = bench(int(repeats), Path(checkout[0]) if checkout else None)
    Path(file).write_bytes(msgspec.json.encode(report))
