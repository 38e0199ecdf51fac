"""
Somebody who sees nothing of a game but its changes, and judges each by the rules.

It shares no code with :mod:`shared.game.world`: what it keeps is a mirror of the field and who lives.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from shared.game.changes import CellChanged, Change, PlayerDied, PlayerJoined, PlayerScored, WorldReset

Cell = tuple[str, int]
Position = tuple[int, int]

EMPTY: Cell = (" ", 0)


class Observer:
    """Feed it all changes of a game, step by step; it fails on the first that breaks a rule."""

    def __init__(self, width: int, height: int, cells: Iterable[CellChanged] = ()) -> None:
        self.width = width
        self.height = height
        self.cells: dict[Position, Cell] = {(cell.x, cell.y): (cell.char, cell.color) for cell in cells}
        self.colors: dict[int, int] = {}  # of the living
        self.scores: dict[int, int] = {}
        self.births = 0
        self.points = 0

    def see(self, changes: Sequence[Change]) -> None:
        """Judge and mirror what one step changed."""
        for index, change in enumerate(changes):
            match change:
                case WorldReset():
                    assert not self.colors, "a field is only reset between rounds"
                    self.cells.clear()
                case PlayerJoined():
                    self._judge_birth(change, changes[index + 1 : index + 4])
                case PlayerScored():
                    self._judge_score(change, changes[index + 1])
                case PlayerDied(player_id):
                    del self.colors[player_id]
                case CellChanged():
                    self._judge_cell(change, changes[index - 1] if index else None)
                    self._mirror(change)

    def at(self, x: int, y: int) -> Cell:
        """Return what the mirror shows there."""
        return self.cells.get((x, y), EMPTY)

    def rows(self) -> list[list[list[str | int]]]:
        """Return the field as the ``world`` command shows it."""
        return [[list(self.at(x, y)) for x in range(self.width)] for y in range(self.height)]

    def _mirror(self, change: CellChanged) -> None:
        if change.char == " ":
            assert change.color == 0, "an empty cell has no color"
            self.cells.pop((change.x, change.y), None)
        else:
            self.cells[change.x, change.y] = (change.char, change.color)

    def _judge_cell(self, change: CellChanged, before: Change | None) -> None:
        assert 0 <= change.x < self.width
        assert 0 <= change.y < self.height
        shown = self.at(change.x, change.y)
        if change.char in "#123456789":
            assert shown == EMPTY, "digits and stones appear on empty cells only"
            assert (change.color in range(1, 7)) == (change.char != "#")
        if change.char == "%":
            ate = isinstance(before, PlayerScored)
            assert shown[0] in "123456789" if ate else shown == EMPTY, "a head enters an empty cell, or eats a digit"

    def _judge_birth(self, joined: PlayerJoined, body: Sequence[Change]) -> None:
        assert joined.player_id not in self.colors
        worn = Counter(self.colors.values())
        assert worn[joined.color] == min(worn[color] for color in range(1, 7)), "a birth takes one of the rarest colors"
        places = [(cell.x, cell.y) for cell in body if isinstance(cell, CellChanged)]
        shows = [(cell.char, cell.color) for cell in body if isinstance(cell, CellChanged)]
        assert shows == [(char, joined.color) for char in "%@*"]
        assert all(self.at(*place) == EMPTY for place in places), "a snake is born on empty cells"
        (head_x, head_y), (x, y), (tail_x, tail_y) = places
        assert (head_x - x, head_y - y) == (x - tail_x, y - tail_y) in {(1, 0), (-1, 0), (0, 1), (0, -1)}
        assert 5 <= tail_x < self.width - 5
        assert 5 <= tail_y < self.height - 5
        assert joined.score == 0
        self.colors[joined.player_id] = joined.color
        self.scores[joined.player_id] = 0
        self.births += 1

    def _judge_score(self, scored: PlayerScored, head: Change) -> None:
        assert isinstance(head, CellChanged)
        assert head.char == "%"
        value = int(self.at(head.x, head.y)[0])
        self.points += value
        self.scores[scored.player_id] += value
        assert scored.score == self.scores[scored.player_id], "a score is the sum of the digits eaten"
