"""
A room: its world and who is in it.

Feed it messages; for each tick call :meth:`Room.step`, then :meth:`Room.frame`, and hand the frame to all
:meth:`Room.recipients`; tell :meth:`Room.skip` who did not take it. Those are behind, until they are handed their
:meth:`Room.catch_up` between two ticks. Knows nothing of sockets, tasks, clocks or due times.
"""

import random
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from shared.game.changes import CellChanged, Change, TopScoresListed, WorldReset
from shared.game.commands import Command, Join, Leave, Turn
from shared.game.scores import TopScores
from shared.game.world import Rules, World
from shared.rooms.scores import ScoreStore
from shared.wire.errors import InvariantError
from shared.wire.messages import (
    ClientMessage,
    ErrorText,
    Handshake,
    JoinRequest,
    Key,
    NewPlayer,
    Pad,
    Tick,
    encode_commands,
    encode_world,
    join_arrays,
)
from shared.wire.session import Session

TICKS_A_TURN = 10
"""The first recipient of a frame moves on by one every so many ticks: fair, and no jitter of its own."""


MAX_KEPT_COMMANDS = 1000
"""For one who is behind; more and it is a slow consumer. Ten snakes make a few in a second."""


class Member(Protocol):
    """Somebody in a room: a connection that holds its session."""

    session: Session


M = TypeVar("M", bound=Member)


class Room(Generic[M]):
    """One game and those who see it. ``index`` counts the rooms that the server has opened so far."""

    def __init__(self, name: str, index: int, rules: Rules, seed: str, scores: ScoreStore, pad_bytes: int = 0) -> None:
        self.name = name
        self.index = index
        self.members: dict[int, M] = {}  # by player id, in order of entering
        rng = random.Random(f"{seed}/{name}")  # noqa: S311 # a game, not cryptography
        self.world = World(rules, rng, TopScores(scores.load(name)))
        self.steps = 0
        self._scores = scores
        self._inputs: list[Command] = []
        self._last_player_id = rules.bots  # the bots have the first ids
        self._changes: list[Change] = []  # of the last step
        self._commands = b"[]"  # the same, encoded
        self._kept: dict[int, list[Change]] = {}  # by player id: what those who are behind have missed
        self._pad = encode_commands([Pad("." * pad_bytes)]) if pad_bytes else b"[]"
        self._world_text: bytes | None = None
        self._recipients: list[M] = []
        self._first: int | None = None  # of the members, in the order of recipients; None: they have changed

    # Who comes, speaks and goes

    def receive(self, member: M, message: ClientMessage, now_us: int) -> None:
        """Take a message that the member's session let through."""
        session = member.session
        player_id = session.player_id
        match message:
            case NewPlayer(name) if player_id is None:
                self._enter(member, name, now_us)
            case JoinRequest() if player_id in self.members:
                self._inputs.append(Join(player_id, session.name))
            case Key(code) if player_id in self.members:
                self._inputs.append(Turn(player_id, code))
            case _:
                raise InvariantError(f"a session let {message} through")

    def leave(self, member: M) -> None:
        """Take a member out, if it is in; its snake dies at the next step."""
        player_id = member.session.player_id
        if player_id is None or self.members.pop(player_id, None) is None:
            return
        self._first = None
        self._kept.pop(player_id, None)
        # What it asked for since the last step is void; so visitors who come and go between two steps leave nothing.
        self._inputs = [command for command in self._inputs if command.player_id != player_id]
        if player_id in self.world.snakes:
            self._inputs.append(Leave(player_id))

    # A tick

    def step(self) -> list[M]:
        """Apply one step of the rules; return the members who have something of their own to be told."""
        inputs, self._inputs = self._inputs, []
        step = self.world.step(inputs)
        self._changes = step.changes
        self._commands = encode_commands(step.changes)
        if step.changes:
            self._world_text = None
        if step.scores_changed:
            # Before the frame that shows the game over, so that nothing is lost that was shown.
            self._scores.save(self.name, self.world.top_scores.rows)
        self.steps += 1
        refused = [(self.members[player_id], why) for player_id, why in step.refused if player_id in self.members]
        for member, why in refused:
            member.session.send(encode_commands([ErrorText(why)]))
        return [member for member, _ in refused]

    def frame(self, n: int, due_us: int, sent_us: int) -> bytes:
        """Return the text of tick ``n``'s frame: what the last step changed."""
        return join_arrays(encode_commands([Tick(n, due_us, sent_us)]), self._commands, self._pad)

    def recipients(self) -> list[M]:
        """Return everybody in the room; another one comes first every 10 steps. The same list as long as it holds."""
        first = self.steps // TICKS_A_TURN % max(1, len(self.members))
        if first != self._first:
            members = list(self.members.values())
            self._recipients, self._first = members[first:] + members[:first], first
        return self._recipients

    # Who does not take a frame

    def skip(self, members: Iterable[M]) -> list[M]:
        """
        Keep what the last step told, but for its cells, for members who did not take its frame; return them.

        Who is closing or has left is owed nothing.
        """
        skipped = [member for member in members if member.session.is_open and member.session.player_id in self.members]
        if skipped:
            kept = [change for change in self._changes if not isinstance(change, CellChanged | WorldReset)]
            for member in skipped:
                self._keep(member.session.player_id or 0, kept)
        return skipped

    def owes_too_much(self, member: M) -> bool:
        """Say whether more is kept for a member than may be."""
        return len(self._kept.get(member.session.player_id or 0, ())) > MAX_KEPT_COMMANDS

    def behind(self) -> list[M]:
        """Return the members who have missed a frame."""
        return [self.members[player_id] for player_id in self._kept]

    def catch_up(self, member: M) -> bytes:
        """Return what a member has missed, the field as it is now before all else; it is behind no more."""
        return join_arrays(self._world(), encode_commands(self._kept.pop(member.session.player_id or 0)))

    # Private methods

    def _keep(self, player_id: int, changes: list[Change]) -> None:
        owed = self._kept.setdefault(player_id, [])
        owed += changes
        listed = [change for change in owed if isinstance(change, TopScoresListed)]
        if len(listed) > 1:  # the newest only; a step lists them once a death
            owed[:] = [change for change in owed if not isinstance(change, TopScoresListed) or change is listed[-1]]

    def _enter(self, member: M, name: str, now_us: int) -> None:
        self._last_player_id = player_id = self._last_player_id + 1
        member.session.enter(player_id, name, self._welcome(name, player_id), now_us)
        self.members[player_id] = member
        self._first = None

    def _welcome(self, name: str, player_id: int) -> bytes:
        """Everything that a newcomer has to know: the state after the last step."""
        handshake = encode_commands([Handshake(name, player_id)])
        rest = encode_commands([self.world.top_scores_listed(), *self.world.players()])
        return join_arrays(handshake, self._world(), rest)

    def _world(self) -> bytes:
        """Return the field after the last step, encoded once for all who need it."""
        if self._world_text is None:
            rules = self.world.rules
            self._world_text = encode_world(self.world.cells.values(), rules.width, rules.height)
        return self._world_text
