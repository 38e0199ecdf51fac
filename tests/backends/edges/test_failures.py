"""What becomes of a room over processes when one of them, or the relay, is gone or stands still."""

import os
import signal
import time

import pytest

from shared.edges.posts import TTL_S
from tests.backends.edges.conftest import BACKENDS, EVERY_RELAY, Start
from tests.support.client import CLOSE, decode_commands
from tests.support.player import Player, longest_silence_s
from tests.support.relays import Relay
from tests.support.server import RunningServer, wait_until

TOLD_S = 3.0
SILENCE_S = 1.0
"""How long a busy machine may keep a server from ticking; a lease lasts longer."""
RESTART, TRY_AGAIN = 1012, 1013


def end(server: RunningServer) -> None:
    """Kill a server as an operator never would."""
    server.process.kill()
    server.process.wait()
    server.hang_up()


def follow(player: Player, seconds: float) -> None:
    follow_all([player], seconds)


def follow_all(players: list[Player], seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for player in players:
            player.next_tick()


@EVERY_RELAY
def test_when_the_owner_dies_its_guests_are_told_and_come_into_a_new_game(start: Start, backend: str) -> None:
    owner, edge = start(backend, logs=True), start(backend)
    owner.enter("den", "ann").join()
    elsewhere = edge.enter("elsewhere", "eve")
    bob = edge.enter("den", "bob")
    end(owner)
    began_s = time.monotonic()
    assert bob.expect_close() == RESTART
    assert time.monotonic() - began_s < TOLD_S
    again = edge.enter("den", "bob")
    assert time.monotonic() - began_s < TOLD_S
    assert again.player_id == 1
    again.join()
    follow(elsewhere, 0.2)
    assert longest_silence_s(elsewhere) < SILENCE_S
    assert edge.stats()["relay"]["owned_rooms"] == 2


def test_when_an_edge_dies_its_guests_leave(start: Start, backend: str, other: str) -> None:
    owner, edge = start(backend), start(other, logs=True)
    ann, bob = owner.enter("den", "ann"), edge.enter("den", "bob")
    bob.join()
    ann.until(lambda tick: tick.named("p_joined"))
    end(edge)
    wait_until(lambda: owner.stats()["relay"]["guests"] == 0)
    follow(ann, 0.2)
    assert not ann.board.alive


def test_an_owner_that_stood_still_for_too_long_ticks_no_more(start: Start, backend: str) -> None:
    owner, edge = start(backend), start(backend)
    ann, bob = owner.enter("den", "ann"), edge.enter("den", "bob")
    os.kill(owner.process.pid, signal.SIGSTOP)
    try:
        assert bob.expect_close() == RESTART
        again = edge.enter("den", "bob")  # which owns the room now
        again.join()
        taken_us = again.ticks[-1].due_us
    finally:
        os.kill(owner.process.pid, signal.SIGCONT)
    due_us = []
    while (frame := ann.receive_message()).opcode != CLOSE:
        commands = decode_commands(frame.payload.decode())
        if commands[0][0] == "tick":
            due_us.append(commands[0][2])
    assert frame.close_code == RESTART
    assert not [due for due in due_us if due > taken_us]
    follow(again, 0.5)
    assert longest_silence_s(again) < SILENCE_S


@EVERY_RELAY
def test_while_the_relay_is_gone_the_owner_ticks_and_then_its_edges_catch_up(
    start: Start, relay: Relay, backend: str
) -> None:
    owner, edge = start(backend, logs=True), start(backend, logs=True)
    ann, bob = owner.enter("den", "ann"), edge.enter("den", "bob")
    relay.kill()
    time.sleep(1)
    relay.start()
    follow(ann, TTL_S)
    assert longest_silence_s(ann) < SILENCE_S
    ann.join()
    while bob.board.alive != ann.board.alive:
        bob.next_tick()
    assert bob.catch_ups
    assert owner.log.count("the relay") == edge.log.count("the relay") == 1


def test_an_owner_ticks_as_long_as_nobody_listens_where_the_relay_was(start: Start, relay: Relay, backend: str) -> None:
    owner, edge = start(backend, logs=True), start(backend, logs=True)
    ann, bob = owner.enter("den", "ann"), edge.enter("den", "bob")
    relay.kill()
    assert bob.expect_close() == TRY_AGAIN
    follow(ann, TTL_S + 1)
    assert longest_silence_s(ann) < SILENCE_S
    relay.start()
    follow(ann, TTL_S)
    assert longest_silence_s(ann) < SILENCE_S
    assert edge.enter("den", "bob").player_id == 3


def test_without_a_relay_at_the_start_newcomers_are_told_to_come_again(
    start: Start, relay: Relay, backend: str
) -> None:
    relay.kill()
    server = start(backend, logs=True)
    wait_until(lambda: server.log)
    assert server.log.count("\n") == 1
    assert f"the relay {relay.url} is gone" in server.log
    early = server.connect("den")
    assert early.expect_close() == TRY_AGAIN
    relay.start()
    wait_until(lambda: server.stats()["relay"]["is_up"])
    server.enter("den", "ann").join()


def test_a_naive_fan_out_is_refused(start: Start) -> None:
    with pytest.raises(AssertionError, match="--relay asks for a --fanout"):
        start("asyncio", "--fanout", "naive")


def test_an_owner_that_stood_still_goes_on_where_nobody_wanted_its_room(start: Start) -> None:
    servers = [start(backend) for backend in BACKENDS]
    players = [server.enter(f"of-{server.backend}") for server in servers]
    follow_all(players, 0.2)
    for server in servers:
        server.signal(signal.SIGSTOP)
    time.sleep(TTL_S + 0.5)
    for server in servers:
        server.signal(signal.SIGCONT)
    follow_all(players, 0.5)
    assert [longest_silence_s(player) > TTL_S for player in players] == [True, True], "their leases were over"
    assert [server.stats()["relay"]["owned_rooms"] for server in servers] == [1, 1]


@pytest.mark.parametrize("relay", ["redis"], indirect=True)
def test_owned_rooms_tick_whatever_becomes_of_redis_and_each_log_says_so_once(start: Start, relay: Relay) -> None:
    relay.kill()
    servers = [start(backend, logs=True) for backend in BACKENDS]
    wait_until(lambda: all(server.log for server in servers))
    relay.start()
    wait_until(lambda: all(server.stats()["relay"]["is_up"] for server in servers))
    players = [server.enter(f"of-{server.backend}") for server in servers]
    relay.kill()
    follow_all(players, TTL_S + 0.5)
    relay.start()
    follow_all(players, TTL_S + 0.5)
    assert max(map(longest_silence_s, players)) < SILENCE_S
    for server in servers:
        assert server.stats()["relay"]["is_up"]
        assert server.log.count("\n") == 1
        assert f"the relay {relay.url} is gone" in server.log
