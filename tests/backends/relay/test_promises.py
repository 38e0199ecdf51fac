"""What shared/relay/bus.py promises, on both backends, over each relay: near buses are tested, far ones the others."""

import signal
import uuid
from typing import Any

import pytest

from shared.relay.bus import MOST_WAITING
from tests.support.relays import OF_PROCESSES, Relay

NO_TWINS = tuple(scheme for scheme in OF_PROCESSES if scheme != "zmq+ipc")
"""Without what goes and comes by the same code as another."""

LAST = 1_000_000

once = pytest.mark.parametrize("buses", ["asyncio"], indirect=True)
"""For what near and far do alike: both backends are in it."""


@pytest.fixture
def channel() -> str:
    return uuid.uuid4().hex


def numbered(prefix: str, start: int, end: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(start, end)]


def test_messages_come_in_order_to_every_subscription_and_to_no_other(buses: Any, relay: Relay, channel: str) -> None:
    near, far = buses.near(relay), buses.far(relay)
    ours, theirs, other = near.subscribe(channel), far.subscribe(channel), near.subscribe(channel + "-other")
    for start in range(0, 100, 20):
        assert all(near.publish(channel, *numbered("", start, start + 20)))
    assert far.publish(channel + "-other", "last") == [True]
    assert ours.texts(100) == theirs.texts(100) == numbered("", 0, 100)
    assert other.texts(1) == ["last"]


def test_of_two_publishers_each_one_s_messages_come_in_order(buses: Any, relay: Relay, channel: str) -> None:
    near, far = buses.near(relay), buses.far(relay)
    subscription = near.subscribe(channel)
    for start in range(0, 50, 10):
        near.publish(channel, *numbered("near", start, start + 10))
        far.publish(channel, *numbered("far", start, start + 10))
    texts = subscription.texts(100)
    for prefix in ("near", "far"):
        assert [text for text in texts if text.startswith(prefix)] == numbered(prefix, 0, 50)


def test_what_is_published_right_after_a_subscription_stands_is_received(
    buses: Any, relay: Relay, channel: str
) -> None:
    near, far = buses.near(relay), buses.far(relay)
    for number in range(10):
        subscription = near.subscribe(f"{channel}{number}")
        far.publish(f"{channel}{number}", "first")
        assert subscription.texts(1) == ["first"]


def test_nothing_comes_after_unsubscribing_until_one_subscribes_again(buses: Any, relay: Relay, channel: str) -> None:
    near, far = buses.near(relay), buses.far(relay)
    ended, other = near.subscribe(channel), near.subscribe(channel)
    far.publish(channel, "1")
    assert ended.texts(1) == other.texts(1) == ["1"]
    ended.close()
    far.publish(channel, "2")
    assert other.texts(1) == ["2"]
    other.close()
    assert ended.next(1) is None
    again = near.subscribe(channel)
    far.publish(channel, "3")
    assert again.texts(1) == ["3"]


def test_messages_of_64_kib_come_whole_and_in_order(buses: Any, relay: Relay, channel: str) -> None:
    subscription = buses.near(relay).subscribe(channel)
    far = buses.far(relay)
    for start in range(0, 60, 20):
        assert all(far.publish(channel, *numbered("", start, start + 20), size=65_536))
    events = [subscription.next() for _ in range(60)]
    assert events == [["message", str(number), 65_536] for number in range(60)]


def test_who_does_not_take_what_comes_holds_little_and_is_told(buses: Any, relay: Relay, channel: str) -> None:
    near, far = buses.near(relay), buses.far(relay)
    slow, quick = near.subscribe(channel), near.subscribe(channel)
    sent = MOST_WAITING + 128
    for start in range(0, sent, 64):
        far.publish(channel, *numbered("", start, start + 64))
        assert quick.texts(64) == numbered("", start, start + 64)
        assert near.peer.tell("waiting", slow.name) <= MOST_WAITING
    far.publish(channel, "last")
    assert slow.next() == ["lagged"]
    assert slow.texts(128) == [*numbered("", sent - 127, sent), "last"]


@once
@pytest.mark.parametrize("scheme", NO_TWINS, indirect=True, scope="session")
def test_a_process_that_stood_still_is_told_what_it_missed(buses: Any, relay: Relay, channel: str) -> None:
    """More than any relay holds for it: 75 MiB in 1,200 messages."""
    near, far = buses.near(relay), buses.far(relay)
    quick, slow = near.subscribe(channel), far.subscribe(channel)
    far.peer.signal(signal.SIGSTOP)
    try:
        for start in range(0, 1_200, 100):
            assert all(near.publish(channel, *numbered("", start, start + 100), size=65_536))
            assert quick.texts(100) == numbered("", start, start + 100)
    finally:
        far.peer.signal(signal.SIGCONT)
    expected: int | None = 0
    was_told = False
    while expected != LAST:
        near.publish(channel, str(LAST))
        match slow.next(0.1):
            case ["message", text, _]:
                assert expected in {None, int(text)}
                expected = LAST if int(text) == LAST else int(text) + 1
            case [_, *_]:
                expected, was_told = None, True
    assert was_told


def test_a_bus_that_is_closed_leaves_no_descriptor_and_no_thread(buses: Any, relay: Relay, channel: str) -> None:
    peer = buses.near_peer
    peer.bus(relay.url).close()  # whatever is made once and kept
    before = peer.tell("held")
    bus = peer.bus(relay.url)
    bus.publish(channel, "1")
    subscription = bus.subscribe(channel)
    assert bus.is_up
    bus.close()
    assert subscription.next(5) is None
    assert peer.tell("held") == before


@once
@pytest.mark.parametrize("scheme", OF_PROCESSES, indirect=True, scope="session")
def test_a_relay_that_is_killed_and_comes_back_is_told(buses: Any, own_relay: Relay, channel: str) -> None:
    near, far = buses.near(own_relay), buses.far(own_relay)
    subscription, theirs = near.subscribe(channel), far.subscribe(channel)
    far.publish(channel, "before")
    assert subscription.texts(1) == theirs.texts(1) == ["before"]
    own_relay.kill()
    assert subscription.next()[0] == theirs.next()[0] == "down"
    assert near.publish(channel, "lost") == [False]
    assert near.ask("acquire", "main", "me", 1)["error"].startswith("the relay is gone: ")
    own_relay.start()
    assert subscription.next() == theirs.next() == ["up"]
    near.publish(channel, "after")
    assert subscription.texts(1) == theirs.texts(1) == ["after"]


@once
@pytest.mark.parametrize("scheme", NO_TWINS, indirect=True, scope="session")
def test_a_bus_begins_without_its_relay_too(buses: Any, own_relay: Relay, channel: str) -> None:
    own_relay.kill()
    near, far = buses.near(own_relay), buses.far(own_relay)
    assert not near.is_up
    assert not far.is_up
    subscription, theirs = near.subscribe(channel), far.subscribe(channel)
    assert subscription.next()[0] == theirs.next()[0] == "down"
    own_relay.start()
    assert subscription.next() == theirs.next() == ["up"]
    near.publish(channel, "1")
    assert subscription.texts(1) == theirs.texts(1) == ["1"]


@once
@pytest.mark.parametrize("scheme", NO_TWINS, indirect=True, scope="session")
def test_a_relay_that_stands_still_counts_as_gone(buses: Any, own_relay: Relay, channel: str) -> None:
    near, far = buses.near(own_relay), buses.far(own_relay)
    subscription, theirs = near.subscribe(channel), far.subscribe(channel)
    own_relay.signal(signal.SIGSTOP)
    assert subscription.next()[0] == theirs.next()[0] == "down"
    own_relay.signal(signal.SIGCONT)
    assert subscription.next() == theirs.next() == ["up"]
    near.publish(channel, "1")
    assert subscription.texts(1) == theirs.texts(1) == ["1"]


def test_a_lease_is_one_bus_s_at_a_time_and_its_number_grows(buses: Any, relay: Relay, channel: str) -> None:
    near, far = buses.near(relay), buses.far(relay)
    ttl_s = 0.3
    while not (number := near.ask("acquire", channel, "near", ttl_s)):
        pass  # a relay that has just begun
    assert far.ask("acquire", channel, "far", ttl_s) is None
    assert near.ask("renew", channel, "near", number, ttl_s) is True
    assert far.ask("renew", channel, "far", number - 1, ttl_s) is False
    assert far.ask("release", channel, number - 1) is False
    assert near.ask("release", channel, number) is True
    newer = far.ask("acquire", channel, "far", ttl_s)
    assert newer > number
    assert near.ask("renew", channel, "near", number, ttl_s) is False
    while not (newest := near.ask("acquire", channel, "near", ttl_s)):
        pass  # far's is over by itself
    assert newest > newer
    assert far.ask("renew", channel, "far", newer, ttl_s) is False
