"""One snake: its body, its direction, the turns that wait; and key codes and directions."""

from collections import deque

Position = tuple[int, int]
"""Column and row, both counted from 0 at the upper left."""

Direction = tuple[int, int]

LEFT, UP, RIGHT, DOWN = (-1, 0), (0, -1), (1, 0), (0, 1)

DIRECTIONS: dict[int, Direction] = {37: LEFT, 38: UP, 39: RIGHT, 40: DOWN}
"""Key code to direction."""

KEYS: dict[Direction, int] = {direction: key for key, direction in DIRECTIONS.items()}

MAX_WAITING_TURNS = 2


class Snake:
    """A player's snake, from its join to its death."""

    __slots__ = (
        "body",
        "color",
        "direction",
        "growth",
        "name",
        "phase",
        "player_id",
        "safe_until",
        "score",
        "stuck",
        "turns",
    )

    def __init__(self, player_id: int, name: str) -> None:
        self.player_id = player_id
        self.name = name
        self.color = 0
        self.score = 0
        self.growth = 0  # moves for which the tail stays where it is
        self.safe_until = 0  # the beat before which nothing kills it
        self.stuck = 0  # moves in a row that something was in its way
        self.phase = 0  # how far its moves are ahead of the beat, in the parts of a beat that the world counts in
        self.direction: Direction = RIGHT
        self.turns: list[Direction] = []
        self.body: deque[Position] = deque()  # head first; empty until born

    @property
    def born(self) -> bool:
        """Whether the snake lies in the field."""
        return bool(self.body)

    def turn(self, direction: Direction) -> None:
        """
        Let a turn wait for its move; drop it if it is no turn, or if two wait already.

        It is compared with the last waiting turn, else with the current direction: so two keys between two moves can't
        turn a snake into itself.
        """
        last = self.turns[-1] if self.turns else self.direction
        same_line = (direction[0] == 0) == (last[0] == 0)
        if self.born and not same_line and len(self.turns) < MAX_WAITING_TURNS:
            self.turns.append(direction)
