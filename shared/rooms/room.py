"""
A room: its members, what they ask of its game, and what each is told.

Feed it messages. For each tick hand :meth:`Room.take_inputs` to the game (:mod:`shared.rooms.game`), wherever that is,
and what the step did to :meth:`Room.apply`; then send :meth:`Room.frame` to all :meth:`Room.recipients`, and tell
:meth:`Room.skip` who did not take it. Those are behind, until they are sent their :meth:`Room.catch_up` between two
ticks.
"""

from collections import deque
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from shared.game.changes import PlayerDied, TopScoresListed
from shared.game.commands import Command, Join, Leave, Recall, Turn
from shared.game.world import Rules
from shared.rooms.game import GameSetup, Newcomer, News, Stepped
from shared.rooms.scores import ScoreRows, ScoreStore
from shared.wire.errors import InvariantError
from shared.wire.messages import (
    ClientMessage,
    ErrorText,
    JoinRequest,
    Key,
    NewPlayer,
    Pad,
    Tick,
    encode_commands,
    join_arrays,
)

TICKS_A_TURN = 10
"""After so many ticks the next member is the first to get a frame: fair, and rarely enough to cause no jitter."""


MAX_KEPT_COMMANDS = 1000
"""For a member that is behind; with more it is a slow consumer. Ten snakes make a few in a second."""


class MemberSession(Protocol):
    """What a room asks of a member's session, which is that of a connection here or at another process."""

    @property
    def player_id(self) -> int | None:
        """Its id, once it has entered."""

    @property
    def name(self) -> str:
        """Its name, once it has entered."""

    @property
    def is_open(self) -> bool:
        """Whether messages are still taken and sent."""

    def enter(self, player_id: int, name: str, welcome: bytes, now_us: int) -> None:
        """Note that the room has let it in, and tell it so."""

    def send(self, payload: bytes) -> None:
        """Send a text message to it alone."""


class Member(Protocol):
    """A connection in a room, with its session; ``is_here`` if it is one of this process, which gets frames from it."""

    @property
    def session(self) -> MemberSession:
        """Its session."""

    @property
    def is_here(self) -> bool:
        """Whether it is sent frames by this process."""


M = TypeVar("M", bound=Member)


class Room(Generic[M]):
    """The connections that play or watch one game. ``index`` counts the rooms that the server opened before."""

    def __init__(self, name: str, index: int, rules: Rules, seed: str, scores: ScoreStore, pad_bytes: int = 0) -> None:
        self.name = name
        self.index = index
        self.setup = GameSetup(name, seed, rules, scores.load(name))
        self.top_scores: ScoreRows = self.setup.top_scores
        self.members: dict[int, M] = {}  # by player id, in order of entering
        self.was_entered = False  # by anybody, ever
        self.steps = 0
        self.living = 0  # snakes in the field, after the last step
        self._scores = scores
        self._inputs: list[Command] = []
        self._players: set[int] = set()  # ids of those whose snake is in the game, or waits to be born
        self._joins: deque[set[int]] = deque()  # for each step that is not applied yet: who asked to join
        self._last_player_id = rules.bots  # the bots have the first ids
        self._commands = b"[]"  # for everybody, of the last step
        self._news: list[News] = []  # the same without the field
        self._kept: dict[int, list[News]] = {}  # by player id: what those who are behind have missed
        self._pad = encode_commands([Pad("." * pad_bytes)]) if pad_bytes else b"[]"
        self._recipients: list[M] = []
        self._first: int | None = None  # the member that is the first recipient; None: members have changed

    # Who comes, speaks and goes

    def receive(self, member: M, message: ClientMessage) -> Newcomer | None:
        """
        Take a message that the member's session let through.

        Return the newcomer that the game is to welcome, if the message makes one; hand the welcome to :meth:`enter`
        before the member's next message.
        """
        session = member.session
        player_id = session.player_id
        match message:
            case NewPlayer(name) if player_id is None:
                self._last_player_id += 1
                return Newcomer(self._last_player_id, name)
            case JoinRequest() if player_id in self.members:
                self._inputs.append(Join(player_id, session.name))
            case Key(code) if player_id in self.members:
                self._inputs.append(Turn(player_id, code))
            case _:
                raise InvariantError(f"a session let {message} through")
        return None

    def enter(self, member: M, newcomer: Newcomer, welcome: bytes, now_us: int) -> None:
        """Let a newcomer in between two ticks, unless its connection is over by now."""
        if member.session.is_open:
            member.session.enter(newcomer.player_id, newcomer.name, welcome, now_us)
            self.members[newcomer.player_id] = member
            self.was_entered = True
            self._first = None

    def leave(self, member: M) -> None:
        """Remove a member, if it is one; its snake dies at the next step."""
        player_id = member.session.player_id
        if player_id is None or self.members.pop(player_id, None) is None:
            return
        self._first = None
        if not self.members:
            self._recipients = []  # there may be no tick that gathers them anew
        self._kept.pop(player_id, None)
        # What it asked for since the last step is dropped, so that who comes and goes between two steps leaves nothing.
        self._inputs = [command for command in self._inputs if command.player_id != player_id]
        if player_id in self._players:
            self._inputs.append(Leave(player_id))

    def recall(self, rows: ScoreRows) -> None:
        """Have the next step put the scores of before, which could not be read until now, under those of the game."""
        self._inputs.append(Recall(rows))

    # A tick

    def take_inputs(self) -> list[Command]:
        """Return what the members have asked for since the last step, in order; then :meth:`apply` the step."""
        inputs, self._inputs = self._inputs, []
        joins = set()
        for command in inputs:
            match command:
                case Join(player_id):
                    joins.add(player_id)
                case Leave(player_id):
                    self._players.discard(player_id)
        self._players |= joins
        self._joins.append(joins)
        return inputs

    def apply(self, step: Stepped) -> list[M]:
        """Take what a step of the game did; return the members whose sessions have something to send of their own."""
        self._commands, self._news, self.living = step.commands, step.news, step.living
        if step.top_scores is not None:
            # Before the frame that shows them, so that no score that was shown is lost.
            self.top_scores = step.top_scores
            self._scores.save(self.name, self.top_scores)
        self.steps += 1
        if self._joins:
            self._joins.popleft()
        gone = {change.player_id for change in step.news if isinstance(change, PlayerDied)}
        gone.update(player_id for player_id, _ in step.refused)
        self._players -= gone.difference(*self._joins)  # who has asked again may have a snake after the next step
        refused = [(self.members[player_id], why) for player_id, why in step.refused if player_id in self.members]
        for member, why in refused:
            member.session.send(encode_commands([ErrorText(why)]))
        return [member for member, _ in refused if member.is_here]

    @property
    def news(self) -> list[News]:
        """What those are told of the last step who don't get its frame."""
        return self._news

    def frame(self, n: int, due_us: int, sent_us: int) -> bytes:
        """Return the text of tick ``n``'s frame: what the last step changed."""
        return join_arrays(encode_commands([Tick(n, due_us, sent_us)]), self._commands, self._pad)

    def recipients(self) -> list[M]:
        """Return all who are here, another one first every 10 steps; the same list object until something changes."""
        first = self.steps // TICKS_A_TURN % max(1, len(self.members))
        if first != self._first:
            members = [member for member in self.members.values() if member.is_here]
            self._recipients, self._first = members[first:] + members[:first], first
        return self._recipients

    # Who does not take a frame

    def skip(self, members: Iterable[M]) -> list[M]:
        """
        Keep the news of the last step for members who did not take its frame; return them.

        Those who are closing or have left are left out.
        """
        skipped = [member for member in members if member.session.is_open and member.session.player_id in self.members]
        for member in skipped:
            self._keep(member.session.player_id or 0)
        return skipped

    def owes_too_much(self, member: M) -> bool:
        """Say whether more is kept for a member than may be."""
        return len(self._kept.get(member.session.player_id or 0, ())) > MAX_KEPT_COMMANDS

    def behind(self) -> list[M]:
        """Return the members who have missed a frame."""
        return [self.members[player_id] for player_id in self._kept]

    def catch_up(self, member: M, field: bytes) -> bytes:
        """Return what a member has missed, after the ``field`` as it is now; it is behind no more."""
        return join_arrays(field, encode_commands(self._kept.pop(member.session.player_id or 0)))

    # Private methods

    def _keep(self, player_id: int) -> None:
        owed = self._kept.setdefault(player_id, [])
        owed += self._news
        listed = [change for change in owed if isinstance(change, TopScoresListed)]
        if len(listed) > 1:  # the newest only; a step lists them with each death
            owed[:] = [change for change in owed if not isinstance(change, TopScoresListed) or change is listed[-1]]
