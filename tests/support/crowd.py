"""Many who play in one room, read by one thread, so that it can be told whether each got every frame."""

import random
import selectors
import time

from tests.support.bystander import assert_no_tick_was_lost
from tests.support.client import Client, decode_commands
from tests.support.player import DOWN, LEFT, RIGHT, UP
from tests.support.server import RunningServer

INPUT_CHANCE = 0.05
"""Of each player and tick frame; well below what the server takes of one."""


class Seat(Client):
    """One of them."""

    def enter(self, name: str) -> None:
        self.ticks: list[int] = []
        self.send(["new_player", name])
        self.receive_commands()

    def take(self) -> None:
        """Take in what is there to read, and the rest of what has begun to come."""
        self._fill()
        while self._buffer:
            commands = decode_commands(self.receive_text())
            if commands[0][0] == "tick":
                self.ticks.append(commands[0][1])


class Crowd:
    """All of them; a joiner or a key now and then keeps the game going."""

    def __init__(self, server: RunningServer, size: int, room: str = "main") -> None:
        self._chance = random.Random(1)
        self._selector = selectors.DefaultSelector()
        self.seats: list[Seat] = []
        for number in range(size):
            seat = Seat(server.connect(room).sock)
            self.seats.append(seat)
            seat.enter(f"player {number}")  # at once: the server may wait for it no longer than a second
            self._selector.register(seat.sock, selectors.EVENT_READ, seat)

    def play(self, seconds: float) -> None:
        """Play for that long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for key, _ in self._selector.select(0.1):
                seat: Seat = key.data
                seat.take()
                if self._chance.random() < INPUT_CHANCE:
                    seat.send(self._chance.choice((LEFT, UP, RIGHT, DOWN, ["join"], ["join"])))

    def finish(self) -> None:
        """Read on until everybody has the latest tick that anybody has."""
        last = max(seat.ticks[-1] for seat in self.seats)
        for seat in self.seats:
            while seat.ticks[-1] < last:
                seat.take()

    def close(self) -> None:
        self._selector.close()

    def assert_nothing_was_lost(self, skipped_ticks: int) -> None:
        """Check that all got the same ticks, and that no more numbers are missing than the server skipped."""
        assert_no_tick_was_lost([seat.ticks for seat in self.seats], skipped_ticks)
