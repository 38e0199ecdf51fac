"""
A player whose snake is followed across the field: where it went, and how it died.

How fast snakes are is up to the server: one move takes a tick or more. If the machine is busy or a wall is near, a try
may show nothing, and is then to be made again in another room.
"""

import time
from collections.abc import Iterable
from itertools import dropwhile

from tickbench.conformance.field import BACK, BODY, HEAD, SIDE, STEPS, Cell, moved
from tickbench.conformance.peer import Peer, PeerMessage, SilenceError
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.shapes import is_sound
from tickbench.conformance.verdict import FaultError, NothingShownError, NotTriedError, quote

SLOWEST_MOVE_S = 3.0
"""A snake that stands still for longer has something in its way."""


class TrackedPlayer:
    """The snake of ``peer``, born with the tick frame ``birth``."""

    def __init__(self, peer: Peer, birth: PeerMessage) -> None:
        self.peer = peer
        self.moves: list[int] = []
        """The key of the direction of each move. Most ticks may bring no move."""
        self.is_dead = False
        self.died_freely = False
        """It died though the cell ahead was free, and nobody else was there."""
        self._has_missed = False
        self._color = peer.field.living[peer.player_id].color
        self.head, self.heading = self._lie(birth)
        self._open_ways = self._look()

    def send_keys(self, ways: Iterable[str | int]) -> None:
        """Send keys: codes, or ``ahead``, ``side``, ``back``, ``other`` (the other side)."""
        self.peer.send(*map(self.key, ways))

    def turn(self, way: str) -> None:
        """Send the key of a way, unless the snake heads there already."""
        self.send_keys([way] if way != "ahead" else [])

    def key(self, way: str | int) -> int:
        """Return the code of a key that is named relative to the first direction; a code is returned as it is."""
        side = SIDE[self.heading]
        names = {"ahead": self.heading, "side": side, "back": BACK[self.heading], "other": BACK[side]}
        return names[way] if isinstance(way, str) else way

    def settle(self) -> int:
        """Wait until the server has taken all that was sent; return how many moves were seen by then."""
        self.peer.send(["ping", 1])
        until = time.monotonic() + self.peer.patience_s
        while not self.read().has("pong"):
            if time.monotonic() > until:
                raise SilenceError("the answer to a ping did not come")
        return len(self.moves)

    def ride(self, moves: int) -> None:
        """Read on for so many moves, or to its death; NothingShownError if it stands still."""
        wanted, until = len(self.moves) + moves, time.monotonic() + moves * SLOWEST_MOVE_S
        while len(self.moves) < wanted and not self.is_dead:
            if time.monotonic() > until:
                raise NothingShownError("the snake stood still")
            self.read()

    def read(self) -> PeerMessage:
        """Take the next message in."""
        message = self.peer.next("a tick frame")
        self._has_missed |= message.has("world")  # the server skipped ticks for it
        if message.ticks and not self.is_dead:
            self._follow(message)
        return message

    def need_life(self) -> None:
        """Raise NothingShownError if it has died."""
        if self.is_dead:
            raise NothingShownError("the snake died too early")

    def cells_ahead(self, way: str) -> int:
        """Return how many cells in a row are open in that direction."""
        steps, key = 0, self.key(way)
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

    def _lie(self, birth: PeerMessage) -> tuple[Cell, int]:
        """Return where its head is, and the key of its direction, from the renders that follow its p_joined."""
        born = dropwhile(lambda command: command[:2] != ["p_joined", self.peer.player_id], birth.commands)
        renders = [command[1:] for command in born if command[0] == "render" and is_sound(command)]
        cells = {(char, color): (x, y) for x, y, char, color in reversed(renders)}
        head, neck = cells.get((HEAD, self._color)), cells.get((BODY, self._color))
        keys = [key for key in STEPS if head and neck and moved(neck, key) == head]
        if head is None or not keys:
            raise NotTriedError("where the snake lies can't be told; see join")
        return head, keys[0]

    def _look(self) -> set[int]:
        return {key for key in STEPS if self.peer.field.is_open(moved(self.head, key))}

    def _follow(self, message: PeerMessage) -> None:
        if message.tells_of("p_gameover", self.peer.player_id):
            self.is_dead = True
            ahead = self.moves[-1] if self.moves else self.heading
            self.died_freely = ahead in self._open_ways and not self.peer.field.living
            return
        cells, drawn = self.peer.field.cells, (HEAD, self._color)
        ways = [key for key in STEPS if cells.get(moved(self.head, key)) == drawn]
        if len(ways) > 1 or (not ways and self._has_missed and cells.get(self.head) != drawn):
            raise NothingShownError("where the snake went can't be told")
        if ways:
            self.moves.append(ways[0])
            self.head = moved(self.head, ways[0])
        elif cells.get(self.head) != drawn:
            seen = f"its head, at {self.head}, is not drawn beside that: {quote(message.text)}"
            raise FaultError(seen, "one cell on")
        # Else it stood still: it does not move with every tick.
        self._open_ways = self._look()


def play(server: ServerUnderTest, room: str | None = None) -> TrackedPlayer:
    """Enter and join; return the player whose snake was born. Raises as :func:`play_with` and ``enter`` do."""
    return play_with(server.enter(room))


def play_with(peer: Peer, *behind: object) -> TrackedPlayer:
    """
    Join, and send what comes ``behind`` that at once; return the player whose snake was born.

    NotTriedError if the game is full, or no birth comes.
    """
    try:
        return TrackedPlayer(peer, await_birth(peer, *behind))
    except SilenceError as error:
        raise NotTriedError(f"{error}; see join") from error


def await_birth(peer: Peer, *behind: object) -> PeerMessage:
    """Join, and return the message that tells of the birth; NotTriedError if an error comes in its place."""
    peer.send(["join"], *behind)
    birth = peer.until(
        lambda message: message.tells_of("p_joined", peer.player_id) or message.is_error, "its p_joined behind a join"
    )
    if birth.is_error:
        raise NotTriedError(f"join was answered by {birth.text}")
    return birth
