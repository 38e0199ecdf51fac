import msgspec
import pytest

from shared.relay.bus import RelayError
from shared.relay.hub import (
    MOST_BODY_BYTES,
    Acquire,
    Answer,
    BodyReader,
    Came,
    FromRelay,
    Hello,
    Hub,
    Ping,
    Pong,
    Publish,
    Regain,
    Release,
    Renew,
    Stranger,
    Subscribe,
    Subscribed,
    ToRelay,
    Unsubscribe,
    Welcome,
    check_welcome,
    decode_from_hub,
    encode,
    framed,
    read_bodies,
)
from shared.relay.leases import LeaseTable


class Processes:
    """Those that speak with a hub, and what they have heard."""

    def __init__(self) -> None:
        self.hub = Hub[str](LeaseTable(None), self._hear)
        self._heard: list[tuple[str, Welcome | FromRelay | Stranger]] = []

    def say(self, process: str, *items: Hello | ToRelay) -> list[tuple[str, Welcome | FromRelay | Stranger]]:
        for item in items:
            self.hub.came(process, encode(item), 0, 0)
        heard, self._heard = self._heard, []
        return heard

    def _hear(self, process: str, body: bytes) -> None:
        self._heard.append((process, decode_from_hub(body)))


@pytest.fixture
def processes() -> Processes:
    they = Processes()
    assert they.say("a", Hello()) == [("a", Welcome())]
    assert they.say("b", Hello()) == [("b", Welcome())]
    return they


def test_who_is_subscribed_gets_what_is_published_its_publisher_too(processes: Processes) -> None:
    assert processes.say("a", Subscribe("x")) == [("a", Subscribed("x"))]
    assert processes.say("b", Subscribe("x"), Subscribe("y"))[1:] == [("b", Subscribed("y"))]
    assert processes.say("a", Publish("x", b"1")) == [("a", Came("x", b"1")), ("b", Came("x", b"1"))]
    assert processes.say("a", Publish("y", b"2")) == [("b", Came("y", b"2"))]
    assert processes.say("a", Publish("z", b"3")) == []


def test_who_unsubscribed_or_left_gets_nothing_and_leaves_nothing(processes: Processes) -> None:
    processes.say("a", Subscribe("x"), Unsubscribe("x"), Unsubscribe("x"))
    processes.say("b", Subscribe("x"), Subscribe("y"))
    processes.hub.left("b")
    processes.hub.left("b")
    assert processes.say("a", Publish("x", b"1")) == []
    assert processes.hub._subscribers == {}
    assert len(processes.hub) == 1


def test_who_has_not_begun_is_told_to(processes: Processes) -> None:
    assert processes.say("c", Subscribe("x"), Ping()) == [("c", Stranger()), ("c", Stranger())]
    assert processes.say("a", Publish("x", b"1")) == []


def test_who_begins_again_has_no_subscription(processes: Processes) -> None:
    processes.say("a", Subscribe("x"), Hello())
    assert processes.say("b", Publish("x", b"1"), Ping()) == [("b", Pong())]


def test_leases_are_answered_with_numbers(processes: Processes) -> None:
    assert processes.say("a", Acquire(4, "main", "me", 1000)) == [("a", Answer(4, 1))]
    assert processes.say("b", Acquire(9, "main", "you", 1000)) == [("b", Answer(9, 0))]
    assert processes.say("a", Renew(5, "main", "me", 1, 1000)) == [("a", Answer(5, 1))]
    assert processes.say("a", Release(6, "main", 1), Renew(7, "main", "me", 1, 1000)) == [
        ("a", Answer(6, 1)),
        ("a", Answer(7, 0)),
    ]


@pytest.mark.parametrize("body", [b"", b"hello", b"\x93\xa7Publish\x01\x02", encode(Pong())])
def test_what_can_t_be_read_is_said(processes: Processes, body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        processes.hub.came("a", body, 0, 0)


def test_a_stream_is_cut_into_bodies_wherever_it_is_torn() -> None:
    bodies = [b"one", b"", b"three" * 1000]
    stream = b"".join(map(framed, bodies))
    for size in (1, 3, 7, len(stream)):
        reader = BodyReader()
        found = [body for start in range(0, len(stream), size) for body in reader.feed(stream[start : start + size])]
        assert found == bodies


def test_a_body_that_is_too_long_is_refused_before_it_has_come() -> None:
    with pytest.raises(RelayError, match="bytes at most"):
        list(BodyReader().feed((MOST_BODY_BYTES + 1).to_bytes(4)))


def test_who_comes_late_has_a_lease_back_that_nobody_else_had(processes: Processes) -> None:
    processes.say("a", Acquire(4, "main", "me", 1000))
    processes.hub.came("a", encode(Regain(5, "main", "me", 1, 1000)), 5_000, 0)
    processes.hub.came("b", encode(Acquire(6, "main", "you", 1000)), 5_999, 0)
    processes.hub.came("b", encode(Acquire(7, "main", "you", 1000)), 6_000, 0)
    processes.hub.came("a", encode(Regain(8, "main", "me", 1, 1000)), 9_000, 0)
    assert processes.say("a") == [("a", Answer(5, 1)), ("b", Answer(6, 0)), ("b", Answer(7, 2)), ("a", Answer(8, 0))]


def test_what_a_hub_says_is_read_and_one_that_knows_nobody_has_begun_anew() -> None:
    check_welcome(encode(Welcome()))
    with pytest.raises(RelayError, match="no relay of ours"):
        check_welcome(encode(Pong()))
    assert read_bodies([encode(Pong()), encode(Welcome()), encode(Came("x", b"1"))]) == [Pong(), Came("x", b"1")]
    with pytest.raises(RelayError, match="begun anew"):
        read_bodies([encode(Pong()), encode(Stranger())])
    with pytest.raises(msgspec.DecodeError):
        read_bodies([b"HTTP/1.1 400"])
