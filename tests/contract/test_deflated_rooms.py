"""``--deflate once`` and ``on``: in one room some take compressed frames, some plain ones, and all see the same."""

import signal

import pytest

from tests.conftest import Serve
from tests.support.client import CLOSE, TEXT
from tests.support.deflating_client import AS_BROWSERS, NAME, DeflatingPlayer, open_echo, open_room
from tests.support.server import wait_until

QUICK = ("--tick-rate", "50", "--speed", "50", "--tick-budget", "0", "--bots", "10")
TICKS = 30

STUCK_BYTES = 4096
"""Of a receive buffer: a peer that does not read is soon stuck."""

OFFERS = ("", AS_BROWSERS, f"{NAME}; server_max_window_bits=9", f"x, {NAME}; server_no_context_takeover", "x-other")
"""What the members of a room offer, of which the first and the last agree on nothing."""


def enter(player: DeflatingPlayer) -> DeflatingPlayer:
    player.enter()
    return player


def test_a_mixed_room_sees_the_same_texts(serve: Serve, deflate: str) -> None:
    with serve("--deflate", deflate, *QUICK) as server:
        assert server.stats()["settings"]["deflate"] == deflate
        players = [enter(open_room(server, "den", *([offers] if offers else []))) for offers in OFFERS]
        shown: list[dict[int, str]] = []
        for player, offers in zip(players, OFFERS, strict=True):
            was_packed, wire_bytes, text_bytes = set[bool](), 0, 0
            for _ in range(TICKS):
                tick = player.next_tick()
                was_packed.add(player.was_packed)
                wire_bytes += player.wire_bytes
                text_bytes += len(tick.text)
            assert was_packed == {player.agreement is not None}, offers
            assert not player.agreement or wire_bytes < text_bytes * 0.4
            shown.append({tick.n: tick.text for tick in player.ticks})
        assert [player.agreement is not None for player in players] == [False, True, True, True, False]
        for others in shown[1:]:
            common = shown[0].keys() & others.keys()
            assert common
            assert {n: shown[0][n] for n in common} == {n: others[n] for n in common}


def test_long_texts_come_in_order_and_none_behind_a_close(serve: Serve, deflate: str) -> None:
    """Some frameworks compress what is longer than 16 KiB in a thread; what is sent meanwhile waits."""
    with serve("--deflate", deflate, "--pad", "30000", *QUICK[:-2]) as server:
        player = enter(open_room(server, "den", AS_BROWSERS))
        for number in range(20):
            player.send(["ping", number])
            assert player.next_personal()[0][:2] == ["pong", number]
        server.signal(signal.SIGTERM)
        assert player.expect_close() == 1001
        assert server.wait() == 0
    ns = [tick.n for tick in player.ticks]
    assert ns == sorted(set(ns))


def test_once_no_end_keeps_a_context(serve: Serve) -> None:
    with serve("--deflate", "once", "--echo") as server:
        for client in (open_room(server, "den", AS_BROWSERS), open_echo(server, AS_BROWSERS)):
            assert client.agreement
            assert client.agreement.server_no_context_takeover
            assert client.agreement.client_no_context_takeover


@pytest.mark.parametrize(
    "offers", [f"{NAME}; server_max_window_bits=8", f"{NAME}; unheard_of", f"{NAME}; server_max_window_bits", "; ,"]
)
def test_once_what_can_not_be_taken_is_not_agreed_on(serve: Serve, offers: str) -> None:
    with serve("--deflate", "once", *QUICK) as server:
        player = enter(open_room(server, "den", offers))
        assert player.agreement is None
        assert player.next_tick().text


def test_once_what_members_send_is_inflated(serve: Serve) -> None:
    with serve("--deflate", "once", *QUICK[:-2]) as server:
        player = enter(open_room(server, "den", AS_BROWSERS))
        assert player.was_packed, "a world"
        assert player.wire_bytes < 3000
        for _ in range(3):
            player.ping()
        player.send_packed(TEXT, player.packer.pack(b'["join"]'), piece_bytes=1)
        player.until(lambda tick: [born for born in tick.named("p_joined") if born[1] == player.player_id])


def test_without_an_agreement_a_compressed_message_is_a_fault(serve: Serve) -> None:
    with serve("--deflate", "once", *QUICK) as server:
        player = enter(open_room(server, "den"))
        player.send_packed(TEXT, b"\x00")
        while (frame := player.receive_frame()).opcode != CLOSE:
            pass
        assert frame.close_code == 1002


@pytest.mark.differs("condition", "thread", "process")
def test_once_who_reads_again_is_sent_whole_frames_and_catches_up(serve: Serve) -> None:
    quicker = ("--tick-rate", "200", "--speed", "100", "--tick-budget", "0", "--bots", "10", "--slow-limit", "60")
    with serve("--deflate", "once", *quicker) as server:
        onlooker = enter(open_room(server, "main"))
        slow = [open_room(server, "main", offers, receive_buffer_bytes=STUCK_BYTES) for offers in OFFERS[1:3]]
        for player in slow:
            player.send(["new_player", "stalled"])

        def is_skipped() -> bool:
            onlooker.next_tick()
            return bool(server.stats()["slow_skips"] >= 60)

        wait_until(is_skipped, 30)
        for player in slow:
            player.board.apply(player.receive_commands())
            while not player.catch_ups:
                player.next_tick()
        for player in slow:
            while (n := player.ticks[-1].n) != onlooker.ticks[-1].n:
                (player if n < onlooker.ticks[-1].n else onlooker).next_tick()
            assert player.board.cells == onlooker.board.cells
