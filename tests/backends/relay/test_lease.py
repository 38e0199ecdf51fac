"""Who owns a room: processes that are stopped, killed or leave, and a relay that forgets."""

import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.relays import Relay

TTL_S = 0.6

on_two = pytest.mark.parametrize("scheme", ["redis", "unix"], indirect=True, scope="session")


@pytest.fixture
def room() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as it:
        yield it


@on_two
def test_an_owner_that_was_stopped_knows_at_once_that_it_is_none(
    buses: Any, relay: Relay, room: str, stack: ExitStack
) -> None:
    ours, theirs = buses.near(relay), buses.far(relay)
    owner = ours.lease(room, "near", TTL_S)
    stack.callback(owner.close)
    first = owner.wait()
    heir = theirs.lease(room, "far", TTL_S)
    stack.callback(heir.close)
    assert heir.number == 0
    ours.peer.signal(signal.SIGSTOP)
    try:
        second = heir.wait()
        ours.peer.begin("number", owner.name)  # the first thing that it does when it goes on
    finally:
        ours.peer.signal(signal.SIGCONT)
    assert ours.peer.answer() == 0
    assert second > first
    assert heir.number == second


@on_two
def test_an_owner_that_leaves_gives_it_back(buses: Any, relay: Relay, room: str) -> None:
    owner, far = buses.near(relay).lease(room, "near", TTL_S), buses.far(relay)
    first = owner.wait()
    owner.close()
    assert far.ask("acquire", room, "far", TTL_S) > first


@pytest.mark.parametrize("scheme", ["unix"], indirect=True, scope="session")
def test_an_owner_without_a_relay_is_none_when_its_time_is_over_and_asks_again_when_it_is_back(
    buses: Any, own_relay: Relay, room: str, stack: ExitStack
) -> None:
    owner = buses.near(own_relay).lease(room, "near", TTL_S)
    stack.callback(owner.close)
    first = owner.wait()
    own_relay.kill()
    assert owner.wait(first) == 0
    own_relay.start()
    assert owner.wait() > first


@on_two
def test_an_owner_that_was_stopped_has_it_back_by_its_number_if_nobody_wanted_it(
    buses: Any, relay: Relay, room: str, stack: ExitStack
) -> None:
    ours, theirs = buses.near(relay), buses.far(relay)
    owner = ours.lease(room, "near", TTL_S)
    stack.callback(owner.close)
    first = owner.wait()
    ours.peer.signal(signal.SIGSTOP)
    time.sleep(1.5 * TTL_S)
    ours.peer.signal(signal.SIGCONT)
    assert owner.wait() == first
    assert theirs.ask("acquire", room, "far", TTL_S) is None
