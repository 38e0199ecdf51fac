"""
The game field as a player sees it, kept up to date from the server's messages, and the key to press to stay alive.

All players of a room share one board.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

Position = tuple[int, int]
Direction = tuple[int, int]

KEYS: dict[Direction, int] = {(-1, 0): 37, (0, -1): 38, (1, 0): 39, (0, 1): 40}
"""Key codes of the protocol by direction."""
DIRECTIONS = {key: direction for direction, key in KEYS.items()}
"""Directions by key code."""

_decode = msgspec.json.Decoder(list[list[Any]]).decode
_EATABLE = frozenset(" 123456789")


@dataclass(slots=True)
class Head:
    """Where a snake is, and where it is going."""

    position: Position
    direction: Direction
    turned_n: int = -1
    """The tick in which it took this direction; -1 if it was born with it."""


class Board:
    """One room's field; feed it every text message that any player of the room gets."""

    def __init__(self) -> None:
        self.width = self.height = 0
        self.heads: dict[int, Head] = {}
        """Of the snakes whose birth was seen, by player id."""
        self._blocked: set[Position] = set()
        self.last_n = -1
        """The n of the latest tick that was taken in, -1 before any."""
        self._newborn: int | None = None
        self._drawn_head: Position | None = None  # drawn by the command before

    def take(self, n: int, text: bytes) -> None:
        """Take in a message: that of tick ``n``, each n once, or (n is -1) the whole field that a newcomer gets."""
        if n >= 0:
            if n <= self.last_n:
                return
            self.last_n = n
        elif self.width:
            return
        try:
            commands = _decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # the connection's own checks report it
        for command in commands:
            # 95 % of the commands draw a cell, and a match statement takes five times as long to find that out.
            if len(command) == 5 and command[0] == "render":
                self._render(command[1], command[2], command[3])
            else:
                self._apply(command)
                self._drawn_head = None

    def is_free(self, position: Position) -> bool:
        """Return whether a head can go there."""
        x, y = position
        return 0 <= x < self.width and 0 <= y < self.height and position not in self._blocked

    def free_cells(self, position: Position, direction: Direction, limit: int) -> int:
        """Return how many cells are free ahead, up to ``limit``."""
        (x, y), (dx, dy) = position, direction
        for distance in range(1, limit + 1):
            if not self.is_free((x + distance * dx, y + distance * dy)):
                return distance - 1
        return limit

    def way_out(self, player_id: int, lookahead: int) -> int | None:
        """Return the key to press so as to have ``lookahead`` free cells ahead; None to go on as before."""
        head = self.heads.get(player_id)
        if head is None or self.free_cells(head.position, head.direction, lookahead) == lookahead:
            return None
        dx, dy = head.direction
        farthest = max(self.width, self.height)
        # Straight on comes first: of equally good ways max() takes it, and it needs no key.
        ways = ((dx, dy), (dy, dx), (-dy, -dx))
        best = max(ways, key=lambda way: self.free_cells(head.position, way, farthest))
        return None if best == head.direction else KEYS[best]

    def side_way(self, player_id: int, lookahead: int) -> int | None:
        """Return a key that turns the snake although it need not, if ``lookahead`` cells are free there."""
        head = self.heads.get(player_id)
        if head is None:
            return None
        dx, dy = head.direction
        for way in ((dy, dx), (-dy, -dx)):
            if self.free_cells(head.position, way, lookahead) == lookahead:
                return KEYS[way]
        return None

    def _apply(self, command: list[Any]) -> None:
        match command:
            case ["world", [*rows]] if rows and all(isinstance(row, list) for row in rows):
                self._show(rows)
            case ["p_joined", int(player_id), *_]:
                self._newborn = player_id
            case ["p_gameover", int(player_id)]:
                self.heads.pop(player_id, None)
            case ["reset_world"]:
                self._blocked.clear()

    def _render(self, x: Any, y: Any, char: Any) -> None:
        if type(x) is not int or type(y) is not int or type(char) is not str:
            self._drawn_head = None
            return
        position = (x, y)
        if char in _EATABLE:
            self._blocked.discard(position)
        else:
            self._blocked.add(position)
        # A step draws the new head, then a body where the old one was; a birth draws head, body, tail.
        if char == "@" and self._drawn_head is not None:
            self._move(self._drawn_head, position)
        self._drawn_head = position if char == "%" else None

    def _move(self, new: Position, old: Position) -> None:
        direction = (new[0] - old[0], new[1] - old[1])
        for head in self.heads.values():
            if head.position == old:
                if direction != head.direction:
                    head.turned_n = self.last_n
                head.position, head.direction = new, direction
                return
        if self._newborn is not None and direction in KEYS:
            self.heads[self._newborn] = Head(new, direction)
            self._newborn = None

    def _show(self, rows: list[Any]) -> None:
        self.width, self.height = len(rows[0]), len(rows)
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                match cell:
                    case [str(char), _] if char not in _EATABLE:
                        self._blocked.add((x, y))
