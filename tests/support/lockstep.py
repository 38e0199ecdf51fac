"""
Ten players in lock-step with the ticks of a room, so that a run can be repeated input by input on another server.

Each input is sent right after a tick frame, and proven to be taken before the next step: a ping follows it, whose pong
must be stamped before the next tick is due. What is sent depends on a seed and on what the commands told, not on time.
In between nobody says a word, until the last snake has died: so a round ends, and another begins.
"""

import hashlib
import random
from dataclasses import dataclass

from tests.support.client import Client, Commands, decode_commands
from tests.support.player import DOWN, LEFT, RIGHT, UP, TickFrame
from tests.support.server import RunningServer

PLAYERS = 10
KEYS = (LEFT, UP, RIGHT, DOWN)
SPEAKERS = ((1, 1, 2, 3), (0,))
"""How many say something in a step: one of these, by the step's number modulo 2.

More would take longer than there is time on a busy machine; the steps in which nobody speaks make up for a late one.
"""


class SlippedError(Exception):
    """An input was not proven to be taken before the next step: the machine was too busy, run it over."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to; ``digest`` is the SHA-256 of all commands that the spectator got, the tick command apart."""

    digest: str
    births: int
    deaths: int
    scored: int
    resets: int


class Seat(Client):
    """A place in the room. It looks no further into a tick frame than it must: there is little time between two."""

    def enter(self, name: str) -> None:
        self.send(["new_player", name])
        ((_, _, self.player_id), *self.welcome) = self.receive_commands()
        self.n = -1  # the latest tick that came

    def next_commands(self) -> Commands:
        """Return the next message for this connection alone; take note of the ticks before it."""
        while (text := self.receive_text()).startswith('[["tick",'):
            self.n = int(text[9 : text.index(",", 9)])
        return decode_commands(text)

    def say(self, message: object, n: int) -> int:
        """Send an input; return when the server had taken it, SlippedError unless before the tick behind ``n``."""
        self.send(message)
        self.send(["ping", n])
        while (commands := self.next_commands())[0][:2] != ["pong", n]:
            assert commands[0][0] == "error", commands
        if self.n > n:
            raise SlippedError
        taken_us: int = commands[0][2]
        return taken_us


class Lockstep:
    """
    One run over ``steps`` steps.

    What the server takes has to be on its way for ``margin_us`` less than there is time: to the owner of the room, if
    that is another one.
    """

    def __init__(self, server: RunningServer, steps: int, seed: int = 1, margin_us: int = 0) -> None:
        self._steps = steps
        self._margin_us = margin_us
        self._chance = random.Random(seed)
        self._spectator = server.enter("lockstep", "spectator")
        self._taken_us = 0  # when the last input was
        self._players = [Seat(server.connect("lockstep").sock) for _ in range(PLAYERS)]

    def run(self) -> Outcome:
        """
        Play, and return what the spectator saw.

        Raises:
            SlippedError: run it over, on a fresh server.

        """
        for number, player in enumerate(self._players):
            player.enter(f"player {number}")
        # Steps without a snake change nothing and draw no random number: how many came so far does not matter.
        self._spectator.ping()
        self._spectator.next_tick()
        first, hush = len(self._spectator.ticks), False
        for step in range(self._steps):
            n = self._spectator.ticks[-1].n
            hush = (hush or step == self._steps // 3) and bool(self._spectator.board.alive)
            speakers = 0 if hush else self._chance.choice(SPEAKERS[step % 2])
            for player in self._chance.sample(self._players, speakers):
                self._act(player, n)
            # A step takes what has come by when it is due, or a little later: in a thread or another process it may
            # have begun while we were still being answered.
            if self._taken_us + self._margin_us >= self._spectator.next_tick().due_us:
                raise SlippedError
        return self._outcome(self._spectator.ticks[first:])

    def _act(self, player: Seat, n: int) -> None:
        """Have a player steer, or join if it has no snake."""
        is_alive = player.player_id in self._spectator.board.alive
        self._taken_us = player.say(self._chance.choice(KEYS) if is_alive else ["join"], n)

    def _outcome(self, ticks: list[TickFrame]) -> Outcome:
        digest = hashlib.sha256()
        for tick in ticks:
            # As bytes, not as what they mean: the frame without its tick command.
            digest.update(tick.text.partition("]")[2].encode())
        counts = {
            name: sum(len(tick.named(name)) for tick in ticks)
            for name in ("p_joined", "p_gameover", "p_score", "reset_world")
        }
        return Outcome(digest.hexdigest(), *counts.values())
