"""One who stops reading is nobody else's trouble, catches up when it reads again, and is ended when it never does."""

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.conftest import Serve
from tests.support.bystander import assert_every_tick_came
from tests.support.client import CLOSE, PING, PONG, TEXT, Frame
from tests.support.player import Player
from tests.support.server import RunningServer, wait_until

pytestmark = [pytest.mark.differs("condition"), pytest.mark.framework("library")]

QUICK = ("--tick-rate", "50", "--tick-budget", "0")
STUCK_BYTES = 4096
"""Of a receive buffer: a peer that does not read is soon stuck."""

TICKS_A_LOOK = 10
"""For readers to keep up: what comes while the server is asked must be fewer."""
SLOW_LIMIT_S = 0.5


@pytest.fixture(params=["frame-once", "library"])
def fanout(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def stall(server: RunningServer, name: str = "stalled") -> Player:
    """Return somebody who has entered and has not read a word of it."""
    player = server.connect("main", receive_buffer_bytes=STUCK_BYTES)
    player.send(["new_player", name])
    return player


def wait_for_skips(server: RunningServer, count: int) -> None:
    skips = server.stats()["slow_skips"]
    wait_until(lambda: server.stats()["slow_skips"] >= skips + count, 20)


def frames_to_the_end(player: Player) -> Iterator[Frame]:
    """Yield whole frames until the stream ends, which must be behind one, unless it is a reset."""
    with suppress(ConnectionError):  # a reset may eat anything
        try:
            while True:
                yield player.receive_frame()
        except EOFError:
            assert not player.is_within_a_frame


def assert_shows_the_same(player: Player, onlooker: Player) -> None:
    """Let both read up to the same tick, and compare what they show."""
    while (n := player.ticks[-1].n) != onlooker.ticks[-1].n:
        (player if n < onlooker.ticks[-1].n else onlooker).next_tick()
    assert player.board == onlooker.board


def read_on(readers: list[Player], ticks: int) -> None:
    """Let all read about as many ticks, side by side."""
    for _ in range(ticks):
        for reader in readers:
            reader.next_tick()


def test_one_who_does_not_read_holds_up_nobody(serve: Serve, fanout: str) -> None:
    # At the usual rate: readers who fall behind because the machine is busy are slow, too.
    with serve("--fanout", fanout, "--pad", "20000", "--slow-limit", "60", "--tick-budget", "0") as server:
        others = [server.enter("main") for _ in range(3)]
        others[0].join()
        stall(server)

        def is_skipped() -> bool:
            read_on(others, TICKS_A_LOOK)
            return bool(server.stats()["slow_skips"] > 3)

        wait_until(is_skipped, 20)
        read_on(others, 10)
        for other in others:
            assert_every_tick_came(other, server, "main")
            assert not other.catch_ups
        assert server.room_stats("main")["members"] == 4  # type: ignore[index] # it is open: they are in it


@pytest.mark.differs("condition", "thread", "process")
def test_one_who_reads_again_finds_whole_frames_and_catches_up(serve: Serve, fanout: str) -> None:
    with serve("--fanout", fanout, "--pad", "20000", "--bots", "10", "--field", "20x11", *QUICK) as server:
        onlooker, slow = server.enter("main", "onlooker"), stall(server)

        def is_skipped() -> bool:
            onlooker.next_tick()
            return bool(server.stats()["slow_skips"] >= 30)

        wait_until(is_skipped, 20)
        slow.board.apply(slow.receive_commands())  # the welcome
        tick = slow.next_tick()
        while (later := slow.next_tick()).n == tick.n + 1:
            assert later.named("pad") == tick.named("pad")
            tick = later
        assert later.n > tick.n + 1
        assert len(later.named("pad")[0][1]) == 20000
        (missed,) = slow.catch_ups
        assert [command[0] for command in missed].count("world") == 1
        assert [command[0] for command in missed].count("top_scores") <= 1
        assert not {command[0] for command in missed} & {"render", "reset_world", "tick", "pad"}
        assert_shows_the_same(slow, onlooker)


def test_one_who_never_reads_is_ended(serve: Serve, fanout: str) -> None:
    with serve("--fanout", fanout, "--pad", "20000", "--slow-limit", str(SLOW_LIMIT_S), *QUICK) as server:
        fds = server.stats()["process"]["fds"]
        players = [stall(server) for _ in range(3)]
        wait_until(lambda: server.stats()["slow_skips"], 20)
        skipped_s = time.monotonic()
        wait_until(lambda: server.stats()["process"]["fds"] <= fds)
        assert SLOW_LIMIT_S - 0.2 < time.monotonic() - skipped_s < SLOW_LIMIT_S + 3, "1.5 s on a quiet machine"
        stats = server.stats()
        assert (stats["slow_closed"], stats["closed"], stats["connections"]) == (3, {"1013": 3}, 0)
        codes = []
        for player in players:
            frames = list(frames_to_the_end(player))
            assert [frame.opcode for frame in frames[:-1]] == [TEXT] * (len(frames) - 1)
            codes += [frame.close_code for frame in frames[-1:] if frame.opcode == CLOSE]
        assert codes, "the kernel takes twenty thousand bytes and a close frame"
        assert set(codes) == {1013}


def test_one_who_reads_a_little_now_and_then_stays(serve: Serve, fanout: str) -> None:
    with serve("--fanout", fanout, "--pad", "20000", "--slow-limit", str(SLOW_LIMIT_S), *QUICK) as server:
        slow = stall(server)
        until = time.monotonic() + 3 * SLOW_LIMIT_S
        while time.monotonic() < until:
            slow.receive_frame()
            time.sleep(SLOW_LIMIT_S / 10)
        stats = server.stats()
        assert stats["slow_skips"] > 10
        assert stats["slow_closed"] == 0
        assert stats["connections"] == 1


def test_who_asks_and_asks_and_does_not_read_is_ended(serve: Serve, fanout: str) -> None:
    """Sixteen answers of its own may wait, and the newest pong."""
    with serve("--fanout", fanout, "--pad", "20000", "--slow-limit", "60", *QUICK) as server:
        stuck = stall(server)
        wait_for_skips(server, 5)
        for number in range(30):
            stuck.send_frame(PING, b"%d" % number)
        for number in range(16):
            stuck.send(["ping", number])
        wait_for_skips(server, 5)
        assert server.stats()["slow_closed"] == 0
        stuck.send(["ping", 16])
        wait_until(lambda: server.stats()["connections"] == 0)
        assert server.stats()["slow_closed"] == 1
        assert server.stats()["closed"] == {"1013": 1}


def test_answers_wait_for_their_turn_and_come_in_order(serve: Serve, fanout: str) -> None:
    with serve("--fanout", fanout, "--pad", "20000", "--slow-limit", "60", *QUICK) as server:
        slow = stall(server)
        wait_for_skips(server, 5)
        for number in range(8):
            slow.send_frame(PING, b"%d" % number)
            slow.send(["ping", number])
        wait_for_skips(server, 5)
        pongs: list[bytes] = []
        answers: list[bytes] = []
        while len(answers) < 8 or not pongs:
            frame = slow.receive_frame()
            if frame.opcode == PONG:
                pongs.append(frame.payload)
            elif frame.payload.startswith(b'[["pong"'):
                answers.append(frame.payload.split(b",")[1])
        assert answers == [b"%d" % number for number in range(8)]
        assert pongs == [b"7"]
        slow.catch_ups.clear()
        slow.ping()
        assert len(slow.catch_ups) <= 1
