from threading import Event as Bell

from shared.relay.bus import Down, Event, Lagged, Message, Up
from shared.relay.envelope import Sealed
from shared.relay.mailbox import Mailbox

ONE = b"a" * 8


def message(number: int, size: int = 1, before: int | None = None) -> Sealed:
    return Sealed(ONE, number, number - 1 if before is None else before, bytes([number]) * size)


def all_of(mailbox: Mailbox[Bell]) -> list[Event]:
    found = []
    while (event := mailbox.take()) is not None:
        found.append(event)
    return found


def test_messages_come_in_order_and_ring() -> None:
    mailbox = Mailbox("x", Bell())
    for number in (1, 2, 3):
        mailbox.put(message(number))
    assert mailbox.bell.is_set()
    assert all_of(mailbox) == [Message(bytes([number]), ONE) for number in (1, 2, 3)]
    assert mailbox.take() is None


def test_too_many_are_lost_together_and_told_once() -> None:
    mailbox = Mailbox("x", Bell(), most=3)
    for number in range(1, 6):
        mailbox.put(message(number))
    assert all_of(mailbox) == [Lagged(), Message(b"\x05", ONE)]
    assert mailbox.lags == 1
    mailbox.put(message(6))
    assert all_of(mailbox) == [Message(b"\x06", ONE)]


def test_too_many_bytes_are_lost_like_too_many_messages() -> None:
    mailbox = Mailbox("x", Bell(), most_bytes=10)
    for number in (1, 2, 3):
        mailbox.put(message(number, 5))
    assert all_of(mailbox) == [Lagged()]
    mailbox.put(message(4, 5))
    mailbox.put(message(5, 5))
    assert all_of(mailbox) == [Message(b"\x04" * 5, ONE), Message(b"\x05" * 5, ONE)]


def test_empty_ones_have_a_bound_too() -> None:
    mailbox = Mailbox("x", Bell(), most=3)
    for number in range(1, 9):
        mailbox.put(message(number, 0))
    assert len(mailbox) <= 3
    assert mailbox.lags == 2


def test_one_message_may_be_larger_than_the_bound() -> None:
    mailbox = Mailbox("x", Bell(), most_bytes=10)
    mailbox.put(message(1, 50))
    assert all_of(mailbox) == [Message(b"\x01" * 50, ONE)]


def test_a_gap_is_told_in_its_place() -> None:
    mailbox = Mailbox("x", Bell())
    mailbox.put(message(1))
    assert all_of(mailbox) == [Message(b"\x01", ONE)]
    mailbox.put(message(4))
    assert all_of(mailbox) == [Lagged(), Message(b"\x04", ONE)]


def test_of_news_the_newest_is_told_and_behind_it_all_begins_anew() -> None:
    mailbox = Mailbox("x", Bell())
    mailbox.put(message(1))
    for _ in range(500):
        mailbox.tell(Down("gone"))
        mailbox.tell(Up())
    mailbox.put(message(7))
    assert all_of(mailbox) == [Message(b"\x01", ONE), Up(), Message(b"\x07", ONE)]


def test_that_the_relay_is_back_is_not_lost_with_what_overflows() -> None:
    mailbox = Mailbox("x", Bell(), most=3)
    mailbox.tell(Down("gone"))
    mailbox.tell(Up())
    for number in range(1, 5):
        mailbox.put(message(number))
    assert all_of(mailbox)[:2] == [Up(), Lagged()]
