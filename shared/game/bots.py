"""
Bots: snakes that the server steers, without random numbers.

They go for the nearest digit that their search finds (:mod:`shared.game.search`); else they wander and avoid what is
in their way.
"""

from shared.game.commands import Command, Join, Turn
from shared.game.search import LookAt, PathSearch, open_run
from shared.game.snake import KEYS, Snake

SIGHT = 6
"""How many cells to each side a bot looks at before it turns."""


class Bot:
    """A player without a connection, which joins again whenever its snake has died."""

    def __init__(self, player_id: int) -> None:
        self.player_id = player_id
        self.name = f"bot {player_id}"
        self.wander_every = 7 + player_id % 5  # so that bots born together don't move as one
        self.steps = 0

    def join(self) -> Join:
        """Ask for a snake."""
        return Join(self.player_id, self.name)

    def steer(self, snake: Snake, look: LookAt, steps: int) -> Command | None:
        """
        Return the turn on the way to a digit, else one that avoids the next cell or wanders; None to go straight.

        It searches for a digit in at most ``steps`` steps.
        """
        self.steps += 1
        if move := PathSearch(look, steps).first_move(snake.body[0], len(snake.body) + snake.growth):
            return None if move == snake.direction else Turn(self.player_id, KEYS[move])
        ahead = open_run(look, snake.body[0], snake.direction, 1)
        if ahead and self.steps % self.wander_every:
            return None
        dx, dy = snake.direction
        left, right = (dy, -dx), (-dy, dx)
        left_run = open_run(look, snake.body[0], left, SIGHT)
        right_run = open_run(look, snake.body[0], right, SIGHT)
        best = left if left_run > right_run or (left_run == right_run and self.player_id % 2) else right
        if ahead and max(left_run, right_run) < SIGHT:
            return None  # wander only where there is room
        return Turn(self.player_id, KEYS[best])
