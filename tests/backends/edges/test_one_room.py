"""One room over two processes: whoever is at the edge is told what the owner's own members are."""

import time
from typing import Any

import pytest
from redis import Redis

from tests.backends.edges.conftest import BACKENDS, EVERY_RELAY, Start
from tests.support.attacks.apart import threads
from tests.support.first import go_first
from tests.support.lockstep import Lockstep, Outcome, SlippedError
from tests.support.player import Player
from tests.support.relays import Relay
from tests.support.server import RunningServer, run_server, wait_until

STEPS = 40
TICK_RATES_HZ = (5, 5, 2, 2)
"""
The rate of each attempt, and the moves in a second. It is in no command but ``tick``.

Slow, so that what an edge has taken is with the owner in time, though nobody proves it: half of the time it may take.
"""
TOO_BUSY = f"{len(TICK_RATES_HZ)} times an input was late: this machine is too busy for this test"


def follow(player: Player, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        player.next_tick()


def both(start: Start, owner: str, edge: str) -> tuple[RunningServer, RunningServer]:
    return start(owner), start(edge)


@EVERY_RELAY
def test_all_see_the_same_frames(start: Start, backend: str, other: str) -> None:
    owner, edge = both(start, backend, other)
    ann = owner.enter("den", "ann")
    bob = edge.enter("den", "bob")
    assert owner.stats()["relay"]["owned_rooms"] == edge.stats()["relay"]["edge_rooms"] == 1
    assert (ann.player_id, bob.player_id) == (1, 2)
    bob.join()
    ann.until(lambda tick: tick.named("p_joined"))
    follow(ann, 1)
    follow(bob, 1)
    theirs = {tick.n: tick.text for tick in bob.ticks}
    first, last = bob.ticks[0].n, min(ann.ticks[-1].n, bob.ticks[-1].n)
    ours = {tick.n: tick.text for tick in ann.ticks if first <= tick.n <= last}
    assert len(ours) >= 10
    assert ours == {n: text for n, text in theirs.items() if n <= last}
    assert [tick.n for tick in bob.ticks] == sorted(theirs), "some came twice, or not in order"
    assert owner.stats()["relay"]["guests"] == 1


def test_a_snake_at_the_edge_obeys_and_dies_when_its_player_goes(start: Start, backend: str) -> None:
    owner, edge = both(start, backend, backend)
    ann, bob = owner.enter("den", "ann"), edge.enter("den", "bob")
    bob.join()
    ann.until(lambda tick: tick.named("p_joined"))
    bob.hang_up()
    ann.until(lambda tick: tick.named("p_gameover"))
    wait_until(lambda: owner.stats()["relay"]["guests"] == 0)


def test_what_is_refused_is_told_at_the_edge(start: Start, backend: str) -> None:
    owner, edge = start(backend, "--max-players", "1"), start(backend, "--max-players", "1")
    ann, bob = owner.enter("den", "ann"), edge.enter("den", "bob")
    ann.join()
    bob.send(["join"])
    assert bob.next_personal()[0][0] == "error"


def test_an_owner_without_members_of_its_own_stays(start: Start, backend: str) -> None:
    owner, edge = start(backend, "--room-linger", "0.2"), start(backend, "--room-linger", "0.2")
    ann, bob = owner.enter("den", "ann"), edge.enter("den", "bob")
    ann.hang_up()
    follow(bob, 1.5)
    assert len(bob.ticks) > 10
    bob.hang_up()
    wait_until(lambda: not owner.stats()["rooms"])


@pytest.mark.parametrize("relay", ["redis"], indirect=True)
def test_of_rooms_that_are_over_nothing_is_left_in_the_relay(start: Start, relay: Relay) -> None:
    first, second = (start(backend, "--room-linger", "0.2") for backend in BACKENDS)
    for owner, edge in ((first, second), (second, first)):
        owner.enter(f"of-{owner.backend}", "ann")
        edge.enter(f"of-{owner.backend}", "bob")
    client: Any = Redis.from_url(relay.url)
    try:
        wait_until(lambda: len(client.pubsub_channels()) == 6)  # of each room: owner, edges, and what is announced
        for server in (first, second):
            server.hang_up()
        wait_until(lambda: client.pubsub_channels() == [])
    finally:
        client.close()


def test_one_who_does_not_read_at_the_edge_catches_up(start: Start, backend: str) -> None:
    pad = ("--pad", "200000", "--slow-limit", "30")
    owner, edge = start(backend, *pad), start(backend, *pad)
    ann = owner.enter("den", "ann")
    slow = edge.connect("den", receive_buffer_bytes=4096)
    slow.enter("slow")
    ann.join()
    follow(ann, 2)
    wait_until(lambda: edge.stats()["slow_skips"] > 5)
    for _ in range(200):
        slow.next_tick()
        if slow.catch_ups:
            break
    assert slow.catch_ups, "it was never told what it had missed"
    follow(ann, 0.5)
    while ann.ticks[-1].n != slow.ticks[-1].n:  # either may have missed what the other ends with
        min(ann, slow, key=lambda player: player.ticks[-1].n).next_tick()
    assert slow.board.alive == ann.board.alive


@pytest.fixture(scope="module")
def directly() -> Outcome:
    """What a game comes to in one process; of which backend is all the same (tests/contract/test_same_bytes.py)."""
    for rate_hz in TICK_RATES_HZ:
        with run_server("asyncio", *lockstep_flags(rate_hz)) as alone:
            if outcome := outcome_of(alone, alone, rate_hz):
                return outcome
    raise AssertionError(TOO_BUSY)


def lockstep_flags(rate_hz: int) -> tuple[str, ...]:
    return "--seed", "7", "--tick-budget", "0", "--tick-rate", f"{rate_hz}", "--speed", f"{rate_hz}"


def outcome_of(owner: RunningServer, edge: RunningServer, rate_hz: int) -> Outcome | None:
    """Return what a game of players at the edge comes to; None if an input may not have been in time."""
    margin_us = 1_000_000 // rate_hz // 2
    go_first(threads({*owner.pids(), *edge.pids()}))  # on their cores: the test has been given that, by its group
    idle = owner.enter("lockstep", "idle")
    try:
        outcome = Lockstep(edge, STEPS, margin_us=margin_us).run()
        is_late = edge is not owner and edge.stats()["relay"]["hop"]["max"] * 1000 > margin_us
        return None if is_late else outcome
    except SlippedError:
        return None
    finally:
        idle.hang_up()


@pytest.mark.xdist_group("cores")
@EVERY_RELAY
def test_the_same_seed_and_keys_come_to_the_same_through_an_edge(
    directly: Outcome, relay: Relay, backend: str, other: str
) -> None:
    for rate_hz in TICK_RATES_HZ:
        flags = (*lockstep_flags(rate_hz), "--relay", relay.url)
        with run_server(other, *flags) as owner, run_server(backend, *flags) as edge:  # who ends gives the room back
            through = outcome_of(owner, edge, rate_hz)
        if through:
            assert through == directly
            return
    raise AssertionError(TOO_BUSY)
