"""
Good players, and newcomers who try now and then: a process of its own that the attacks do not starve.

``python -m tests.support.attacks.bystanders PORT PLAYERS`` prints a line when all are in the room ``main``; from then
on it answers each line on stdin by the figures since the last one, as JSON, and ends with its input.

When a tick arrived is the kernel's receive stamp. Of frames that were read together only the last has one: the others
count as arrived when the server says that it sent them, so that our own lateness is not called the server's.
"""

import json
import os
import random
import select
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from loadtests.receive.stamps import ANCILLARY_BYTES, ask_for_stamps, now_us, stamp_of, stamp_us
from shared.system.descriptors import allow_many_descriptors
from tests.support.client import CLOSE, TEXT, Frame, client_frame
from tests.support.swarm import TICK, Swarm, Visitor

INPUT_CHANCE = 0.05
"""Of each player and tick."""
NEWCOMER_EVERY_S = 0.3
NEWCOMER_LIMIT_S = 30.0
ENTER_LIMIT_S = 20.0
PATIENCE_S = 600.0
"""Without a word on stdin."""


class Refusal(NamedTuple):
    """How a newcomer was turned away."""

    at_s: float
    """Since the players were asked last."""
    how: str
    after_ms: float
    """From dialling."""


@dataclass
class Figures:
    """What they saw since they were asked last; times in milliseconds."""

    seconds: float = 0.0
    silence_ms: float = 0.0
    """The longest of anybody."""
    skipped: int = 0
    """Due times that one of them saw no tick for, in one go or several."""
    ticks: int = 0
    closed: list[str] = field(default_factory=list)
    """How those went who are no longer in."""
    newcomers_ms: list[float] = field(default_factory=list)
    """From dialling to the first tick; of who still waits, so far."""
    refusals: list[Refusal] = field(default_factory=list)
    """What other newcomers were told."""
    lag_ms: float = 0.0
    """How late this process itself was at most."""


class Stamped(Visitor):
    """Somebody of whose ticks it is known when they arrived."""

    def open(self) -> None:
        super().open()
        ask_for_stamps(self.sock)
        self.read_us = 0
        self.close_code = 0
        self._space = bytearray(65536)

    def receive(self) -> bytes:
        size, ancillary, _, _ = self.sock.recvmsg_into([self._space], ANCILLARY_BYTES)
        self.read_us = stamp_us(stamp_of(ancillary))
        return bytes(memoryview(self._space)[:size])

    def take_frame(self, frame: Frame) -> None:
        if frame.opcode == CLOSE:
            self.close_code = frame.close_code
            self.send(client_frame(CLOSE, frame.payload[:2]))
        super().take_frame(frame)

    def how_it_went(self) -> str:
        """Say how it came to its end."""
        if self.answer is not None and not self.is_in:
            return f"status {self.answer.status}"
        return f"close {self.close_code}" if self.close_code else str(self.ending)


class Player(Stamped):
    """One who plays, and notes how long it heard nothing."""

    def __init__(self, number: int) -> None:
        super().__init__(name=f"good {number}")
        self.last_us = 0
        self.silence_us = 0
        self.skipped = 0
        self.count = 0
        self._chance = random.Random(number)

    def take_text(self, text: bytes) -> None:
        before = self.ticks[-1] if self.ticks else None
        super().take_text(text)
        if not text.startswith(TICK):
            return
        # Behind it there are others of the same read, whose stamp is that of the last.
        arrived_us = sent_us(text) if self._buffer else self.read_us
        self.count += 1
        self.note_silence(arrived_us)
        self.last_us = max(self.last_us, arrived_us)
        if before is not None:
            self.skipped += max(0, self.ticks[-1] - before - 1)
        del self.ticks[:-1]
        if self._chance.random() < INPUT_CHANCE:
            message = self._chance.choice((b"37", b"38", b"39", b"40", b'["join"]', b'["join"]'))
            self.send(client_frame(TEXT, message))

    def note_silence(self, until_us: int) -> None:
        """Note how long nothing has come, until then."""
        if self.last_us:
            self.silence_us = max(self.silence_us, until_us - self.last_us)


class Newcomer(Stamped):
    """One who wants to see a tick, and leaves."""

    def __init__(self, room: str) -> None:
        super().__init__(room, "newcomer")
        self.came_us = 0
        self.waited_ms: float | None = None

    def take_text(self, text: bytes) -> None:
        super().take_text(text)
        if self.ticks and self.waited_ms is None:
            self.waited_ms = (self.read_us - self.came_us) / 1000

    def dial(self, address: tuple[str, int]) -> None:
        self.came_us = now_us()
        super().dial(address)


class Bystanders:
    """All of them."""

    def __init__(self, port: int, players: int) -> None:
        self._swarm = Swarm(("127.0.0.1", port))
        self._players = [Player(number) for number in range(players)]
        self._newcomers: set[Newcomer] = set()
        self._came = 0
        self._figures = Figures()
        self._since_s = self._next_s = time.monotonic()

    def enter(self) -> None:
        """Let the players come in, a few at a time, and put their snakes in the field."""
        for first in range(0, len(self._players), 10):
            some = self._players[first : first + 10]
            self._swarm.dial(*some)
            self._swarm.run_until(lambda some=some: all(player.ticks for player in some), ENTER_LIMIT_S)  # type: ignore[misc]
        for player in self._players:
            player.send(client_frame(TEXT, b'["join"]'))

    def turn(self) -> None:
        """Take what there is, and let somebody new try if it is time."""
        began_s = time.monotonic()
        self._swarm.turn(0.01)
        self._figures.lag_ms = max(self._figures.lag_ms, (time.monotonic() - began_s - 0.01) * 1000)
        if began_s >= self._next_s:
            self._next_s = began_s + NEWCOMER_EVERY_S
            self._came += 1
            # Every other one in a room that there was not before.
            newcomer = Newcomer("main" if self._came % 2 else f"n{self._came}")
            self._newcomers.add(newcomer)
            self._swarm.dial(newcomer)
        for newcomer in list(self._newcomers):
            self._look_at(newcomer)

    def report(self) -> Figures:
        """Return the figures since the last time."""
        for _ in range(3):  # what is there already counts as come
            self._swarm.turn(0)
        now, figures = now_us(), self._figures
        for player in self._players:
            if player.ending is None:
                player.note_silence(now)
            elif player.how_it_went():
                figures.closed.append(player.how_it_went())
        figures.seconds = round(time.monotonic() - self._since_s, 3)
        figures.silence_ms = max(player.silence_us for player in self._players) / 1000
        figures.skipped = max(player.skipped for player in self._players)
        figures.ticks = sum(player.count for player in self._players)
        figures.newcomers_ms += [
            (now - newcomer.came_us) / 1000 for newcomer in self._newcomers if now - newcomer.came_us > 1_000_000
        ]
        for player in self._players:
            player.silence_us = player.skipped = player.count = 0
        self._figures, self._since_s = Figures(), time.monotonic()
        return figures

    def close(self) -> None:
        self._swarm.close()

    def _look_at(self, newcomer: Newcomer) -> None:
        waited_ms = (now_us() - newcomer.came_us) / 1000
        if newcomer.waited_ms is not None:
            self._figures.newcomers_ms.append(newcomer.waited_ms)
        elif newcomer.ending is not None or (newcomer.answer is not None and not newcomer.is_in):
            at_s = time.monotonic() - self._since_s
            self._figures.refusals.append(Refusal(at_s, newcomer.how_it_went(), waited_ms))
        elif waited_ms > NEWCOMER_LIMIT_S * 1000:
            self._figures.newcomers_ms.append(waited_ms)
        else:
            return
        self._newcomers.discard(newcomer)
        self._swarm.hang_up([newcomer], reset=True)


def sent_us(text: bytes) -> int:
    """Return when the server says that it sent a tick frame."""
    head = text[len(TICK) : len(TICK) + 60]
    return int(head.split(b",")[2].split(b"]")[0])


def main() -> None:
    port, players = int(sys.argv[1]), int(sys.argv[2])
    with suppress(OSError):  # whoever may
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    allow_many_descriptors()
    bystanders = Bystanders(port, players)
    try:
        bystanders.enter()
        print("in", flush=True)  # noqa: T201 # whoever started us waits for it
        heard_s = time.monotonic()
        while time.monotonic() < heard_s + PATIENCE_S:
            bystanders.turn()
            if select.select([0], [], [], 0)[0]:
                if not os.read(0, 100):
                    return
                heard_s = time.monotonic()
                print(json.dumps(asdict(bystanders.report())), flush=True)  # noqa: T201 # they are asked for
    finally:
        bystanders.close()


if __name__ == "__main__":
    main()
