"""What becomes of connections is taken down by group, and by the server's clock."""

from collections.abc import Iterator

import pytest

from loadtests.account.connections import ConnectionRecord
from loadtests.account.counts import MAIN
from loadtests.account.recorder import Recorder
from loadtests.receive.arrivals import ArrivedTick
from loadtests.receive.endings import Ending, Fate
from loadtests.receive.stamps import now_us
from loadtests.surroundings.clocks import OffsetWatch, ServerClock
from tests.loadtests.receive.test_arrivals import stamp

AHEAD_US = 3_000_000
"""The server's clock before ours."""
PERIOD_US = 50_000
START_US = 200_000_000
"""On the server's clock."""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder(PERIOD_US)
    recorder.measure(range(START_US, START_US + 100 * PERIOD_US))
    yield recorder
    recorder.close()


@pytest.fixture
def connections(recorder: Recorder) -> ConnectionRecord:
    watch = OffsetWatch(lambda: 5_000_000, lambda: 5_000_000)
    return ConnectionRecord(recorder, ServerClock(watch, AHEAD_US))


def due(n: int) -> int:
    return START_US + n * PERIOD_US


def took(connections: ConnectionRecord, recorder: Recorder, index: int, *numbers: int) -> None:
    """Take tick frames that were sent 10 us after they were due and arrived 100 us later, by the server's clock."""
    for n in numbers:
        number = connections.log.add(ArrivedTick(n, due(n), due(n) + 10, 100))
        connections.log.append(index, number, stamp(due(n) + 110 - AHEAD_US))
    recorder.take(connections.log.drain(), AHEAD_US)


def left(at_us: int, *, complete: bool = False) -> Ending:
    return Ending(Fate.LEFT, "left", at_us - AHEAD_US, complete=complete)


def test_who_is_connected_and_how_long_it_took(connections: ConnectionRecord, recorder: Recorder) -> None:
    for group in (MAIN, "stalled", MAIN):
        recorder.add_connection("main", group)
    connections.connected(0, 1000, 3500)
    connections.connected(1, 1000, 9000)
    assert [recorder.groups[group].connected for group in (MAIN, "stalled")] == [1, 1]
    assert [recorder.groups[group].connect.max_us for group in (MAIN, "stalled")] == [2500, 8000]
    assert (connections.up, connections.settled) == (2, 2)
    connections.ended(2, Ending(Fate.REFUSED, "HTTP status 503", 5))
    assert (connections.up, connections.settled) == (2, 3)


def test_why_nobody_came(connections: ConnectionRecord, recorder: Recorder) -> None:
    assert connections.why_none() == ""
    for index, (group, fate, why) in enumerate(
        [
            (MAIN, Fate.REFUSED, "close 1013"),
            (MAIN, Fate.TIMED_OUT, "no tick frame in time"),
            (MAIN, Fate.REFUSED, "close 1013"),
            ("left", Fate.OWN_LIMIT, "too many open files"),
            ("left", Fate.LEFT, "left"),
        ]
    ):
        recorder.add_connection("main", group)
        connections.ended(index, Ending(fate, why, 5))
    assert connections.why_none() == "2 x close 1013, 1 x no tick frame in time, 1 x too many open files"


def test_ends_codes_and_errors(connections: ConnectionRecord, recorder: Recorder) -> None:
    for index, ending in enumerate(
        [
            Ending(Fate.CLOSED_EARLY, "close 1013", 5, close_code=1013),
            Ending(Fate.REFUSED, "close 1013", 5, close_code=1013),
            Ending(Fate.CLOSED_EARLY, "a masked frame", 5, broke_protocol=True),
            Ending(Fate.LEFT, "a masked frame", 5, broke_protocol=True),
            Ending(Fate.LEFT, "left", 5),
        ]
    ):
        recorder.add_connection("main")
        connections.ended(index, ending)
    main = recorder.groups[MAIN]
    assert main.close_codes == {1013: 2}
    assert main.errors == {"a masked frame": 2}
    assert main.fates == {"closed early": 2, "refused": 1, "left": 2}
    assert main.reasons(Fate.CLOSED_EARLY) == {"close 1013": 1, "a masked frame": 1}


def test_what_the_server_tells_is_counted_by_group(connections: ConnectionRecord, recorder: Recorder) -> None:
    recorder.add_connection("main")
    recorder.add_connection("main", "left")
    for index, error in ((0, "full"), (1, "full"), (1, "slow")):
        connections.told(index, error)
    assert recorder.groups[MAIN].told == {"full": 1}
    assert recorder.groups["left"].told == {"full": 1, "slow": 1}


def test_a_pong_is_a_round_trip_and_tells_of_another_host_s_clock(recorder: Recorder) -> None:
    clock = ServerClock(OffsetWatch(), None)
    connections = ConnectionRecord(recorder, clock)
    connections.ponged(1000, 7100, 1200)
    assert (connections.ping_rtt.count, connections.ping_rtt.max_us) == (1, 200)
    clock.update()
    assert clock.correction_us == 6000


def test_a_ping_that_was_sent_before_a_pause_is_no_round_trip(connections: ConnectionRecord) -> None:
    connections.begin_pings()
    sent_us = now_us()
    connections.ponged(sent_us - 1_000_000, 7100, sent_us)
    assert connections.ping_rtt.count == 0
    connections.ponged(sent_us, 7100, sent_us + 300)
    assert (connections.ping_rtt.count, connections.ping_rtt.max_us) == (1, 300)


# By the server's clock


def test_an_end_is_by_the_server_s_clock(connections: ConnectionRecord, recorder: Recorder) -> None:
    for at_us, missing in ((due(2) + 11, 2), (due(2) + 10, 1)):
        index = recorder.add_connection(f"r{missing}")
        other = recorder.add_connection(f"r{missing}", "others")
        connections.connected(index, 0, 0)
        took(connections, recorder, other, 0, 1, 2, 3)
        took(connections, recorder, index, 0)
        connections.ended(index, left(at_us))
    recorder.settle(due(200))
    assert recorder.groups[MAIN].missing == 3
    assert recorder.groups[MAIN].delivery.max_us == 100


def test_behind_the_server_s_goodbye_nothing_is_missing(connections: ConnectionRecord, recorder: Recorder) -> None:
    index, other = recorder.add_connection("main"), recorder.add_connection("main", "others")
    connections.connected(index, 0, 0)
    took(connections, recorder, other, 0, 1, 2, 3)
    took(connections, recorder, index, 0)
    connections.ended(index, left(due(3), complete=True))
    recorder.settle(due(200))
    assert recorder.groups[MAIN].missing == 0


def test_from_the_welcome_on_ticks_are_expected(connections: ConnectionRecord, recorder: Recorder) -> None:
    index, other = recorder.add_connection("main"), recorder.add_connection("main", "others")
    connections.entered(index, due(1) - AHEAD_US)
    took(connections, recorder, other, 0, 1, 2, 3)
    took(connections, recorder, index, 3)
    connections.ended(index, left(due(3), complete=True))
    recorder.settle(due(200))
    assert recorder.groups[MAIN].missing == 2


# Where users come back


@pytest.fixture
def several(recorder: Recorder, connections: ConnectionRecord) -> ConnectionRecord:
    return ConnectionRecord(recorder, connections._clock, tells_lives=True)


def test_lives_are_told_apart_only_where_users_come_back(
    connections: ConnectionRecord, several: ConnectionRecord, recorder: Recorder
) -> None:
    for observer, lives in ((connections, ["main"]), (several, ["main", "main#2"])):
        for first_us in (due(0), due(60)):
            index = recorder.add_connection("main")
            observer.began(index, ArrivedTick(0, first_us, first_us + 10, 100))
            observer.connected(index, 0, 0)
        assert list(recorder.rooms) == lives


def test_what_is_sent_to_others_while_a_goodbye_is_on_its_way_is_not_missing(
    several: ConnectionRecord, recorder: Recorder
) -> None:
    index, other = recorder.add_connection("main"), recorder.add_connection("main", "others")
    several.connected(index, 0, 0)
    took(several, recorder, other, 0, 1, 2, 3)
    took(several, recorder, index, 0)
    several.ended(index, Ending(Fate.CLOSED_EARLY, "close 1001", due(2) - AHEAD_US, close_code=1001))
    recorder.presences.cut(index)
    recorder.settle(due(200))
    assert recorder.groups[MAIN].due == recorder.groups[MAIN].received == 1


def test_steps_are_taken_down_until_somebody_is_cut_off(several: ConnectionRecord, recorder: Recorder) -> None:
    index = recorder.add_connection("main")
    several.log.steps.take(1, b'[["tick",1,2,3]]')
    several.ended(index, Ending(Fate.CLOSED_EARLY, "close 1001", 5, close_code=1001))
    several.log.steps.take(2, b'[["tick",2,2,3]]')
    assert list(several.log.steps.digests) == [1]


# Who is in a room


def test_a_room_that_was_empty_for_a_while_is_interrupted(connections: ConnectionRecord, recorder: Recorder) -> None:
    room = recorder.add_connection("main"), recorder.add_connection("main")
    for index in room:
        connections.connected(index, 0, 0)
    connections.ended(room[0], Ending(Fate.CLOSED_EARLY, "close 1013", 5))
    assert not recorder.rooms["main"].interrupted
    connections.ended(room[1], left(due(0)))
    assert recorder.rooms["main"].interrupted


@pytest.mark.parametrize("fate", [Fate.REFUSED, Fate.TIMED_OUT, Fate.OWN_LIMIT, Fate.LEFT])
def test_who_never_got_a_tick_does_not_leave_a_room_empty(
    connections: ConnectionRecord, recorder: Recorder, fate: Fate
) -> None:
    inside, outside = recorder.add_connection("main"), recorder.add_connection("main")
    connections.connected(inside, 0, 0)
    connections.ended(outside, Ending(fate, "", 5))
    assert not recorder.rooms["main"].interrupted
    connections.ended(inside, left(due(0)))
    assert recorder.rooms["main"].interrupted


def test_those_that_come_while_it_is_measured_are_a_rush(connections: ConnectionRecord, recorder: Recorder) -> None:
    for group in (MAIN, MAIN, MAIN, "stalled"):
        recorder.add_connection("main", group)
    connections.connected(0, START_US - AHEAD_US - 1, START_US - AHEAD_US + 40)  # begun before
    connections.connected(1, START_US - AHEAD_US + 10, START_US - AHEAD_US + 500)
    connections.connected(2, START_US - AHEAD_US + 20, START_US - AHEAD_US + 2_010)
    connections.connected(3, START_US - AHEAD_US + 20, START_US - AHEAD_US + 9_000)  # not one of the main group
    assert connections.join_rate.connected == 2
    assert connections.join_rate.per_second == pytest.approx(1000)
