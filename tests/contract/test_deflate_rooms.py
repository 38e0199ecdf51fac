"""
Rooms whose members agreed on different things: whoever comes, plays, stalls and goes, all are told the same.

Every frame is inflated by the letter (:mod:`tests.support.deflating_client`), so that none that is torn, or that refers
to what its reader was not sent, passes here.
"""

import random
import signal
from collections.abc import Sequence
from contextlib import suppress

import pytest

from tests.conftest import DEFLATES, Serve
from tests.support.bystander import assert_every_tick_came, undisturbed
from tests.support.client import CLOSE, PING, PONG, TEXT, Frame
from tests.support.deflating_client import AS_BROWSERS, NAME, DeflatingPlayer, Packer, in_pieces, open_echo, open_room
from tests.support.player import DOWN, LEFT, RIGHT, UP
from tests.support.server import RunningServer, wait_until

STUCK_BYTES = 4096
"""Of a receive buffer: a peer that does not read is soon stuck."""
SLOW_LIMIT_S = 1.5
TICKS_A_LOOK = 10
"""For those who read to keep up, whatever the machine does."""
LEAST_MISSED = 25
"""Ticks that those who read again have missed at least."""
WITH_BOTS = ("--bots", "10", "--tick-rate", "50", "--tick-budget", "0")
BUSY = ("--bots", "10", "--field", "20x11", "--tick-rate", "100", "--tick-budget", "0")
"""As compressed frames are short, it takes many to make somebody stuck."""
PADDED = (*WITH_BOTS, "--pad", "20000")
"""Of more bytes than aiohttp compresses on the event loop."""

OFFERS: list[tuple[str, ...]] = [
    (),
    (AS_BROWSERS,),
    ("permessage-bzip2",),
    (NAME,),
    (f"{NAME}; client_no_context_takeover; client_max_window_bits",),
    (f"{NAME}; server_no_context_takeover",),
    *(
        (f"{NAME}; server_max_window_bits={bits}; server_no_context_takeover",) for bits in range(9, 15)
    ),  # of 15 aiohttp says nothing
    (f"{NAME}; server_max_window_bits=8",),
]


def enter(server: RunningServer, room: str, *offers: str) -> DeflatingPlayer:
    player = open_room(server, room, *offers)
    player.enter("member")
    return player


def texts(player: DeflatingPlayer) -> dict[int, str]:
    return {tick.n: tick.text for tick in player.ticks}


def assert_ticks_are_the_same(players: Sequence[DeflatingPlayer]) -> dict[int, str]:
    """Check that a tick is the same text to all who were told it; return all."""
    told: dict[int, str] = {}
    for player in players:
        for n, text in texts(player).items():
            assert told.setdefault(n, text) == text
    return told


def assert_all_were_told_the_same(players: Sequence[DeflatingPlayer]) -> None:
    """Check also that those who were there at the same time missed none."""
    told = assert_ticks_are_the_same(players)
    for player in players:
        numbers = [tick.n for tick in player.ticks]
        assert numbers == sorted(n for n in told if numbers[0] <= n <= numbers[-1])


def read_to_the_same(players: Sequence[DeflatingPlayer]) -> None:
    """Let all read on to one tick."""
    last = max(player.next_tick().n for player in players)
    for player in players:
        while player.ticks[-1].n < last:
            player.next_tick()


def assert_shows_the_same(player: DeflatingPlayer, onlooker: DeflatingPlayer) -> None:
    while (n := player.ticks[-1].n) != onlooker.ticks[-1].n:
        (player if n < onlooker.ticks[-1].n else onlooker).next_tick()
    assert player.board == onlooker.board


@pytest.mark.framework
@pytest.mark.differs("condition", "thread", "process")
def test_all_are_told_the_same_in_their_form(deflating: RunningServer, room: str) -> None:
    players = [enter(deflating, room, *offers) for offers in OFFERS]
    for player in players[:8]:
        player.send(["join"])
    chance = random.Random(room)
    for _ in range(30):
        for player in players:
            player.next_tick()
            assert player.agreement or not player.was_packed
        chance.choice(players).send(chance.choice((LEFT, UP, RIGHT, DOWN)))
    read_to_the_same(players)
    assert_all_were_told_the_same(players)
    assert len({repr(player.board) for player in players[1:] if player.ticks[-1].n == players[0].ticks[-1].n}) == 1


@pytest.mark.framework
@pytest.mark.differs("condition", "thread", "process")
def test_every_frame_is_compressed_for_who_agreed_and_none_for_others(serve: Serve, deflate: str) -> None:
    with serve(*DEFLATES[deflate], *WITH_BOTS) as server:
        assert server.stats()["settings"]["deflate"] == deflate
        players = [enter(server, "main", *offers) for offers in OFFERS[:7]]
        for player in players:
            has_agreed = player.agreement is not None
            assert player.was_packed is has_agreed, "a world"
            wire_bytes = text_bytes = 0
            for _ in range(20):
                text_bytes += len(player.next_tick().text)
                wire_bytes += player.wire_bytes
                assert player.was_packed is has_agreed
            assert not has_agreed or wire_bytes < text_bytes * 0.4
        assert [player.agreement is not None for player in players] == [False, True, False, True, True, True, True]
        assert_ticks_are_the_same(players)


@pytest.mark.framework("on")
@pytest.mark.differs("condition", "thread", "process")
def test_long_texts_come_in_order_and_none_behind_a_close(serve: Serve, deflate: str) -> None:
    """Some frameworks compress what is longer than 16 KiB in a thread; what is sent meanwhile waits."""
    with serve(*DEFLATES[deflate], *PADDED) as server:
        player = enter(server, "main", AS_BROWSERS)
        for number in range(20):
            player.send(["ping", number])
            assert player.next_personal()[0][:2] == ["pong", number]
        server.signal(signal.SIGTERM)
        assert player.expect_close() == 1001
        assert server.wait() == 0
    numbers = [tick.n for tick in player.ticks]
    assert numbers == sorted(set(numbers))


@pytest.mark.framework
@pytest.mark.differs
def test_a_room_agrees_on_what_echo_does(deflating: RunningServer, room: str, deflate: str) -> None:
    """Which is made all offers that there are, in test_deflate_offers.py."""
    odd = [(f"{NAME}; unheard_of",), (f"{NAME}; server_max_window_bits",), ("; ,",)] if deflate == "once" else []
    for offers in [*OFFERS, *odd]:
        player = open_room(deflating, room, *offers)
        assert player.agreement == open_echo(deflating, *offers).agreement
        assert offers not in odd or player.agreement is None
        player.enter()
        player.next_tick()


@pytest.mark.differs("condition", "thread", "process")
def test_who_comes_and_goes_changes_nobody_elses_form(deflating: RunningServer, room: str) -> None:
    """Some go with a word, some by a reset, some in the midst of a message; others come in their places."""
    chance = random.Random(room)
    with undisturbed(deflating, room) as bystander:
        stayed = [enter(deflating, room, *offers) for offers in OFFERS[:8]]
        for number in range(24):
            guest = enter(deflating, room, *OFFERS[number % len(OFFERS)])
            guest.send(["join"])
            for player in (guest, *stayed):
                player.next_tick()
            bystander.next_tick()
            match number % 3:
                case 0:
                    guest.send_frame(CLOSE, (1000).to_bytes(2))
                    assert guest.expect_close() == 1000
                case 1:
                    guest.send_raw(in_pieces(TEXT, Packer().pack(b'["join"]'), 100)[: chance.randrange(1, 12)])
            guest.hang_up()
        read_to_the_same(stayed)
        assert_all_were_told_the_same(stayed)
        for player in stayed:
            assert_every_tick_came(player, deflating, room)


@pytest.mark.differs("condition", "process")
def test_rooms_beside_each_other_know_nothing_of_each_other(deflating: RunningServer, room: str) -> None:
    """Each has its own ticks, whatever compresses them."""
    crowds = [[enter(deflating, f"{room}{number}", *offers) for offers in OFFERS[:6]] for number in range(4)]
    for crowd in crowds:
        crowd[0].send(["join"])
    for _ in range(20):
        for crowd in crowds:
            for player in crowd:
                player.next_tick()
    for crowd in crowds:
        read_to_the_same(crowd)
        assert_all_were_told_the_same(crowd)


@pytest.mark.differs("condition")
def test_what_members_say_counts_in_whatever_form(deflating: RunningServer, room: str) -> None:
    with undisturbed(deflating, room):
        players = [enter(deflating, room, *offers) for offers in OFFERS[:6]]
        for player in players:
            for number in range(5):
                if number % 2:
                    player.send_message(TEXT, b'["ping",%d]' % number, piece_bytes=3)
                else:
                    player.send_raw(in_pieces(TEXT, b'["ping",%d]' % number, 100, reserved=0))
                assert player.next_personal()[0][:2] == ["pong", number]
            player.join()
        for player in players:
            player.ping()


# Who stalls


STALLED = [(AS_BROWSERS,), (f"{NAME}; server_max_window_bits=9; server_no_context_takeover",), ()]
"""What those who stall in a room have offered."""


@pytest.fixture(params=[BUSY, PADDED], ids=["busy", "padded"])
def flags(request: pytest.FixtureRequest) -> tuple[str, ...]:
    words: tuple[str, ...] = request.param
    return words


def readers_in(server: RunningServer) -> list[DeflatingPlayer]:
    return [enter(server, "main", *offers) for offers in ((AS_BROWSERS,), ())]


def stall(server: RunningServer) -> list[DeflatingPlayer]:
    """Return some who have entered a room and have not read a word of it."""
    players = [open_room(server, "main", *offers, receive_buffer_bytes=STUCK_BYTES) for offers in STALLED]
    for player in players:
        player.send(["new_player", "stalled"])
    return players


def read(readers: Sequence[DeflatingPlayer], ticks: int) -> None:
    for _ in range(ticks):
        for reader in readers:
            reader.next_tick()


def read_until_all_are_stuck(server: RunningServer, readers: Sequence[DeflatingPlayer]) -> None:
    """Read on until each of those who stall is sent nothing at any tick."""

    def figures() -> tuple[int, int]:
        stats = server.stats()
        (room,) = stats["rooms"]
        return stats["slow_skips"], room["ticks"]

    def are_stuck() -> bool:
        skips, ticks = figures()
        read(readers, TICKS_A_LOOK)
        later_skips, later_ticks = figures()
        return later_skips - skips > (len(STALLED) - 0.5) * (later_ticks - ticks) > 0

    wait_until(are_stuck, 30)


@pytest.mark.framework("on")
@pytest.mark.differs("condition")
def test_one_who_reads_again_finds_whole_messages_and_the_world(
    serve: Serve, deflate: str, flags: tuple[str, ...]
) -> None:
    with serve(*DEFLATES[deflate], *flags, "--slow-limit", "60") as server:
        others, stalled = readers_in(server), stall(server)
        read_until_all_are_stuck(server, others)
        read(others, LEAST_MISSED)
        for slow in stalled:
            slow.board.apply(slow.receive_commands())  # the welcome
            while not slow.catch_ups:
                slow.next_tick()
            for commands in slow.catch_ups:
                assert [command[0] for command in commands].count("world") == 1
                assert not {command[0] for command in commands} & {"render", "reset_world", "tick", "pad"}
            for other in others:
                assert_shows_the_same(slow, other)
        assert_ticks_are_the_same([*stalled, *others])


@pytest.mark.framework("on")
@pytest.mark.differs("condition")
def test_one_who_never_reads_is_ended_behind_whole_messages(serve: Serve, deflate: str, flags: tuple[str, ...]) -> None:
    with serve(*DEFLATES[deflate], *flags, "--slow-limit", str(SLOW_LIMIT_S)) as server:
        others, stalled = readers_in(server), stall(server)

        def are_closed() -> bool:
            read(others, TICKS_A_LOOK)
            return bool(server.stats()["slow_closed"] == len(stalled))

        wait_until(are_closed, 30)
        for player in stalled:
            frames: list[Frame] = []
            with suppress(ConnectionError):  # a reset may eat anything
                try:
                    while True:
                        frames.append(player.receive_frame())
                except EOFError:
                    assert not player.is_within_a_frame
            assert [frame.opcode for frame in frames[:-1]] == [TEXT] * (len(frames) - 1)
            assert not frames or frames[-1].opcode == TEXT or frames[-1].close_code == 1013
        assert_ticks_are_the_same(others)
        assert server.stats()["closed"] == {"1013": len(stalled)}


@pytest.mark.differs("condition")
def test_answers_to_one_who_reads_again_come_in_order(serve: Serve, deflate: str) -> None:
    with serve(*DEFLATES[deflate], *BUSY, "--slow-limit", "60") as server:
        others, stalled = readers_in(server), stall(server)
        read_until_all_are_stuck(server, others)
        for slow in stalled:
            for number in range(8):
                slow.send_frame(PING, b"%d" % number)
                slow.send(["ping", number])
        read(others, LEAST_MISSED)
        for slow in stalled:
            pongs: list[bytes] = []
            answers: list[bytes] = []
            while len(answers) < 8 or not pongs:
                frame = slow.receive_frame()
                if frame.opcode == PONG:
                    pongs.append(frame.payload)
                elif frame.payload.startswith(b'[["pong"'):
                    answers.append(frame.payload.split(b",")[1])
            assert answers == [b"%d" % number for number in range(8)]
            assert pongs[-1] == b"7"  # of those that waited the newest alone is sent


@pytest.mark.differs("condition")
def test_one_who_goes_while_it_is_stuck_leaves_nothing_behind(serve: Serve, deflate: str) -> None:
    with serve(*DEFLATES[deflate], *BUSY, "--slow-limit", "60") as server:
        others = readers_in(server)
        fds = server.stats()["process"]["fds"]
        stalled = stall(server)
        read_until_all_are_stuck(server, others)
        for player in stalled:
            player.hang_up()
        wait_until(lambda: server.stats()["process"]["fds"] <= fds)
        read(others, 1)
        read_to_the_same(others)
        assert_ticks_are_the_same(others)
        assert server.stats()["connections"] == len(others)
