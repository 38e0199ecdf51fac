"""The accounts agree with a slow and simple bookkeeper, whatever comes in whatever order."""

from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.arrivals import ArrivalLog, TickFrame
from loadtests.recorder import Recorder

PERIOD_US = 50_000
ROOMS = ("main", "main", "main", "r1", "r1")  # of each connection


@dataclass
class Script:
    """Takes of arrivals: (connection, n, lateness in microseconds)."""

    takes: list[list[tuple[int, int, int]]]
    first: int
    last: int
    recorder: Recorder = field(default_factory=Recorder)

    def play(self, *, settled: bool = True) -> Recorder:
        recorder = self.recorder
        for room in ROOMS:
            recorder.add_connection(room)
        recorder.open_window(self.first * PERIOD_US)
        recorder.close_window(self.last * PERIOD_US)
        log = ArrivalLog()
        for take in self.takes:
            for connection, n, lateness_us in take:
                frame = log.add(TickFrame(n, n * PERIOD_US, n * PERIOD_US + 10, 100))
                log.append(connection, frame, n * PERIOD_US + lateness_us - 7)
            recorder.take(log.drain(), correction_us=7)
        if settled:
            recorder.settle((self.last + 100) * PERIOD_US)
        return recorder


@dataclass
class Book:
    """What a bookkeeper counts who looks at one arrival after the other."""

    received: int = 0
    missing: int = 0
    duplicate: int = 0
    out_of_order: int = 0

    @classmethod
    def of(cls, script: Script) -> "Book":
        book = cls()
        window = range(script.first, script.last)
        seen: defaultdict[str, set[int]] = defaultdict(set)
        got: defaultdict[int, list[int]] = defaultdict(list)
        for take in script.takes:
            for connection, n, _ in take:
                seen[ROOMS[connection]].add(n)
                ticks = got[connection]
                if not ticks or n > max(ticks):
                    book.received += n in window
                    ticks.append(n)
                elif n in ticks or n < ticks[0]:
                    book.duplicate += n in window
                else:
                    book.out_of_order += n in window
                    book.received += n in window
                    ticks.append(n)
        for connection, ticks in got.items():
            room = seen[ROOMS[connection]]
            # What nobody saw behind the last tick of a room was due all the same.
            due = room | (set(range(max(room) + 1, script.last)) if len(room) > 1 else set())
            book.missing += sum(n in window and n > ticks[0] and n not in ticks for n in due)
        return book


ARRIVALS = st.tuples(st.integers(0, len(ROOMS) - 1), st.integers(0, 30), st.integers(-100, 200_000))
SCRIPTS = st.builds(
    Script,
    takes=st.lists(st.lists(ARRIVALS, max_size=30), max_size=4),
    first=st.integers(0, 15),
    last=st.integers(16, 40),
)


@given(SCRIPTS)
def test_every_tick_is_accounted_for(script: Script) -> None:
    recorder = script.play()
    counted = Book(recorder.received, recorder.missing, recorder.duplicate, recorder.out_of_order)
    assert counted == Book.of(script)
    assert recorder.tick_lateness.count == recorder.expected
    assert recorder.delivery.count == recorder.pdv.count == recorder.received


def steady(lateness_us: list[int], connection: int = 0) -> list[tuple[int, int, int]]:
    return [(connection, n, lateness) for n, lateness in enumerate(lateness_us)]


def test_lateness_delivery_and_intervals_by_hand() -> None:
    recorder = Script([steady([1000, 3000, 2500])], first=0, last=3).play()
    assert recorder.tick_lateness.max_us == 3000
    assert recorder.tick_lateness.mean_us == pytest.approx(6500 / 3)
    assert recorder.delivery.max_us == 2990
    assert recorder.interval_error.count == 2
    assert recorder.interval_error.max_us == 2000
    assert recorder.interval_error.mean_us == (2000 + 500) / 2
    # PDV is what delivery is above the least one: 0 (recorded as 1), 2000, 1500.
    assert recorder.pdv.max_us == 2000
    assert recorder.pdv.early == 1
    # RFC 3550: J = 2000 / 16 = 125, then + (500 - 125) / 16.
    assert recorder.jitter.max_us == round(125 + 375 / 16)
    assert recorder.bytes == 300


def test_intervals_go_on_from_one_take_to_the_next() -> None:
    ticks = steady([1000, 3000, 2500, 2500, 9000])
    at_once = Script([ticks], first=0, last=5).play()
    one_by_one = Script([[tick] for tick in ticks], first=0, last=5).play()
    for name in ("tick_lateness", "interval_error", "jitter", "pdv"):
        assert getattr(one_by_one, name).summary() == getattr(at_once, name).summary()


def test_an_interval_over_a_gap_is_none_of_one_period() -> None:
    ticks = [(0, 0, 1000), (0, 2, 5000), (0, 3, 5000)]
    recorder = Script([ticks], first=0, last=4).play()
    assert recorder.interval_error.count == 1
    assert recorder.skipped_ticks == 1
    assert recorder.missing == 0


def test_a_missing_tick_is_late_by_the_time_to_the_next_frame() -> None:
    ticks = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 2, 4000), (1, 2, 0)]
    recorder = Script([ticks], first=0, last=3).play()
    assert recorder.missing == 1
    assert recorder.tick_lateness.max_us == PERIOD_US + 4000


def test_a_tick_missing_at_the_end_is_late_by_the_time_to_the_end() -> None:
    ticks = [(0, 0, 0), (1, 0, 0), (1, 1, 0)]
    recorder = Script([ticks], first=0, last=2).play()
    assert recorder.missing == 1
    assert recorder.tick_lateness.max_us == 101 * PERIOD_US


def test_a_connection_misses_nothing_that_was_sent_after_its_end() -> None:
    script = Script([[(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 2, 0)]], first=0, last=3)
    recorder = script.recorder
    for room in ROOMS:
        recorder.add_connection(room)
    recorder.end_connection(0, PERIOD_US + 10)
    assert script.play().missing == 0


def test_a_server_that_falls_silent_is_missed() -> None:
    recorder = Script([steady([0, 0])], first=0, last=10).play()
    assert recorder.received == 2
    assert recorder.missing == 8


def test_ticks_that_nobody_saw_and_the_server_did_not_skip_are_missing() -> None:
    script = Script([[(3, 0, 0), (3, 1, 0), (3, 4, 0)]], first=0, last=5)
    recorder = script.recorder
    script.play(settled=False)
    assert recorder.lost_ticks({"r1": 2}) == {}
    assert recorder.lost_ticks({"r1": 1}) == {"r1": 1}
    recorder.settle(10 * PERIOD_US)
    assert (recorder.received, recorder.missing, recorder.skipped_ticks) == (3, 2, 0)


def test_only_the_window_is_measured() -> None:
    recorder = Script([steady([100_000] * 10), []], first=3, last=6).play()
    assert recorder.received == recorder.tick_lateness.count == 3
    assert recorder.interval_error.count == 2


def test_the_warm_up_is_remembered_for_two_takes() -> None:
    recorder = Recorder()
    recorder.add_connection("main")
    log = ArrivalLog()
    for n in range(4):
        log.append(0, log.add(TickFrame(n, n * PERIOD_US, 0, 1)), n * PERIOD_US + 100 * n)
        recorder.take(log.drain(), 0)
    assert [histogram.max_us for histogram in recorder.warm_up_lateness] == [200, 300]
    recorder.open_window(4 * PERIOD_US)
    log.append(0, log.add(TickFrame(4, 4 * PERIOD_US, 0, 1)), 4 * PERIOD_US + 900)
    recorder.take(log.drain(), 0)
    assert recorder.first_lateness.max_us == recorder.latest_lateness.max_us == 900
    assert [histogram.max_us for histogram in recorder.warm_up_lateness] == [200, 300]


def test_caught_up_when_everybody_has_a_tick_from_behind_the_window() -> None:
    recorder = Recorder()
    for room in ("main", "main"):
        recorder.add_connection(room)
    recorder.open_window(0)
    recorder.close_window(2 * PERIOD_US)
    log = ArrivalLog()
    for connection, n in ((0, 2), (1, 1)):
        log.append(connection, log.add(TickFrame(n, n * PERIOD_US, 0, 1)), 0)
    recorder.take(log.drain(), 0)
    assert not recorder.caught_up()
    recorder.end_connection(1, 0)
    assert recorder.caught_up()


def test_more_connections_than_there_was_room_for() -> None:
    recorder = Recorder()
    indexes = [recorder.add_connection(f"r{i // 10}") for i in range(3000)]
    assert indexes == list(range(3000))
    log = ArrivalLog()
    frame = log.add(TickFrame(0, 0, 0, 1))
    recorder.open_window(0)
    for index in indexes:
        log.append(index, frame, 5)
    recorder.take(log.drain(), 0)
    assert recorder.received == 3000
    assert len(recorder.rooms) == 300
