"""Somebody in a room, as a page would be: it keeps every tick frame that came and the board that they make."""

import itertools
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.client import PATIENCE_S, Client, Commands, decode_commands

Cell = tuple[int, int]

LEFT, UP, RIGHT, DOWN = 37, 38, 39, 40

STEPS: dict[int, Cell] = {LEFT: (-1, 0), UP: (0, -1), RIGHT: (1, 0), DOWN: (0, 1)}

_ping_numbers = itertools.count(1000)


class TickFrame(NamedTuple):
    """One tick frame; ``commands`` without the tick command."""

    n: int
    due_us: int
    sent_us: int
    commands: Commands
    text: str

    def named(self, name: str) -> Commands:
        """Return the commands of that name."""
        return [command for command in self.commands if command[0] == name]


@dataclass
class Board:
    """What a client draws."""

    cells: dict[Cell, tuple[str, int]] = field(default_factory=dict)  # what is not here is empty
    width: int = 0
    height: int = 0
    alive: dict[int, tuple[str, int]] = field(default_factory=dict)  # player id to name and color
    scores: dict[int, int] = field(default_factory=dict)
    top_scores: list[list[Any]] = field(default_factory=list)

    def apply(self, commands: Commands) -> None:
        """Draw what the commands say."""
        for name, *arguments in commands:
            method = getattr(self, f"_{name}", None)
            if method:
                method(*arguments)

    def find(self, *chars: str) -> list[Cell]:
        """Return the cells that show one of ``chars``."""
        return [cell for cell, (char, _) in self.cells.items() if char in chars]

    def row_text(self, y: int) -> str:
        """Return a row as it is read."""
        return "".join(self.cells.get((x, y), (" ", 0))[0] for x in range(self.width))

    def is_open(self, cell: Cell) -> bool:
        """Whether a head may enter."""
        inside = 0 <= cell[0] < self.width and 0 <= cell[1] < self.height
        return inside and self.cells.get(cell, (" ", 0))[0] in " 123456789"

    # Commands

    def _world(self, rows: list[list[list[Any]]]) -> None:
        self.height, self.width = len(rows), len(rows[0])
        cells = {(x, y): (char, color) for y, row in enumerate(rows) for x, (char, color) in enumerate(row)}
        self.cells = {cell: shown for cell, shown in cells.items() if shown[0] != " "}

    def _reset_world(self) -> None:
        self.cells.clear()

    def _render(self, x: int, y: int, char: str, color: int) -> None:
        if char == " ":
            self.cells.pop((x, y), None)
        else:
            self.cells[x, y] = (char, color)

    def _p_joined(self, player_id: int, name: str, color: int, score: int) -> None:
        self.alive[player_id] = (name, color)
        self.scores[player_id] = score

    def _p_score(self, player_id: int, score: int) -> None:
        self.scores[player_id] = score

    def _p_gameover(self, player_id: int) -> None:
        del self.alive[player_id]

    def _top_scores(self, rows: list[list[Any]]) -> None:
        self.top_scores = rows


class Player(Client):
    """A client that has entered, or is about to enter, a room."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.player_id = 0
        self.welcome: Commands = []
        self.ticks: list[TickFrame] = []
        self.catch_ups: list[Commands] = []  # what it was told after ticks that were skipped for it
        self.board = Board()

    def enter(self, name: str = "player") -> None:
        """Say who it is and take in the welcome, which is the next message."""
        self.send(["new_player", name])
        self.welcome = self.receive_commands()
        assert self.welcome[0][0] == "handshake", self.welcome
        self.player_id = self.welcome[0][2]
        self.board.apply(self.welcome)

    def receive_in_room(self) -> TickFrame | Commands:
        """Return the next message: a tick frame, which is taken in, or one for this connection alone; no catch-up."""
        text = self.receive_text()
        commands = decode_commands(text)
        while commands[0][0] == "world":
            self.catch_ups.append(commands)
            self.board.apply(commands)
            text = self.receive_text()
            commands = decode_commands(text)
        if commands[0][0] != "tick":
            return commands
        _, n, due_us, sent_us = commands[0]
        tick = TickFrame(n, due_us, sent_us, commands[1:], text)
        self.ticks.append(tick)
        self.board.apply(tick.commands)
        return tick

    def next_tick(self) -> TickFrame:
        """Return the next tick frame; nothing personal may come before it."""
        tick = self.receive_in_room()
        assert isinstance(tick, TickFrame), f"unexpected: {tick}"
        return tick

    def next_personal(self) -> Commands:
        """Return the next message for this connection alone."""
        while isinstance(message := self.receive_in_room(), TickFrame):
            pass
        return message

    def until(self, condition: Callable[[TickFrame], object]) -> TickFrame:
        """Return the first tick frame from now on that fulfils ``condition``, within a bounded number of them."""
        first = tick = self.next_tick()
        while not condition(tick):
            assert tick.due_us - first.due_us < 2 * PATIENCE_S * 1_000_000, "it never came"
            tick = self.next_tick()
        return tick

    def until_due(self, time_us: int) -> TickFrame:
        """Return the first tick frame due at that time or later."""
        return self.until(lambda tick: tick.due_us >= time_us)

    def ping(self) -> bool:
        """Wait until all that was sent so far is taken; return whether that was before the next tick."""
        number, ticks = next(_ping_numbers), len(self.ticks)
        self.send(["ping", number])
        pong = self.next_personal()
        assert pong[0][:2] == ["pong", number], pong
        return len(self.ticks) == ticks

    def join(self) -> TickFrame:
        """Put the snake in the field; return the tick frame that shows its birth."""
        self.send(["join"])
        return self.until(lambda tick: [born for born in tick.named("p_joined") if born[1] == self.player_id])

    @property
    def head(self) -> Cell:
        """Where the head of the only snake in the room is."""
        (head,) = self.board.find("%")
        return head

    @property
    def is_alive(self) -> bool:
        return self.player_id in self.board.alive


def longest_silence_s(player: Player) -> float:
    """Return the longest time between two ticks that came, by when they were due."""
    return max(after.due_us - before.due_us for before, after in itertools.pairwise(player.ticks)) / 1_000_000


def moved(cell: Cell, key: int, steps: int = 1) -> Cell:
    """Return the cell that lies ``steps`` further that way."""
    dx, dy = STEPS[key]
    return cell[0] + dx * steps, cell[1] + dy * steps


def heading(tick: TickFrame) -> int:
    """Return the key of the direction that the snake born in ``tick`` has."""
    head, neck = (next(tuple(c[1:3]) for c in tick.named("render") if c[3] == char) for char in "%@")
    return next(key for key in STEPS if moved(neck, key) == head)
