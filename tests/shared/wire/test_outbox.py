import pytest

from shared.wire.frames import Opcode
from shared.wire.outbox import FRAME_TURN, LOW_WATER_BYTES, MAX_MESSAGES, NO_LOW_WATER_BYTES, Outbox, SlowConsumerError
from shared.wire.session import Outgoing

SECOND = 1_000_000


def text(number: int) -> Outgoing:
    return Outgoing(Opcode.TEXT, b"%d" % number)


def pong(number: int) -> Outgoing:
    return Outgoing(Opcode.PONG, b"%d" % number)


CLOSING = Outgoing(Opcode.CLOSE, b"\x03\xf5")


def filled(*messages: Outgoing) -> Outbox:
    outbox = Outbox()
    for message in messages:
        outbox.put(message, is_stuck=True)
    return outbox


def taken(outbox: Outbox) -> list[Outgoing]:
    return [outbox.take() for _ in range(len(outbox))]


def test_the_figures() -> None:
    assert (MAX_MESSAGES, LOW_WATER_BYTES, NO_LOW_WATER_BYTES) == (16, 16384, 2**31 - 1)


# What waits


def test_messages_come_in_order() -> None:
    outbox = filled(text(1), Outgoing(Opcode.PING, b"x"), text(2))
    assert outbox
    assert taken(outbox) == [text(1), Outgoing(Opcode.PING, b"x"), text(2)]
    assert not outbox


def test_sixteen_may_wait() -> None:
    outbox = filled(*map(text, range(16)))
    with pytest.raises(SlowConsumerError):
        outbox.put(text(16), is_stuck=True)
    assert taken(outbox) == list(map(text, range(16)))
    outbox.put(text(17), is_stuck=True)


def test_of_pongs_only_the_newest_waits_and_takes_nobody_s_place() -> None:
    outbox = filled(pong(1), text(1), pong(2), *map(text, range(2, 17)), pong(3))
    with pytest.raises(SlowConsumerError):
        outbox.put(text(17), is_stuck=True)
    assert taken(outbox) == [*map(text, range(1, 17)), pong(3)]


def test_who_is_not_stuck_has_no_limit() -> None:
    outbox = Outbox()
    messages = [message for number in range(20) for message in (text(number), pong(number))]
    for message in messages:
        outbox.put(message, is_stuck=False)
    with pytest.raises(SlowConsumerError):
        outbox.put(text(20), is_stuck=True)
    assert taken(outbox) == messages


def test_the_close_frame_always_has_a_seat() -> None:
    outbox = filled(*map(text, range(16)), pong(1), CLOSING)
    assert taken(outbox)[-1] == CLOSING


def test_a_frame_has_its_turn_and_takes_nobody_s_place() -> None:
    outbox = filled(text(0), FRAME_TURN, *map(text, range(1, 16)))
    with pytest.raises(SlowConsumerError):
        outbox.put(text(16), is_stuck=True)
    assert taken(outbox) == [text(0), FRAME_TURN, *map(text, range(1, 16))]


def test_what_waits_can_be_forgotten() -> None:
    outbox = filled(text(1), pong(1))
    outbox.clear()
    assert not outbox


# How slow it is


def test_one_who_missed_nothing_is_not_slow() -> None:
    outbox = Outbox()
    assert not outbox.is_behind
    assert outbox.stalled_us(5000, SECOND) == 0
    assert outbox.stalled_us(5000, 9 * SECOND) == 0


def test_it_stalls_from_the_first_tick_that_it_missed() -> None:
    outbox = Outbox()
    outbox.note_skip(5000, SECOND)
    outbox.note_skip(5000, 2 * SECOND)
    assert outbox.is_behind
    assert outbox.stalled_us(5000, 3 * SECOND) == 2 * SECOND


def test_whatever_the_kernel_takes_counts_afresh() -> None:
    outbox = Outbox()
    outbox.note_skip(5000, SECOND)
    assert outbox.stalled_us(4999, 3 * SECOND) == 0
    assert outbox.stalled_us(4999, 4 * SECOND) == SECOND
    assert outbox.is_behind


def test_one_from_whom_all_is_taken_waits_for_us() -> None:
    outbox = Outbox()
    outbox.note_skip(5000, SECOND)
    outbox.stalled_us(0, 2 * SECOND)
    assert outbox.stalled_us(0, 60 * SECOND) == 0


def test_a_catch_up_ends_it() -> None:
    outbox = Outbox()
    outbox.note_skip(5000, SECOND)
    outbox.note_catch_up()
    assert not outbox.is_behind
    assert outbox.stalled_us(5000, 9 * SECOND) == 0
    outbox.note_skip(700, 10 * SECOND)
    assert outbox.stalled_us(700, 11 * SECOND) == SECOND
