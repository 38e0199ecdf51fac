"""One who stalls and reads on shows what all others show: the board, the score board and the top scores."""

import json
import random
import time
from typing import Any

import pytest

from tests.conftest import FULL_SIZE, Serve
from tests.support.client import TEXT, client_frame, decode_commands
from tests.support.player import Board
from tests.support.server import RunningServer
from tests.support.swarm import Swarm, Visitor

pytestmark = pytest.mark.differs("condition", "thread", "process")

STALLS, WATCHERS, STALL_S = (1000, 40, (3.0, 3.0)) if FULL_SIZE else (24, 8, (0.3, 0.6))
READING_S = (0.1, 0.5)
"""Between two stalls."""

TICK_RATE_HZ = 50
FLAGS = ("--tick-rate", str(TICK_RATE_HZ), "--tick-budget", "0", "--slow-limit", "60", "--pad", "3000")
GAME = ("--bots", "6", "--field", "20x11", "--max-players", "16")
KEPT_TICKS = 20 * TICK_RATE_HZ
"""What the reader remembers; a stall is shorter."""

STUCK_BYTES = 4096
JOIN = client_frame(TEXT, b'["join"]')

Picture = tuple[Any, ...]
"""What a page shows."""


class Watcher(Visitor):
    """
    One who draws what it is told and keeps what it showed after each tick.

    Who ``plays`` joins whenever its snake is dead, and turns by chance.
    """

    receive_buffer_bytes = STUCK_BYTES

    def __init__(self, number: int, *, plays: bool) -> None:
        super().__init__(name=f"{number}")
        self.number = number
        self.plays = plays
        self.board = Board()
        self.shown: dict[int, Picture] = {}  # by tick
        self.catch_ups = 0
        self.stalls = 0
        self.turns_s = 0.0  # when it stalls or reads on
        self._player_id = 0
        self._chance = random.Random(f"stalls/{number}")

    def take_text(self, text: bytes) -> None:
        super().take_text(text)
        commands = decode_commands(text.decode())
        self.board.apply(commands)
        if commands[0][0] == "tick":
            self.shown[self.ticks[-1]] = picture(self.board)
            self._play()
        elif commands[0][0] == "world":
            self.catch_ups += 1
        elif commands[0][0] == "handshake":
            self._player_id = commands[0][2]

    def go_on(self, now_s: float) -> None:
        """Stall, or read on, if it is time."""
        if self.turns_s > now_s or not self.ticks:
            return
        if self._reads:
            self.stall()
            self.stalls += 1
            self.turns_s = now_s + self._chance.uniform(*STALL_S)
        else:
            self.read_on()
            self.turns_s = now_s + self._chance.uniform(*READING_S)

    def _play(self) -> None:
        if self.plays and self._chance.random() < 0.2:
            is_alive = self._player_id in self.board.alive
            self.send(client_frame(TEXT, b"%d" % self._chance.randint(37, 40)) if is_alive else JOIN)


class Reader(Watcher):
    """One who reads everything."""

    receive_buffer_bytes = 0

    def take_text(self, text: bytes) -> None:
        super().take_text(text)
        if len(self.shown) > KEPT_TICKS:
            del self.shown[next(iter(self.shown))]


def picture(board: Board) -> Picture:
    """Return what is to be seen: the field, who is alive with which score, and the top scores."""
    living = {player_id: (shown, board.scores[player_id]) for player_id, shown in board.alive.items()}
    return frozenset(board.cells.items()), living, board.top_scores


def compare(watchers: list[Watcher], reader: Reader) -> int:
    """Compare what each showed since the last time with what the reader did; return how many ticks those were."""
    compared = 0
    for watcher in watchers:
        for n in [n for n in watcher.shown if n <= reader.ticks[-1]]:
            shown = watcher.shown.pop(n)
            if n in reader.shown:
                assert shown == reader.shown[n], f"watcher {watcher.number} after tick {n}"
                compared += 1
            else:
                assert reader.catch_ups, f"nobody told the reader of tick {n}"
    return compared


def assert_scores_are_the_same(swarm: Swarm, server: RunningServer, reader: Reader) -> None:
    """Ask for the top scores while the game goes on: they are what the reader shows at about that tick."""
    first = reader.ticks[-1]
    rows = json.loads(server.request("/scores").body)["rooms"]["main"]
    stats = server.room_stats("main")
    assert stats is not None
    swarm.run_until(lambda: reader.ticks[-1] >= stats["n"])
    assert rows
    assert rows in [top_scores for n, (*_, top_scores) in reader.shown.items() if n >= first]


@pytest.fixture(params=["frame-once", "library"])
def fanout(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.timeout(600 if FULL_SIZE else 120)
def test_its_board_is_the_server_s_whenever_it_stalls(serve: Serve, fanout: str) -> None:
    with serve("--fanout", fanout, *FLAGS, *GAME) as server, Swarm(server.address) as swarm:
        reader = Reader(0, plays=False)
        swarm.dial(reader)
        swarm.run_until(lambda: reader.ticks)
        watchers = [Watcher(number, plays=number % 2 == 0) for number in range(1, WATCHERS + 1)]
        swarm.dial(*watchers)
        until_s = time.monotonic() + 5 * (STALL_S[1] + READING_S[1]) * (STALLS / WATCHERS)
        compared = 0
        while sum(watcher.stalls for watcher in watchers) < STALLS:
            now_s = time.monotonic()
            assert now_s < until_s, "they stall too little"
            for watcher in watchers:
                watcher.go_on(now_s)
            swarm.turn(0.01)
            compared += compare(watchers, reader)

        for watcher in watchers:
            watcher.read_on()
        last = reader.ticks[-1] + 10
        swarm.run_until(lambda: min(visitor.ticks[-1] for visitor in (reader, *watchers)) >= last, 30)
        compared += compare(watchers, reader)
        assert not [watcher.ending for watcher in watchers if watcher.ending]
        assert_scores_are_the_same(swarm, server, reader)

        catch_ups = sum(watcher.catch_ups for watcher in watchers)
        assert catch_ups > STALLS / 2
        assert compared > STALLS
        if FULL_SIZE:
            print(  # noqa: T201 # the figures are asked for
                f"\n{server.backend} {fanout}: {STALLS} stalls of {STALL_S[0]:.0f} s, {catch_ups} catch-ups, "
                f"{server.stats()['slow_skips']} frames skipped; {compared} pictures are the server's"
            )
