"""
The field of the game as a client draws it from the server's commands: its cells, and who lives.

Commands that are not well made are left out here; they are reported by checks of their own.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from tickbench.conformance.shapes import ReceivedCommands, is_sound

Cell = tuple[int, int]

LEFT, UP, RIGHT, DOWN = 37, 38, 39, 40
STEPS: dict[int, Cell] = {LEFT: (-1, 0), UP: (0, -1), RIGHT: (1, 0), DOWN: (0, 1)}
"""Key code to direction."""
BACK = {LEFT: RIGHT, RIGHT: LEFT, UP: DOWN, DOWN: UP}
SIDE = {LEFT: DOWN, DOWN: RIGHT, RIGHT: UP, UP: LEFT}

EMPTY = (" ", 0)
HEAD, BODY, TAIL = "%", "@", "*"
EDIBLE = " 123456789"
"""What a head may enter."""


class Living(NamedTuple):
    """A living player, as ``p_joined`` and ``p_score`` tell of it."""

    name: str
    color: int
    score: int


@dataclass
class Field:
    """What one client shows."""

    width: int = 0
    height: int = 0
    cells: dict[Cell, tuple[str, int]] = field(default_factory=dict)
    """A cell that is not here is empty."""
    living: dict[int, Living] = field(default_factory=dict)

    def apply(self, commands: ReceivedCommands) -> None:
        """Draw what the commands say."""
        for command in filter(is_sound, commands):
            match command:
                case ["world", rows]:
                    self.height, self.width = len(rows), max(map(len, rows), default=0)
                    cells = {(x, y): (char, color) for y, row in enumerate(rows) for x, (char, color) in enumerate(row)}
                    self.cells = {cell: shown for cell, shown in cells.items() if shown[0] != " "}
                case ["reset_world"]:
                    self.cells.clear()
                case ["render", x, y, " ", _]:
                    self.cells.pop((x, y), None)
                case ["render", x, y, char, color]:
                    self.cells[x, y] = (char, color)
                case ["p_joined", player_id, name, color, score]:
                    self.living[player_id] = Living(name, color, score)
                case ["p_score", player_id, score] if player_id in self.living:
                    self.living[player_id] = self.living[player_id]._replace(score=score)
                case ["p_gameover", player_id]:
                    self.living.pop(player_id, None)

    def find(self, char: str, color: int) -> list[Cell]:
        """Return the cells that show ``char`` in ``color``."""
        return [cell for cell, shown in self.cells.items() if shown == (char, color)]

    def is_open(self, cell: Cell) -> bool:
        """Whether a head may enter."""
        return self.is_inside(cell) and self.cells.get(cell, EMPTY)[0] in EDIBLE

    def is_inside(self, cell: Cell) -> bool:
        """Whether it is a cell of the field."""
        return 0 <= cell[0] < self.width and 0 <= cell[1] < self.height


def moved(cell: Cell, key: int, steps: int = 1) -> Cell:
    """Return the cell that lies ``steps`` further in the direction of ``key``."""
    dx, dy = STEPS[key]
    return cell[0] + dx * steps, cell[1] + dy * steps
