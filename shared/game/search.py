"""
The path search of bots: breadth-first, around whatever is deadly, to the nearest digit that is no trap.

It is deterministic, and bounded by a number of steps, each of which visits one cell: so the CPU time that a tick needs
can be set (``--bot-steps``).
"""

from collections import deque
from collections.abc import Callable, Iterator

from shared.game.snake import DIRECTIONS, Direction, Position

MOVES: tuple[Direction, ...] = tuple(DIRECTIONS.values())
LookAt = Callable[[Position], int]
"""Returns the value of the digit in a cell, 0 if the cell is empty, or -1 where a head would die."""


def open_run(look: LookAt, start: Position, direction: Direction, most: int) -> int:
    """Count the cells in a row from ``start`` (not counted) on that a head may enter, up to ``most``."""
    x, y = start
    dx, dy = direction
    for count in range(most):
        x += dx
        y += dy
        if look((x, y)) < 0:
            return count
    return most


class PathSearch:
    """One bot's search of a field, in at most ``steps`` steps."""

    def __init__(self, look: LookAt, steps: int) -> None:
        self._look = look
        self.steps = steps  # that are left

    def first_move(self, head: Position, room_needed: int) -> Direction | None:
        """
        Return where to go for the nearest digit from which ``room_needed`` cells can be reached; None if there is none.

        The steps that are left are spent on counting those cells; if they run out, the place counts as no trap.
        """
        for digit, move in self._digits(head):
            room = self._room(digit)
            if room >= room_needed or not self.steps:
                return move
        return None

    def _digits(self, head: Position) -> Iterator[tuple[Position, Direction]]:
        """Yield the digits by distance, and the first move on the way to each."""
        edge = deque(((head[0] + move[0], head[1] + move[1]), move) for move in MOVES)
        seen = {head, *(position for position, _ in edge)}
        while edge and self.steps:
            self.steps -= 1
            position, first = edge.popleft()
            value = self._look(position)
            if value < 0:
                continue
            if value:
                yield position, first
            x, y = position
            for near in ((x + 1, y), (x, y + 1), (x - 1, y), (x, y - 1)):
                if near not in seen:
                    seen.add(near)
                    edge.append((near, first))

    def _room(self, start: Position) -> int:
        """Count the cells that can be reached from ``start``, it included, as far as the steps go."""
        seen = {start}
        edge = deque((start,))
        count = 0
        while edge and self.steps:
            self.steps -= 1
            x, y = edge.popleft()
            count += 1
            for position in ((x + 1, y), (x, y + 1), (x - 1, y), (x, y - 1)):
                if position not in seen:
                    seen.add(position)
                    if self._look(position) >= 0:
                        edge.append(position)
        return count
