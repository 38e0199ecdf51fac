"""Games told completely, which can be played again and again."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.game.changes import CellChanged
from shared.game.commands import Command, Join, Leave, Turn
from shared.game.world import Rules, Step, World
from shared.wire.messages import encode_commands

PLAYERS = range(1001, 1013)
"""Two more than can live."""
KEYS = (37, 38, 39, 40)


@dataclass(frozen=True)
class Plan:
    """
    A game: its rules, its luck, and who says what before which step.

    ``density`` is the share of the field that is taken before the first step, by stones and digits.
    """

    rules: Rules
    seed: int
    inputs: Sequence[Sequence[Command]]
    density: float = 0.0

    def start(self) -> World:
        """Return the world before the first step."""
        rules, rng = self.rules, random.Random(self.seed)
        world = World(rules, random.Random(f"{self.seed}/main"))
        for place in range(rules.height * rules.width if self.density else 0):
            if rng.random() < self.density:
                y, x = divmod(place, rules.width)
                world.cells[x, y] = CellChanged(x, y, *rng.choice([("#", 0), ("9", 3)]))
        return world

    def play(self) -> Iterator[Step]:
        """Play it, a step at a time."""
        world = self.start()
        for commands in self.inputs:
            yield world.step(commands)


def crowd(seed: int, steps: int) -> list[list[Command]]:
    """Return the inputs of players who join soon, turn now and then, and seldom leave."""
    rng = random.Random(seed)
    inputs: list[list[Command]] = []
    for _ in range(steps):
        commands: list[Command] = []
        for player_id in PLAYERS:
            match rng.randrange(40):
                case 0 | 1 | 2:
                    commands.append(Join(player_id, f"name {player_id % 5}"))
                case 3:
                    commands.append(Leave(player_id))
                case 4 | 5 | 6 | 7 | 8 | 9:
                    commands.append(Turn(player_id, rng.choice(KEYS)))
        rng.shuffle(commands)
        inputs.append(commands)
    return inputs


def digest() -> str:
    """Return the SHA-256 of all that a long game tells."""
    plan = Plan(Rules(bots=4), 7, crowd(7, 300), density=0.02)
    return hashlib.sha256(b"".join(encode_commands(step.changes) for step in plan.play())).hexdigest()
