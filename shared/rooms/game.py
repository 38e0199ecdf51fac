"""
A room's game on its own: the rules, and what is told of them, encoded. Knows nothing of members, sessions or time.

So it can be wherever a loop design puts it: on the event loop, in a thread, or in another process.
"""

import random

import msgspec

from shared.game.changes import PlayerDied, PlayerJoined, PlayerScored, TopScoresListed
from shared.game.commands import Command
from shared.game.scores import TopScores
from shared.game.world import Rules, World, list_top_scores
from shared.rooms.scores import Rows
from shared.wire.messages import Handshake, encode_commands, encode_world, join_arrays

News = PlayerJoined | PlayerScored | PlayerDied | TopScoresListed
"""What somebody who missed a frame is still told; the field it gets as it is."""


class GameSetup(msgspec.Struct, frozen=True, array_like=True):
    """All that a game begins with: its random numbers come from ``seed`` and ``room`` alone."""

    room: str
    seed: str
    rules: Rules
    top_scores: Rows


class Newcomer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Somebody who is to be welcomed."""

    player_id: int
    name: str


class Stepped(msgspec.Struct, frozen=True, array_like=True):
    """
    What one step did.

    ``commands`` are for everybody, encoded as one array; ``refused`` (player id, why) for one each. ``top_scores`` are
    the rows, best first, where they have changed.
    """

    commands: bytes
    news: list[News]
    refused: list[tuple[int, str]]
    top_scores: Rows | None
    living: int


class Game:
    """
    One room's game.

    What :meth:`welcome` and :meth:`look` return shows it after the last step; frames of the steps that follow go on
    from there.
    """

    def __init__(self, setup: GameSetup) -> None:
        rng = random.Random(f"{setup.seed}/{setup.room}")  # noqa: S311 # a game, not cryptography
        self.world = World(setup.rules, rng, TopScores(setup.top_scores))
        self._world_text: bytes | None = None

    def step(self, inputs: list[Command]) -> Stepped:
        """Apply what the players asked for, in order, and the rules once."""
        step = self.world.step(inputs)
        if step.changes:
            self._world_text = None
        return Stepped(
            encode_commands(step.changes),
            [change for change in step.changes if isinstance(change, News)],
            step.refused,
            self.world.top_scores.rows if step.scores_changed else None,
            self.world.living,
        )

    def welcome(self, newcomer: Newcomer) -> bytes:
        """Return the commands that tell a newcomer everything."""
        handshake = encode_commands([Handshake(newcomer.name, newcomer.player_id)])
        rest = encode_commands([list_top_scores(self.world.top_scores.rows), *self.world.players()])
        return join_arrays(handshake, self.look(), rest)

    def look(self) -> bytes:
        """Return the command that tells the whole field, encoded once for all who need it."""
        if self._world_text is None:
            rules = self.world.rules
            self._world_text = encode_world(self.world.cells.values(), rules.width, rules.height)
        return self._world_text
