"""What a worker tells of its echoes; its life as a whole is played by child processes, in test_run.py."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from loadtests.accounts import MAIN
from loadtests.options import LoadOptions
from loadtests.scenario import Scenario
from loadtests.stamps import now_us
from loadtests.target import parse_target
from loadtests.worker import LoadWorker
from tests.loadtests.test_arrivals import frame, stamp

OPTIONS = LoadOptions(
    target=parse_target("ws://127.0.0.1:9/echo"),
    scenario_name="echo",
    scenario=Scenario("", user=object, path="/echo", pings=False),
    users=1,
    spawn_rate=500,
    warm_up_s=2,
    measure_s=10,
    connect_timeout_s=10,
    room_size=0,
    share_percent=10,
    echo_rate_hz=20,
    echo_bytes=100,
    out=None,
)


@pytest.fixture
def worker() -> Iterator[LoadWorker]:
    worker = LoadWorker(OPTIONS, base=None, index=None, events=None)
    yield worker
    worker.stop()


@pytest.mark.parametrize("ahead_us", [0, 3_000_000, -3_000_000])
def test_an_echo_is_as_late_as_it_is_by_our_clock_wherever_the_server_s_is(worker: LoadWorker, ahead_us: int) -> None:
    measurement: Any = worker._measurement
    clock, recorder, log = measurement.clock, measurement.recorder, measurement.ledger.log
    clock.update()
    clock.correction_us = ahead_us
    connection = worker.connection("echo0", MAIN, lambda _: b"", told=True)
    start_us = now_us()
    recorder.measure(range(start_us + ahead_us, start_us + ahead_us + 1_000_000))
    for n in range(4):
        due_us = start_us + n * 50_000
        stated = worker.expect(connection, n, due_us, due_us + 20)
        assert stated == (due_us + ahead_us, due_us + 20 + ahead_us)
        if n != 2:  # it is lost
            text = b'[["tick",%d,%d,%d]]' % (n, *stated)
            latest = log.latest("echo0")
            assert log.learn(latest, frame(text))
            log.append(connection.index, latest.number, stamp(due_us + 400))
    recorder.take(log.drain(), clock.correction_us)
    recorder.settle(start_us + ahead_us + 2_000_000)
    main = recorder.groups[MAIN]
    assert (main.received, main.missing) == (3, 1)
    assert (main.tick_lateness.percentile_us(50), main.tick_lateness.max_us) == (400, 50_400)
    assert (main.delivery.max_us, main.negative_deliveries) == (380, 0)
    assert main.interval_error.count == 1


@pytest.mark.parametrize(
    ("index", "room_size", "rooms", "name"),
    [(None, 0, [None, None], "load11"), (None, 10, ["r0", "r1"], "load11"), (3, 10, ["w3r0", "w3r1"], "w3load11")],
)
def test_workers_have_rooms_and_names_of_their_own(
    index: int | None, room_size: int, rooms: list[str | None], name: str
) -> None:
    worker = LoadWorker(replace(OPTIONS, room_size=room_size), base=None, index=index, events=None)
    assert [worker.room_of(user) for user in (9, 10)] == rooms
    assert worker.name_of(11) == name
    assert [worker.new_user() for _ in range(3)] == [0, 1, 2]
    worker.stop()
