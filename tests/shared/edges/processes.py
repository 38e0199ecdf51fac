"""
A room over processes without processes: an owner, its edges, and two channels between them that may lose anything.

Every member is compared with the owner's game: it must show the same field and the same players once all is told.
"""

import json
from collections.abc import Callable
from typing import Any

from shared.edges.edge import Edge
from shared.edges.owner import Owner
from shared.edges.posts import Frame, FromOwner, Owned, State, Told, Welcomed, open_at_edge
from shared.game.world import Rules
from shared.loops.schedule import DueTick
from shared.rooms.room import Room
from shared.rooms.scores import MemoryScores
from shared.wire.messages import JoinRequest, Key, NewPlayer, decode_client_message
from tests.shared.rooms.visitor import NOW, Visitor, game_of
from tests.support.player import Board

RULES = Rules(30, 20, max_players=8)
NUMBER = 1000
PERIOD_US = 50_000


def open_room(index: int = 0) -> Room[Any]:
    return Room("den", index, RULES, "seed", MemoryScores(10))


class Guest(Visitor):
    """Somebody at an edge, who shows what it is told."""

    def __init__(self, serial: int) -> None:
        super().__init__(serial)
        self.board = Board()
        self.steps: list[int] = []
        self.is_behind = False
        self.takes = True
        """Whether its peer reads."""

    def offer(self, fd: int) -> None:
        assert fd == -1

    def skip(self, now_us: int) -> None:  # noqa: ARG002 # as a connection has it
        self.is_behind = True

    def shows(self, text: bytes) -> None:
        commands = json.loads(text)
        if commands and commands[0][0] == "tick":
            self.steps.append(commands[0][1])
        self.board.apply(commands)

    def hear_own(self) -> list[Any]:
        """Take what it alone was told."""
        told = self.hears()
        for commands in told:
            self.board.apply(commands)
        return told


class OwnerSide:
    """The process that has the game."""

    def __init__(self, publish: Callable[[bytes], object]) -> None:
        self.room = open_room()
        self.number = NUMBER
        self.owner = Owner(self.room, lambda: self.number, publish)
        self.owner.loop = self
        self.n = 0
        self.running_us = NOW

    def take(self, member: Any, message: Any) -> None:
        newcomer = self.room.receive(member, message)
        if newcomer:
            self.room.enter(member, newcomer, game_of(self.room).welcome(newcomer), NOW)

    def leave(self, member: Any) -> None:
        self.room.leave(member)

    def hear(self, edge: bytes, data: bytes) -> None:
        for guest, message in self.owner.receive(edge, data, self.running_us):
            self.take(guest, message)

    def tick(self) -> None:
        self.running_us += PERIOD_US
        if self.owner.is_state_wanted:
            self.owner.send_state(game_of(self.room).look())
        assert self.room.apply(game_of(self.room).step(self.room.take_inputs())) == []
        due = DueTick(self.n, self.n * PERIOD_US, 0, 0)
        self.n += 1
        self.owner.send_frame(due, due.due_us, self.room.frame(due.n, due.due_us, due.due_us))


class EdgeSide:
    """A process that has members."""

    def __init__(self, me: bytes, publish: Callable[[bytes], object]) -> None:
        self.me = me
        self.room = open_room(1)
        self.edge: Edge[Guest] = Edge(self.room, me, NUMBER, publish)
        self.guests: dict[int, Guest] = {}
        self.closed: list[Guest] = []

    def arrives(self, name: str, serial: int | None = None) -> Guest:
        guest = Guest(len(self.guests) + 1 if serial is None else serial)
        self.guests[guest.serial] = guest
        self.edge.say(guest, NewPlayer(name))
        return guest

    def says(self, guest: Guest, text: str) -> None:
        message = decode_client_message(text)
        assert isinstance(message, JoinRequest | Key)
        self.edge.say(guest, message)

    def goes(self, guest: Guest) -> None:
        self.edge.leave(guest)
        self.room.leave(guest)

    def hear(self, data: bytes) -> None:
        number, post = open_at_edge(data)
        if self.edge.is_of_owner(number):
            self._take(post)

    def miss(self) -> None:
        self.edge.miss(NOW)

    # Private methods

    def _take(self, post: FromOwner) -> None:
        match post:
            case Frame():
                if self.edge.take_frame(post):
                    self._fan_out(post.text)
                    if any(member.takes for member in self.room.behind()):
                        self.edge.ask_for_state()
            case State():
                self.edge.take_state(post)
                self._catch_up(post.field)
            case Welcomed():
                member = self.edge.take_welcome(post, NOW)
                if member is not None:
                    member.hear_own()
            case Told(edge, serial, text):
                if member := self.edge.member(edge, serial):
                    member.session.send(text)
            case Owned():
                self.closed += self.edge.strangers(post)

    def _fan_out(self, text: bytes) -> None:
        skipped = []
        for member in self.room.recipients():
            if member.is_behind or not member.takes:
                skipped.append(member)
            else:
                member.shows(text)
        for member in self.room.skip(skipped):
            member.skip(NOW)

    def _catch_up(self, field: bytes) -> None:
        for member in self.room.behind():
            if member.takes:
                member.is_behind = False
                member.shows(self.room.catch_up(member, field))


class Processes:
    """An owner and its edges. ``loses`` says of each message to an edge (its number) whether it is lost."""

    def __init__(self, edges: int = 1, loses: Callable[[int], bool] = lambda _: False) -> None:
        self._to_edges: list[bytes] = []
        self._to_owner: list[tuple[bytes, bytes]] = []
        self._loses = loses
        self._sent = 0
        self._has_gap = dict.fromkeys(range(edges), False)
        self.deaf = False
        """Whether what edges say is lost."""
        self.owner = OwnerSide(self._to_edges.append)
        self.edges = [EdgeSide(b"%8d" % number, self._speaker(b"%8d" % number)) for number in range(edges)]

    def deliver(self) -> None:
        """Have everything arrive that is on its way, and what follows from it."""
        while self._to_owner or self._to_edges:
            while self._to_owner:
                edge, data = self._to_owner.pop(0)
                if not self.deaf:
                    self.owner.hear(edge, data)
            if self._to_edges:
                self._deliver_one(self._to_edges.pop(0))

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.owner.tick()
            self.deliver()

    def call_roll(self) -> None:
        """Have every edge say who is there."""
        for edge in self.edges:
            edge.edge.say_who_is_here()
        self.deliver()

    def check(self, *guests: Guest) -> None:
        """See that each shows what the owner's game is."""
        truth = Board()
        truth.apply(json.loads(game_of(self.owner.room).look()))
        world = game_of(self.owner.room).world
        scores = {player.player_id: player.score for player in world.players()}
        for guest in guests:
            assert guest.board.cells == truth.cells
            assert {player: guest.board.scores[player] for player in guest.board.alive} == scores

    # Private methods

    def _speaker(self, me: bytes) -> Callable[[bytes], object]:
        return lambda data: self._to_owner.append((me, data))

    def _deliver_one(self, data: bytes) -> None:
        for number, edge in enumerate(self.edges):
            self._sent += 1
            if self._loses(self._sent):
                self._has_gap[number] = True
                continue
            if self._has_gap[number]:
                self._has_gap[number] = False
                edge.miss()
            edge.hear(data)
