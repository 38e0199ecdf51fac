"""What every user of the load is: one connection to the game. What a user does with it stands in locustfile.py."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from locust import User
from locust.exception import StopUser

from loadtests.board import Board

if TYPE_CHECKING:
    from locust.env import Environment

    from loadtests.run import LoadRun


class SnakeUser(User):
    """Comes to the game when it is its turn, and leaves in good order."""

    abstract = True
    run_of_load: ClassVar[LoadRun]
    """The run that is on."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.connection, self.room = self.run_of_load.connection(self.on_text if self.listens() else None)

    def on_start(self) -> None:
        """Connect, and wait for the first tick."""
        self.run_of_load.wait_turn()
        self.connection.open(self.run_of_load.options.connect_timeout_s)

    def on_stop(self) -> None:
        """Leave."""
        self.connection.close()

    def stay_to_the_end(self) -> None:
        """Do nothing until the connection is over."""
        self.connection.wait_end()
        raise StopUser

    def leave_if_over(self) -> None:
        """Go if the connection is over."""
        if not self.connection.ticking:
            raise StopUser

    def listens(self) -> bool:
        """Return whether this kind of user looks into the messages it gets."""
        return False

    def on_text(self, n: int, text: bytes) -> None:
        """Look into a message: that of tick ``n``, or (n is -1) another. Called in the hub: never wait here."""


class SnakePlayer(SnakeUser):
    """Sees the field, and has a snake on it now and then."""

    abstract = True
    boards: ClassVar[defaultdict[str, Board]] = defaultdict(Board)
    """One a room: all in it see the same."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.board = self.boards[self.room]
        self.player_id: int | None = None

    def join(self) -> None:
        """Ask for a snake; the game ignores it while one's snake lives or waits to be born."""
        self.connection.send_text(b'["join"]')

    def press(self, key: int) -> None:
        """Press a key, by its code."""
        self.connection.send_text(b"%d" % key)

    def is_alive(self) -> bool:
        """Return whether the player's snake is in the field."""
        return self.player_id in self.board.heads

    def way_out(self, seconds: float) -> int | None:
        """Return the key to press so that the snake lives ``seconds`` longer, None if it does anyway."""
        if self.player_id is None:
            return None
        cells = math.ceil(seconds * self.run_of_load.tick_rate_hz)
        return self.board.way_out(self.player_id, lookahead=cells + 2)  # on its way a key takes a tick or two

    def listens(self) -> bool:
        """Return True: players look where they are going."""
        return True

    def on_text(self, n: int, text: bytes) -> None:
        """Learn who one is, and what the field looks like."""
        if n < 0 and self.player_id is None:
            self.player_id = _player_id(text)
        self.board.take(n, text)


def _player_id(text: bytes) -> int | None:
    """Return the player id from the message that begins with ``handshake``, None from any other."""
    try:
        match msgspec.json.decode(text):
            case [["handshake", str(), int(player_id)], *_]:
                return player_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass  # the connection's own checks object to it
    return None


def forget_boards(**_: Any) -> None:
    """Begin a new run: rooms of the last one are gone."""
    SnakePlayer.boards.clear()
