"""Groups over processes: who is in one, from when to when, and what is left of a process that died."""

import signal
import uuid
from typing import Any

import pytest
from redis import Redis

from tests.support.relays import Peer, Relay
from tests.support.server import wait_until

on_two = pytest.mark.parametrize("scheme", ["redis", "unix"], indirect=True, scope="session")


@pytest.fixture
def group() -> str:
    return uuid.uuid4().hex


@on_two
def test_what_is_sent_comes_to_every_member_in_whatever_process(buses: Any, relay: Relay, group: str) -> None:
    near, far = buses.near(relay).groups(), buses.far(relay).groups()
    near.add(group, "ann")
    near.add(group, "ann")  # is in it once
    near.add(group, "bob")
    far.add(group, "cid")
    outside = buses.far(relay).groups()
    outside.send(group, "1")
    outside.send(group, "2")
    assert near.deliveries(4) == [("ann", "1"), ("bob", "1"), ("ann", "2"), ("bob", "2")]
    assert far.deliveries(2) == [("cid", "1"), ("cid", "2")]
    near.discard(group, "ann")
    near.discard(group, "nobody")
    far.discard(group, "cid")
    outside.send(group, "3")
    assert near.deliveries(1) == [("bob", "3")]
    far.add(group, "cid")
    near.send(group, "4")
    assert near.deliveries(1) == [("bob", "4")]
    assert far.deliveries(1) == [("cid", "4")]
    near.close()
    far.send(group, "5")
    assert far.deliveries(1) == [("cid", "5")]
    near.add(group, "dan")
    far.send(group, "6")
    assert near.deliveries(1) == [("dan", "6")]
    assert far.deliveries(1) == [("cid", "6")]


@on_two
def test_a_bus_may_be_closed_before_its_groups(buses: Any, relay: Relay, group: str) -> None:
    bus = buses.near_peer.bus(relay.url)
    groups = bus.groups()
    groups.add(group, "ann")
    bus.close()
    groups.close()


@pytest.mark.parametrize("scheme", ["redis"], indirect=True, scope="session")
@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_nothing_is_left_of_a_process_that_died(relay: Relay, group: str, backend: str) -> None:
    channel = f"tickbench:0:group/{group}"
    peer = Peer(backend)
    client: Any = Redis.from_url(relay.url)
    try:
        peer.bus(relay.url).groups().add(group, "ann")
        assert client.pubsub_numsub(channel) == [(channel.encode(), 1)]
        peer.signal(signal.SIGKILL)
        wait_until(lambda: client.pubsub_numsub(channel) == [(channel.encode(), 0)])
    finally:
        client.close()
        peer.kill()
