from threading import Event as Bell

import pytest

from shared.relay.bus import MOST_WAITING, MOST_WAITING_BYTES, PING_S, Down, Event, Lagged, Message, RelayError, Up
from shared.relay.core import MOST_PINGS, BusCore
from shared.relay.hub import Acquire, Answer, Came, Ping, Pong, Publish, Regain, Subscribe, Subscribed, Unsubscribe
from shared.relay.mailbox import Mailbox

ONE = b"a" * 8


def connected() -> BusCore[Bell]:
    core = BusCore(ONE, Bell)
    core.went_up()
    return core


def all_of(mailbox: Mailbox[Bell]) -> list[Event]:
    found = []
    while (event := mailbox.take()) is not None:
        found.append(event)
    return found


def carry(core: BusCore[Bell]) -> None:
    """Be the relay of this one bus."""
    for item in core.take():
        if isinstance(item, Publish):
            core.came(Came(item.channel, item.data))
        elif isinstance(item, Subscribe):
            core.came(Subscribed(item.channel))


def test_what_is_published_goes_out_in_order_and_comes_to_each_subscription() -> None:
    core = connected()
    first, second, other = core.subscribe("x"), core.subscribe("x"), core.subscribe("y")
    assert not core.stands(first)
    carry(core)
    assert core.stands(first)
    assert core.publish("x", b"1")
    assert core.publish("x", b"2")
    carry(core)
    assert all_of(first) == all_of(second) == [Message(b"1", ONE), Message(b"2", ONE)]
    assert all_of(other) == []


def test_the_relay_hears_of_the_first_subscription_and_the_last_end_of_one() -> None:
    core = connected()
    first, second = core.subscribe("x"), core.subscribe("x")
    assert core.take() == [Subscribe("x")]
    core.unsubscribe(first)
    assert core.take() == []
    core.unsubscribe(second)
    core.unsubscribe(second)
    assert core.take() == [Unsubscribe("x")]


def test_nothing_comes_after_the_end_of_a_subscription() -> None:
    core = connected()
    mailbox = core.subscribe("x")
    core.publish("x", b"1")
    core.unsubscribe(mailbox)
    carry(core)
    assert all_of(mailbox) == []


def test_a_word_on_an_earlier_subscription_is_none_on_this_one() -> None:
    core = connected()
    core.unsubscribe(core.subscribe("x"))
    again = core.subscribe("x")
    core.came(Subscribed("x"))
    assert not core.stands(again)
    core.came(Subscribed("x"))
    assert core.stands(again)


def test_a_relay_that_goes_is_told_and_one_that_is_back_when_the_subscription_stands() -> None:
    core = connected()
    mailbox = core.subscribe("x")
    carry(core)
    core.publish("x", b"1")
    core.went_down("killed")
    assert core.take() == []
    assert core.lost == 1
    assert not core.publish("x", b"2")
    later = core.subscribe("x")
    assert all_of(mailbox) == all_of(later) == [Down("killed")]
    core.went_down("refused")  # looking for it, again and again
    core.went_up()
    assert all_of(mailbox) == []
    carry(core)
    core.publish("x", b"3")
    carry(core)
    assert all_of(mailbox) == all_of(later) == [Up(), Message(b"3", ONE)]


def test_what_was_lost_before_it_was_sent_is_missed_by_who_is_subscribed() -> None:
    """The publisher lost its connection, the subscriber did not."""
    publisher, subscriber = connected(), connected()
    mailbox = subscriber.subscribe("x")
    subscriber.take()
    subscriber.came(Subscribed("x"))
    for is_lost in (False, True, False):
        if is_lost:
            publisher.went_down("reset")
        publisher.publish("x", b"1")
        if is_lost:
            publisher.went_up()
        for item in publisher.take():
            assert isinstance(item, Publish)
            subscriber.came(Came(item.channel, item.data))
    assert all_of(mailbox) == [Message(b"1", ONE), Lagged(), Message(b"1", ONE)]


def test_what_waits_to_be_sent_has_a_bound() -> None:
    core = connected()
    assert [core.publish("x", b"") for _ in range(MOST_WAITING + 1)].count(False) == 1
    core.take()
    assert core.publish("x", bytes(MOST_WAITING_BYTES))
    assert not core.publish("x", b"1")
    assert core.lost == 2


def test_questions_are_answered_by_their_numbers() -> None:
    core = connected()
    first, second = core.acquire("main", "me", 10), core.acquire("den", "me", 10)
    assert core.take() == [Acquire(1, "main", "me", 10), Acquire(2, "den", "me", 10)]
    core.came(Answer(2, 7))
    core.came(Answer(3, 7))  # nobody's
    assert second.value() == 7
    assert second.bell.is_set()
    with pytest.raises(RelayError, match="has not answered"):
        first.value()
    core.went_down("killed")
    with pytest.raises(RelayError, match="the relay is gone: killed"):
        first.value()
    with pytest.raises(RelayError, match="the relay is gone: killed"):
        core.release("main", 1).value()


def test_an_answer_that_nobody_waits_for_any_more_is_let_go() -> None:
    core = connected()
    asked = core.renew("main", "me", 1, 10)
    core.give_up(asked)
    core.came(Answer(asked.number, 1))
    assert not asked.bell.is_set()


def test_a_relay_can_be_asked_whether_it_is_there() -> None:
    core = connected()
    core.ping()
    assert core.bell.is_set()
    assert core.take() == [Ping()]
    core.came(Pong())


def test_strangers_in_a_channel_are_not_heard() -> None:
    core = connected()
    mailbox = core.subscribe("x")
    core.came(Came("x", b"hello"))
    assert all_of(mailbox) == []


def test_names_and_payloads_that_are_none_are_refused() -> None:
    core = connected()
    with pytest.raises(ValueError, match="a channel's name"):
        core.subscribe("")
    with pytest.raises(ValueError, match="a channel's name"):
        core.publish("", b"1")


def test_a_lease_is_asked_back() -> None:
    core = connected()
    asked = core.regain("main", "me", 7, 10)
    assert core.take() == [Regain(1, "main", "me", 7, 10)]
    core.came(Answer(1, 1))
    assert asked.value() == 1


def test_a_relay_is_pinged_when_that_is_due_and_gone_when_it_has_not_answered_for_long() -> None:
    core, now_s = connected(), 10.0
    for number in range(3 * MOST_PINGS):
        now_s = core.ping_at_s if number else now_s
        core.look(now_s)
        core.look(now_s + PING_S / 2)
        assert core.take() == [Ping()]
        assert core.ping_at_s == now_s + PING_S
        if number < 2 * MOST_PINGS:
            core.heard()
    with pytest.raises(RelayError, match="has not answered for 2 s"):
        core.look(core.ping_at_s)
    core.went_up()  # another connection
    core.look(core.ping_at_s)


def test_one_that_stood_still_does_not_take_that_for_silence_of_the_relay() -> None:
    core = connected()
    core.look(1)
    core.look(1_000)


def test_what_ended_a_connection_is_told_and_whether_nobody_was_there() -> None:
    core = connected()
    mailbox = core.subscribe("x")
    core.failed(TimeoutError(), 1.0)
    core.failed(ConnectionRefusedError(111, "Connection refused"), 2.0)
    core.failed(ConnectionResetError(104, "reset"), 3.0)
    assert core.absent_at_s == 2.0
    assert all_of(mailbox) == [Down("it does not answer")]
    assert "reset" in core.why
