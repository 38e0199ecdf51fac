"""
A player whose snake is followed across the field: where it went, and how it died.

How fast snakes are is up to the server: one move takes a tick or more. If the machine is busy or a wall is near, a ride
may show nothing, and is then to be tried again in another room.
"""

import time
from collections.abc import Callable, Iterable

from tickbench.conformance.field import BACK, BODY, HEAD, SIDE, STEPS, Cell, moved
from tickbench.conformance.peer import Message, Peer, SilenceError
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.shapes import is_sound
from tickbench.conformance.verdict import FaultError, NotTriedError, quote

TRIES = 8
"""Rooms in which an attempt is made, until one shows something."""
SLOWEST_MOVE_S = 3.0
"""A snake that stands still for longer has something in its way."""


class NothingShownError(NotTriedError):
    """The attempt showed nothing: a wall, a stone or a busy machine came in between."""


class TrackedPlayer:
    """The snake of ``peer``, born with the tick frame ``birth``."""

    def __init__(self, peer: Peer, birth: Message) -> None:
        self.peer = peer
        self.birth = birth
        self.moves: list[int] = []
        """The key of the direction of each move. Most ticks may bring no move."""
        self.errors: list[str] = []
        self.births = 0
        """How often it was born again, after the first birth."""
        self.is_dead = False
        self._has_missed = False
        self.died_freely = False
        """It died though the cell ahead was free, and nobody else was there."""
        self.color = peer.field.living[peer.player_id].color
        self.head, self.heading = self._lie()
        self._open_ways = self._look()

    def send_keys(self, ways: Iterable[str | int]) -> None:
        """Send keys: codes, or ``ahead``, ``side``, ``back``, ``other`` (the other side)."""
        for way in ways:
            self.peer.send(self.key(way))

    def key(self, way: str | int) -> int:
        """Return the code of a key that is named relative to the first direction; a code is returned as it is."""
        side = SIDE[self.heading]
        names = {"ahead": self.heading, "side": side, "back": BACK[self.heading], "other": BACK[side]}
        return names[way] if isinstance(way, str) else way

    def settle(self) -> int:
        """Wait until the server has taken all that was sent; return how many moves were seen by then."""
        self.peer.send(["ping", 1])
        while not self.read().has("pong"):
            pass
        return len(self.moves)

    def ride(self, moves: int) -> None:
        """Read on for so many moves, or to its death; NothingShownError if it stands still."""
        wanted, until = len(self.moves) + moves, time.monotonic() + moves * SLOWEST_MOVE_S
        while len(self.moves) < wanted and not self.is_dead:
            if time.monotonic() > until:
                raise NothingShownError("the snake stood still")
            self.read()

    def read(self) -> Message:
        """Take the next message in."""
        message = self.peer.next(what="a tick frame")
        self.errors += [command[1] for command in message.named("error")]
        self.births += sum(born[1] == self.peer.player_id for born in message.named("p_joined"))
        self._has_missed |= message.has("world")  # the server skipped ticks for it
        if message.tick and not self.is_dead:
            self._follow(message)
        return message

    def room_ahead(self, key: int) -> int:
        """Return how many cells in a row are open in that direction."""
        steps = 0
        while self.peer.field.is_open(moved(self.head, key, steps + 1)):
            steps += 1
        return steps

    def has_way(self, keys: Iterable[int]) -> bool:
        """Whether the cells are open that it would enter one after the other with these keys."""
        cell = self.head
        for key in keys:
            cell = moved(cell, key)
            if not self.peer.field.is_open(cell):
                return False
        return True

    # Private methods

    def _lie(self) -> tuple[Cell, int]:
        """Return where its head is, and the key of its direction, from the renders that follow its p_joined."""
        names = iter(self.birth.commands)
        for command in names:
            if command[:2] == ["p_joined", self.peer.player_id]:
                break
        renders = [command[1:] for command in names if command[0] == "render" and is_sound(command)]
        head, neck = (
            next(((x, y) for x, y, char, color in renders if (char, color) == (wanted, self.color)), None)
            for wanted in (HEAD, BODY)
        )
        keys = [key for key in STEPS if head and neck and moved(neck, key) == head]
        if head is None or not keys:
            raise NotTriedError("where the snake lies can't be told; see join")
        return head, keys[0]

    def _look(self) -> set[int]:
        return {key for key in STEPS if self.peer.field.is_open(moved(self.head, key))}

    def _follow(self, message: Message) -> None:
        if [gone for gone in message.named("p_gameover") if gone[1] == self.peer.player_id]:
            self.is_dead = True
            ahead = self.moves[-1] if self.moves else self.heading
            self.died_freely = ahead in self._open_ways and not self.peer.field.living
            return
        drawn = (HEAD, self.color)
        ways = [key for key in STEPS if self.peer.field.cells.get(moved(self.head, key)) == drawn]
        if self.peer.field.cells.get(self.head) == drawn and not ways:
            self._open_ways = self._look()
            return  # it does not move with every tick
        if len(ways) > 1 or (not ways and self._has_missed):
            raise NothingShownError("where the snake went can't be told")
        if not ways:
            raise FaultError(
                f"its head, at {self.head}, is not drawn beside that: {quote(message.text)}", "one cell on"
            )
        self.moves.append(ways[0])
        self.head = moved(self.head, ways[0])
        self._open_ways = self._look()


def join(subject: ServerUnderTest, room: str | None = None) -> TrackedPlayer:
    """Enter and join; return the player whose snake was born. Raises as :func:`ride_with` and ``enter`` do."""
    return ride_with(subject.enter(room))


def ride_with(peer: Peer) -> TrackedPlayer:
    """
    Join, and return the player whose snake was born.

    Raises:
        NotTriedError: the game is full, or no birth came.

    """
    peer.send(["join"])
    try:
        birth = peer.until(lambda message: is_birth_of(message, peer) or message.is_error, "a p_joined behind a join")
    except SilenceError as error:
        raise NotTriedError(f"{error}; see join") from error
    if birth.is_error:
        raise NotTriedError(f"join was answered by {birth.text}")
    return TrackedPlayer(peer, birth)


def is_birth_of(message: Message, peer: Peer) -> bool:
    """Whether it says that the snake of ``peer`` was born."""
    return any(born[1] == peer.player_id for born in message.named("p_joined"))


def try_often(attempt: Callable[[], None]) -> None:
    """Try until an attempt shows something; NotTriedError if none of :data:`TRIES` does."""
    for _ in range(TRIES):
        try:
            attempt()
        except NothingShownError as error:
            why = str(error)
        else:
            return
    raise NotTriedError(f"{TRIES} tries showed nothing: {why}")
