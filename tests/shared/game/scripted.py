"""Games laid out by hand, in which nothing happens by chance, so that a rule can be shown by itself."""

import random
from collections.abc import Sequence
from typing import Any, TypeVar

from shared.game.changes import CellChanged, Change
from shared.game.commands import Command
from shared.game.snake import DIRECTIONS, Position, Snake
from shared.game.world import PATIENCE, Rules, World

LEFT, UP, RIGHT, DOWN = 37, 38, 39, 40
DIGITS = frozenset("123456789")
SMALLEST = Rules(20, 11)

T = TypeVar("T")


class FixedRandom(random.Random):
    """Draws always the same: ``chance``, the first of a sequence, the least number."""

    def __init__(self, chance: float) -> None:
        super().__init__(0)
        self.chance = chance

    def random(self) -> float:
        return self.chance

    def randint(self, a: int, b: int) -> int:  # noqa: ARG002 # as the base
        return a

    def choice(self, seq: Any) -> Any:
        return seq[0]


class Game:
    """
    A world with the players 1, 2, ... lying at ``snakes`` (tail x, tail y, key), and nothing else in it.

    Nothing appears by chance unless ``chance`` is low; :meth:`put` makes it appear.
    """

    def __init__(self, *snakes: tuple[int, int, int], rules: Rules | None = None, chance: float = 0.99) -> None:
        self.world = World(rules or Rules(), FixedRandom(chance))
        for number, (x, y, key) in enumerate(snakes, 1):
            snake = Snake(number, f"player {number}")
            snake.color = number
            snake.direction = dx, dy = DIRECTIONS[key]
            snake.body.extend((x + dx * i, y + dy * i) for i in (2, 1, 0))
            for place, char in zip(snake.body, "%@*", strict=True):
                self.put(char, *place, color=number)
            self.world.snakes[number] = snake
            self.world.living += 1

    def step(self, *commands: Command) -> list[Change]:
        """Apply one step; return its changes."""
        return self.world.step(commands).changes

    def steps(self, count: int) -> None:
        """Apply some steps without a command."""
        for _ in range(count):
            self.world.step()

    def lose_patience(self) -> None:
        """Have the next step kill whoever has something in its way."""
        for snake in self.world.snakes.values():
            snake.stuck = PATIENCE

    def put(self, text: str, x: int, y: int, color: int = 0) -> None:
        """Put chars into the field, from a cell on to the right."""
        for offset, char in enumerate(text):
            self.world.cells[x + offset, y] = CellChanged(x + offset, y, char, color)

    def clear(self, x: int, y: int, length: int = 1) -> None:
        """Empty some cells in a row."""
        for offset in range(length):
            self.world.cells.pop((x + offset, y), None)

    def fill(self, char: str) -> None:
        """Put a char into every empty cell."""
        for x in range(self.world.rules.width):
            for y in range(self.world.rules.height):
                self.world.cells.setdefault((x, y), CellChanged(x, y, char, 0))

    def shows(self, x: int, y: int, length: int = 1) -> str:
        """Return the chars of some cells in a row."""
        cells = (self.world.cells.get((x + offset, y)) for offset in range(length))
        return "".join(cell.char if cell else " " for cell in cells)

    def snake(self, player_id: int) -> Snake:
        """Return a player's snake; it must live."""
        snake = self.world.snakes[player_id]
        assert snake.born
        return snake


def of_kind(kind: type[T], changes: Sequence[object]) -> list[T]:
    """Return the changes of one kind."""
    return [change for change in changes if isinstance(change, kind)]


def ahead(snake: Snake, key: int | None = None) -> Position:
    """Return the cell that a snake's head enters next, if it turns by ``key``."""
    dx, dy = DIRECTIONS[key] if key else snake.direction
    return snake.body[0][0] + dx, snake.body[0][1] + dy
