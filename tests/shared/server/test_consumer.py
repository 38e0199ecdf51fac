import json
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from shared.rooms.audience import Audience
from shared.server.config import parse_arguments
from shared.server.consumer import Consumer
from shared.server.core import ServerCore
from shared.wire.forms import World
from shared.wire.frames import Opcode
from shared.wire.messages import NewPlayer
from shared.wire.session import Outgoing, Session
from shared.wire.stalls import Stalls
from tests.shared.rooms.visitor import game_of, step

START = 5_000_000
SLOW_US = 5_000_000
"""``--slow-limit``, by default."""


class Kernel:
    """A pipe to a peer who takes what a test says."""

    socket = SimpleNamespace(fileno=lambda: 7)

    def __init__(self) -> None:
        self.stuck_bytes = 0
        self.last: list[Outgoing] | None = None

    @property
    def is_free(self) -> bool:
        return not self.stuck_bytes

    def unsent_bytes(self) -> int:
        return self.stuck_bytes

    def keep(self, rest: bytes) -> None:
        self.stuck_bytes = len(rest)

    def cut_off(self, last: list[Outgoing]) -> None:
        self.last = last


class Player(Consumer):
    """A consumer in the room ``main``."""

    pipe: Any

    def __init__(self, core: ServerCore["Player"]) -> None:
        room, _ = core.open_room("main", START)
        aborts: list[int] = []
        loop = SimpleNamespace(room=room, audience=Audience(), leave=room.leave)
        super().__init__(
            core, Session(core.config.limits, START), SimpleNamespace(abort=lambda: aborts.append(1)), loop
        )
        self.pipe = Kernel()
        self.aborts = aborts
        core.roster.add(self, START)
        message = self.session.receive_text('["new_player","ann"]', START)
        assert message is not None
        newcomer = room.receive(self, message)
        assert newcomer
        room.enter(self, newcomer, game_of(room).welcome(newcomer), START)
        self.session.take_outgoing()

    def flush(self) -> None:
        self.flushed = self.session.take_outgoing()

    @property
    def aborted(self) -> bool:
        return bool(self.aborts)

    def is_looked_at(self, now_us: int) -> None:
        """Let the server keep house, and nothing hold it up."""
        self.core.stalls = Stalls(now_us)
        self.watch(now_us)

    def misses_a_tick(self, now_us: int) -> None:
        assert self.room
        step(self.room)
        assert self.room.skip([self]) == [self]
        self.skip(now_us)


@pytest.fixture
def player() -> Iterator[Player]:
    core: ServerCore[Player] = ServerCore(parse_arguments("asyncio", ["--bots", "10"]), START, 0)
    yield Player(core)
    core.scores.close()


def test_another_descriptor_is_told_to_the_audience_and_the_same_is_not(player: Player) -> None:
    audience = player.audience
    assert audience
    audience.is_stale = False
    player.offer(-1)
    assert not audience.is_stale
    player.offer(7)
    assert audience.is_stale
    assert player.fd == 7


def test_an_empty_room_holds_nobody() -> None:
    core: ServerCore[Player] = ServerCore(parse_arguments("asyncio", []), START, 0)
    player = Player(core)
    room, audience = player.room, player.audience
    assert room
    assert audience
    audience.seat(room.recipients())  # as a tick does
    player.leave()
    player.skip(START)  # by a tick that has begun
    left = weakref.ref(player)
    del player
    assert left() is None
    core.scores.close()


def test_who_skips_is_watched_and_gets_what_it_missed_when_the_kernel_has_taken_all(player: Player) -> None:
    player.pipe.keep(b"rest")
    player.misses_a_tick(START)
    assert player.core.roster.slow == {player}
    assert not player.is_ready
    player.pipe.stuck_bytes = 0
    assert player.is_ready
    assert player.room
    missed = player.take_missed(World(game_of(player.room).look()))
    assert missed.opcode is Opcode.TEXT
    assert "world" in [command[0] for command in json.loads(missed.payload)]
    assert player.core.roster.slow == set()
    assert not player.is_ready


def test_who_is_closing_is_owed_nothing(player: Player) -> None:
    player.misses_a_tick(START)
    player.session.close(1001, "stopping", START)
    assert not player.is_ready


def test_who_would_enter_while_the_ticks_take_too_long_is_told_so_and_closed(player: Player) -> None:
    core = player.core
    assert core.roster.entered == set()
    seated = Player(core)
    seated.session = Session(core.config.limits, START)
    core.ticks.record(START, 0, 0, START + 100, START + 900_000, 50_000, 1)
    assert seated.hear(Opcode.TEXT, '["new_player","ann"]', START + 900_000) is None
    error, close = seated.session.take_outgoing()
    assert json.loads(error.payload) == [["error", "the server is busy: its ticks take too long"]]
    assert (close.opcode, seated.session.close_code) == (Opcode.CLOSE, 1013)
    assert core.counters.busy_closed == 1
    assert core.roster.entered == set()


def test_who_enters_counts_until_its_end(player: Player) -> None:
    core = player.core
    player.session = Session(core.config.limits, START)
    assert player.hear(Opcode.TEXT, "{", START) is None
    assert core.roster.entered == set()
    assert player.hear(Opcode.TEXT, '["new_player","ann"]', START) == NewPlayer("ann")
    assert core.roster.entered == {player.serial}
    core.roster.remove(player)
    assert core.roster.entered == set()


def test_whose_kernel_takes_nothing_for_the_limit_is_ended_and_counted(player: Player) -> None:
    player.pipe.keep(b"rest")
    player.misses_a_tick(START)
    player.is_looked_at(START + SLOW_US - 1)
    assert player.session.is_open
    assert player.pipe.last is None
    player.is_looked_at(START + SLOW_US)
    assert player.session.close_code == 1013
    assert player.pipe.last
    assert [outgoing.opcode for outgoing in player.pipe.last] == [Opcode.CLOSE]
    assert player.core.counters.slow_closed == 1


def test_whose_kernel_takes_something_has_the_limit_anew(player: Player) -> None:
    player.pipe.keep(b"rest")
    player.misses_a_tick(START)
    player.pipe.keep(b"r")
    player.is_looked_at(START + SLOW_US - 1)
    player.is_looked_at(START + SLOW_US)
    assert player.session.is_open
    player.is_looked_at(START + 2 * SLOW_US - 1)
    assert not player.session.is_open


def test_who_does_not_even_take_its_close_frame_is_aborted(player: Player) -> None:
    player.end_slow((), START)
    player.is_looked_at(player.session.deadline_us - 1)
    assert not player.aborted
    player.is_looked_at(player.session.deadline_us)
    assert player.aborted
    assert player.core.counters.slow_closed == 1


def test_nobody_is_slow_because_the_server_was_held_up(player: Player) -> None:
    """It has a second in which the server hands over what it could not, and then no other."""
    stalls = player.core.stalls = Stalls(START)
    player.pipe.keep(b"rest")
    player.misses_a_tick(START)
    stalls.note_turn(now_us := START + 3 * SLOW_US)
    player.watch(now_us)
    assert player.session.is_open
    for _ in range(9):
        stalls.note_turn(now_us := now_us + 100_000)
        player.watch(now_us)
    assert player.session.is_open
    stalls.note_turn(now_us := now_us + 300_000)  # held up again
    player.watch(now_us)
    assert player.session.close_code == 1013


def test_nobody_is_slow_because_the_process_stood_still(player: Player) -> None:
    stalls = player.core.stalls = player.session._stalls = Stalls(now_us := START, lambda: 0)
    player.pipe.keep(b"rest")
    player.misses_a_tick(START)
    for _ in range(10):
        stalls.note_turn(now_us := now_us + 2 * SLOW_US)
        player.watch(now_us)
        stalls.note_turn(now_us := now_us + 100_000)
        player.watch(now_us)
    assert player.session.is_open
    for _ in range(50):
        stalls.note_turn(now_us := now_us + 100_000)
        player.watch(now_us)
    assert player.session.close_code == 1013


def test_who_takes_something_is_spared_again_when_the_server_is_held_up_again(player: Player) -> None:
    stalls = player.core.stalls = Stalls(now_us := START)
    player.pipe.keep(b"rest")
    player.misses_a_tick(START)
    for rest in (b"res", b"re", b"r"):
        stalls.note_turn(now_us := now_us + 3 * SLOW_US)
        player.watch(now_us)
        player.pipe.keep(rest)
        player.watch(now_us)
    assert player.session.is_open


def test_who_may_have_answered_our_close_frame_is_not_aborted_before_that_was_read(player: Player) -> None:
    stalls = player.core.stalls = player.session._stalls = Stalls(START)
    player.end_slow((), START)
    stalls.note_turn(now_us := START + 3_000_000)
    player.watch(now_us)
    player.watch(now_us + 999_999)
    assert not player.aborted
    player.watch(now_us + 1_000_000)
    assert player.aborted


def test_who_is_owed_too_much_is_ended(player: Player) -> None:
    for n in range(20_000):
        player.pipe.keep(b"x" * (1 + n % 2))  # it takes a little, always
        player.misses_a_tick(START)
        player.is_looked_at(START)
        if not player.session.is_open:
            break
    assert player.session.close_code == 1013


def test_of_what_waits_a_slow_one_gets_the_close_frame_only(player: Player) -> None:
    waiting = [Outgoing(Opcode.TEXT, b"[]"), Outgoing(Opcode.PONG, b"x")]
    player.end_slow(waiting, START)
    assert player.pipe.last
    assert [outgoing.opcode for outgoing in player.pipe.last] == [Opcode.CLOSE]


def test_ticks_may_be_written_while_the_kernel_takes_them_and_the_session_is_open(player: Player) -> None:
    player.update(takes_frame=True)
    assert player.fd == 7
    player.update(takes_frame=False)
    assert player.fd == -1
    player.misses_a_tick(START)
    player.update(takes_frame=True)
    assert player.fd == -1, "it is behind"
    player.take_missed(World(b"[]"))
    player.session.close(1001, "stopping", START)
    player.update(takes_frame=True)
    assert player.fd == -1


def test_nothing_is_drained_while_a_message_waits(player: Player) -> None:
    assert player.is_drained
    player.put(Outgoing(Opcode.PONG, b""))
    assert not player.is_drained
    player.outbox.take()
    player.pipe.keep(b"rest")
    assert not player.is_drained


def test_who_is_due_is_pinged_and_who_answers_no_ping_is_aborted(player: Player) -> None:
    limits = player.core.config.limits
    for _ in range(limits.max_missed_pings):
        player.wake(player.session.deadline_us)
        assert [outgoing.opcode for outgoing in player.flushed] == [Opcode.PING]
        assert player.wakes_us == player.session.deadline_us
    assert not player.aborted
    player.wake(player.session.deadline_us)
    assert player.aborted
    assert player.flushed == []
