"""Two windows of one recorder, between which the server stood still: what comes late by that is in neither."""

from collections.abc import Iterator

import pytest

from loadtests.account.counts import MAIN, Accounts
from loadtests.account.recorder import Recorder
from loadtests.account.room_ticks import ServerSkips
from loadtests.account.settling import explain_unseen
from loadtests.receive.arrivals import ArrivalLog, ArrivedTick
from shared.measure.histogram import Histogram
from tests.loadtests.receive.test_arrivals import stamp

PERIOD_US = 50_000
START_US = 200_000_000
PAUSE_US = 1_000_000
FIRST = range(START_US, START_US + 10 * PERIOD_US)
"""Ticks 0 to 9; the server stands still from behind tick 10 to tick 31, which are skipped but for the first."""
SECOND = range(START_US + 36 * PERIOD_US, START_US + 46 * PERIOD_US)


def due(n: int) -> int:
    return START_US + n * PERIOD_US


class Played:
    """Connections of one room, and what comes on them."""

    def __init__(self) -> None:
        self.recorder = Recorder(PERIOD_US)
        self._log = ArrivalLog()
        for _ in range(2):
            index = self.recorder.add_connection("main")
            self.recorder.presences.enter(index, START_US - PERIOD_US)
            self.recorder.count_inside(index, 1)

    def come(self, *numbers: int, connection: int = 0, late_us: int = 100) -> None:
        for n in numbers:
            number = self._log.add(ArrivedTick(n, due(n), due(n) + late_us - 50, 100))
            self._log.append(connection, number, stamp(due(n) + late_us))
        self.recorder.take(self._log.drain(), 0)

    def come_to_all(self, *numbers: int, late_us: int = 100) -> None:
        for connection in range(2):
            self.come(*numbers, connection=connection, late_us=late_us)

    def settle(self, window: range, skips: ServerSkips | None = None) -> Accounts:
        said = {} if skips is None else {"main": skips}
        self.unseen = explain_unseen(self.recorder.rooms, said, window)
        self.recorder.settle(window.stop + PERIOD_US)
        return self.recorder.groups[MAIN]

    def pause(self) -> None:
        """Stand still, and go on: the first tick comes late by the pause, the next ones in time."""
        self.recorder.rest()
        self.come_to_all(11, late_us=PAUSE_US + 100)
        self.come_to_all(32, 33, 34, 35)


@pytest.fixture
def played() -> Iterator[Played]:
    played = Played()
    played.recorder.measure(FIRST)
    yield played
    played.recorder.close()


def figures(of: Accounts) -> dict[str, object]:
    return {
        name: value.summary() if isinstance(value, Histogram) else value
        for name in Accounts.__struct_fields__
        for value in [getattr(of, name)]
    }


def test_a_slot_after_a_pause_is_like_the_one_before(played: Played) -> None:
    played.come_to_all(*range(11))
    first = played.settle(FIRST)
    before = figures(first)
    assert (first.received, first.missing, first.skipped, first.absent) == (20, 0, 0, 0)
    played.pause()
    played.recorder.measure(SECOND)
    assert played.recorder.groups[MAIN].received == 0
    played.come_to_all(*range(36, 47))
    second = played.settle(SECOND, ServerSkips(34, 47, 0))
    assert figures(second) == before
    assert played.unseen.all == {}
    assert played.recorder.due_times["main"].ticks == 10
    assert second.tick_lateness.max_us == 100
    assert second.longest_silence_us == PERIOD_US
    assert figures(first) == before, "what was handed over stays as it was"


def test_a_frame_that_comes_after_the_pause_is_none_of_the_slot_s(played: Played) -> None:
    """It was missing when the slot was settled, as late as the end of waiting, and not as the pause."""
    played.come_to_all(*range(9))
    played.come(9, 10)
    played.come(10, connection=1)
    first = played.settle(FIRST)
    assert (first.received, first.missing) == (19, 1)
    assert first.tick_lateness.max_us <= 2 * PERIOD_US
    played.recorder.rest()
    played.come(9, connection=1, late_us=PAUSE_US)
    assert (first.received, first.missing) == (19, 1)
    played.recorder.measure(SECOND)
    played.come_to_all(*range(36, 47))
    second = played.settle(SECOND)
    assert (second.received, second.missing, second.duplicate, second.out_of_order) == (20, 0, 0, 0)
    assert first.longest_silence_us > second.longest_silence_us == PERIOD_US


def test_a_loss_in_the_second_slot_is_counted_there_alone(played: Played) -> None:
    played.come_to_all(*range(11))
    played.settle(FIRST)
    played.pause()
    played.recorder.measure(SECOND)
    played.come(*range(36, 47))
    played.come(*(n for n in range(36, 47) if n not in {40, 41}), connection=1)
    second = played.settle(SECOND)
    assert (second.received, second.missing) == (18, 2)
    assert second.longest_silence_us == 3 * PERIOD_US
    assert played.recorder.due_times["main"].missed == [40, 41]


def test_due_times_that_are_skipped_in_a_slot_are_no_pause_s(played: Played) -> None:
    played.come_to_all(*range(11))
    played.settle(FIRST)
    played.pause()
    played.recorder.measure(SECOND)
    played.come_to_all(*(n for n in range(36, 47) if n not in {38, 39}))
    second = played.settle(SECOND, ServerSkips(34, 47, 2))
    assert (second.received, second.missing, second.skipped) == (16, 0, 4)
    assert (played.unseen.all, played.unseen.lost) == ({"main": 2}, {})


def test_a_slot_that_does_not_count_leaves_nothing_in_the_jitter() -> None:
    def jitter(*, counts: bool) -> int:
        again = Played()
        again.recorder.measure(FIRST)
        for n in range(11):
            again.come_to_all(n, late_us=100 + 5000 * (n % 2))
        again.settle(FIRST)
        again.pause()
        again.recorder.measure(SECOND, last_counts=counts)
        again.come_to_all(*range(36, 47))
        found = again.settle(SECOND).jitter.max_us
        again.recorder.close()
        return found

    assert jitter(counts=True) > 1000
    assert jitter(counts=False) == 1


def test_who_has_ended_is_absent_from_every_slot(played: Played) -> None:
    played.come_to_all(*range(6))
    played.recorder.presences.end(1, due(5) + 1000)
    played.recorder.count_inside(1, -1)
    played.come(*range(6, 11))
    assert played.settle(FIRST).absent == 4
    played.recorder.rest()
    played.come(11, late_us=PAUSE_US)
    assert not played.recorder.has_ticked_since(due(31))
    played.come(32)
    assert played.recorder.has_ticked_since(due(31))
    played.recorder.measure(SECOND)
    played.come(*range(36, 47))
    second = played.settle(SECOND)
    assert (second.received, second.absent) == (10, 10)
