"""
A room's game: applies the rules and encodes what clients are told.

It knows nothing of members, sessions or time, so a loop design can run it on the event loop, in a thread, or in another
process.
"""

import random

import msgspec

from shared.game.changes import PlayerDied, PlayerJoined, PlayerScored, TopScoresListed
from shared.game.commands import Command
from shared.game.scores import TopScores
from shared.game.world import Rules, World, list_top_scores
from shared.rooms.scores import ScoreRows
from shared.wire.messages import Handshake, encode_commands, encode_world, join_arrays

News = PlayerJoined | PlayerScored | PlayerDied | TopScoresListed
"""The changes that a client who missed a frame is still told; the field it gets as it is by then."""


class GameSetup(msgspec.Struct, frozen=True, array_like=True):
    """All that a game begins with; its random numbers depend on ``seed`` and ``room`` alone."""

    room: str
    seed: str
    rules: Rules
    top_scores: ScoreRows


class Newcomer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A player who is about to enter the room."""

    player_id: int
    name: str


class Stepped(msgspec.Struct, frozen=True, array_like=True):
    """
    What one step did.

    ``commands`` are for everybody, encoded as one array; ``refused`` (player id, why) each for that player alone.
    ``top_scores`` are the rows, best first, or None if they have not changed.
    """

    commands: bytes
    news: list[News]
    refused: list[tuple[int, str]]
    top_scores: ScoreRows | None
    living: int


class Game:
    """
    One room's game.

    :meth:`welcome` and :meth:`look` return its state after the last step; the frames of later steps go on from there.
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
        """Return the whole field, encoded as an array of one command; once for all who need it."""
        if self._world_text is None:
            rules = self.world.rules
            self._world_text = encode_world(self.world.cells.values(), rules.width, rules.height)
        return self._world_text
