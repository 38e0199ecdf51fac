"""A second window of one measurement is measured for itself."""

import time
from collections.abc import Iterator

import gevent
import pytest

from loadtests.account.worker_record import WorkerRecord
from loadtests.receive.stamps import now_us
from loadtests.run.measurement import Measurement
from loadtests.run.messages import Settle
from loadtests.surroundings.hub_lag import PERIOD_NS


@pytest.fixture
def measurement() -> Iterator[Measurement]:
    measurement = Measurement(None, 50_000.0)
    yield measurement
    measurement.close()


def measured(measurement: Measurement, stepped_us: int = 0) -> WorkerRecord:
    start_us = measurement.server_now_us()
    measurement.measure(range(start_us, start_us + 1000), [0])
    measurement.open_window()
    measurement.offsets.step_us += stepped_us
    measurement.close_window()
    measurement.end()
    measurement.settle(Settle({}, {}))
    record = measurement.record(0)
    measurement.rest()
    return record


def test_a_clock_that_was_set_between_two_slots_spoils_neither(measurement: Measurement) -> None:
    measurement.offsets.step_us += 300
    assert measured(measurement).clock_step_us == 300, "what was set before the first window counts, as ever"
    measurement.offsets.step_us += 5000
    assert measured(measurement, stepped_us=700).clock_step_us == 700
    assert measured(measurement).clock_step_us == 0


def test_what_it_does_itself_behind_the_window_is_no_lag_and_no_round_trip(measurement: Measurement) -> None:
    """To settle the accounts keeps the hub for milliseconds, which are the largest of a slot."""
    measurement.hub_lag.start()
    connections, start_us = measurement.connections, measurement.server_now_us()
    measurement.measure(range(start_us, start_us + 1000), [0])
    measurement.open_window()
    sent_us = now_us()
    time.sleep(2.5 * PERIOD_NS / 1e9)  # the hub is held up in the window, and gets to its timer behind it
    measurement.close_window()
    gevent.sleep(0.001)
    time.sleep(0.1)
    gevent.sleep(0.001)
    connections.ponged(now_us(), 0, now_us() + 90_000)
    connections.ponged(sent_us, 0, sent_us + 7_000)
    measurement.end()
    measurement.settle(Settle({}, {}))
    figures = measurement.record(0).figures
    assert figures.lag.count >= 2
    assert figures.lag.max_us >= 30_000 - 1
    assert figures.lag.max_us < measurement.hub_lag.lag.max_us, "the 100 ms behind it are in that of the next window"
    assert (figures.ping_rtt.count, figures.ping_rtt.max_us) == (1, 7_000)


def test_a_record_stays_as_it_was_handed_over(measurement: Measurement) -> None:
    first = measured(measurement)
    second = measured(measurement)
    measurement.hub_lag.lag.record(5)
    measurement.connections.ping_rtt.record(5)
    measurement.recorder.add_connection("main")
    for record in (first, second):
        assert (record.figures.lag.count, record.figures.ping_rtt.count, record.main.requested) == (0, 0, 0)
        assert 0 < record.duration_s < 1
    assert first.before is not second.before
