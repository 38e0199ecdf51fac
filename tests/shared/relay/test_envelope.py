from hypothesis import given
from hypothesis import strategies as st

from shared.relay import envelope
from shared.relay.envelope import MOST_CHANNELS, MOST_PUBLISHERS, Numbers, Order, Sealed, seal, unseal

ONE, OTHER = b"a" * 8, b"b" * 8


@given(st.binary(min_size=8, max_size=8), st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary())
def test_what_is_sealed_is_what_comes_out(publisher: bytes, number: int, before: int, payload: bytes) -> None:
    message = Sealed(publisher, number, before, payload)
    assert unseal(seal(message)) == message


def test_bytes_of_strangers_are_no_message() -> None:
    assert unseal(b"hello") is None


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from([ONE, OTHER]), st.booleans()), max_size=60))
def test_each_gap_is_seen_at_the_next_message_and_nothing_else_is(sent: list[tuple[str, bytes, bool]]) -> None:
    """Publishers of several channels, of whose messages some are lost on the way to a subscription of x."""
    numbers = {ONE: Numbers(), OTHER: Numbers()}
    order = Order()
    known: set[bytes] = set()
    lost: set[bytes] = set()
    for channel, publisher, arrives in sent:
        number, before = numbers[publisher].next(channel)
        if channel != "x":
            continue
        if arrives:
            assert order.takes(publisher, number, before) == (True, publisher in lost & known)
            assert order.takes(publisher, number, before) == (False, False)  # a second time
            known.add(publisher)
            lost.discard(publisher)
        else:
            lost.add(publisher)


def test_an_older_message_is_not_taken_behind_a_newer_one() -> None:
    order = Order()
    assert order.takes(ONE, 5, 4) == (True, False)
    assert order.takes(ONE, 4, 3) == (False, False)
    assert order.takes(ONE, 6, 5) == (True, False)


def test_a_new_beginning_misses_nothing() -> None:
    order = Order()
    order.takes(ONE, 5, 4)
    order.begin()
    assert order.takes(ONE, 9, 8) == (True, False)


def test_what_is_remembered_has_a_bound_and_what_is_forgotten_costs_a_resync() -> None:
    numbers, order = Numbers(), Order()
    order.takes(ONE, *numbers.next("x"))
    for index in range(MOST_CHANNELS):
        numbers.next(str(index))
    assert len(numbers._in_channel) == MOST_CHANNELS
    assert order.takes(ONE, *numbers.next("x")) == (True, True)
    for index in range(2 * MOST_PUBLISHERS):
        order.takes(index.to_bytes(envelope.PUBLISHER_BYTES), 1, 0)
    assert len(order._last) == MOST_PUBLISHERS
