from threading import Event as Bell

import pytest

from shared.relay.bus import RelayError
from shared.relay.hub import MOST_UNSENT_BYTES, Came, Hello, Publish, Subscribe, Welcome, decode_from_hub, encode
from shared.relay.memory import MemoryRelay


def test_one_name_is_one_relay_until_the_last_has_left() -> None:
    relay = MemoryRelay.named("one")
    inbox = relay.enter(Bell())
    assert MemoryRelay.named("one") is relay
    assert MemoryRelay.named("other") is not relay
    relay.leave(inbox)
    assert MemoryRelay.named("one") is not relay


def test_what_is_published_waits_in_the_inbox() -> None:
    relay = MemoryRelay("")
    inbox = relay.enter(Bell())
    for item in (Hello(), Subscribe("x"), Publish("x", b"1")):
        relay.came(inbox, encode(item), 0, 0)
    heard = [decode_from_hub(body) for body in inbox.take()]
    assert (heard[0], heard[-1]) == (Welcome(), Came("x", b"1"))
    assert inbox.take() == []


def test_who_does_not_read_is_dropped() -> None:
    relay = MemoryRelay("")
    slow, other = relay.enter(Bell()), relay.enter(Bell())
    for inbox in (slow, other):
        relay.came(inbox, encode(Hello()), 0, 0)
    relay.came(slow, encode(Subscribe("x")), 0, 0)
    body = encode(Publish("x", bytes(MOST_UNSENT_BYTES // 4)))
    for _ in range(5):
        relay.came(other, body, 0, 0)
    with pytest.raises(RelayError, match="too slowly"):
        slow.take()
