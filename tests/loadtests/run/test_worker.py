"""What a worker tells of its echoes; its life as a whole is played by child processes, in test_run.py."""

import gc
import socket
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from loadtests.account.counts import MAIN
from loadtests.options import LoadOptions
from loadtests.receive.stamps import now_us
from loadtests.run.messages import Measure, Stand
from loadtests.run.worker import LoadWorker
from loadtests.scenario import Scenario
from loadtests.surroundings.server_stats import FoundServer, ServerStats
from shared.wire.target import parse_target
from tests.loadtests.receive.test_arrivals import frame, stamp
from tests.loadtests.surroundings.test_server_stats import decoded

OPTIONS = LoadOptions(
    target=parse_target("ws://127.0.0.1:9/echo"),
    scenario_name="echo",
    scenario=Scenario("", user=object, path="/echo", pings=False),
    users=1,
    spawn_rate=500,
    warm_up_s=2,
    duration_s=10,
    connect_timeout_s=10,
    room_size=0,
    share_percent=10,
    echo_rate_hz=20,
    echo_bytes=100,
    out=None,
)


SERVER = FoundServer((socket.AF_INET, ("127.0.0.1", 9)))


@pytest.fixture
def worker() -> Iterator[LoadWorker]:
    worker = LoadWorker(OPTIONS, SERVER, index=None)
    yield worker
    worker.stop()


@pytest.mark.parametrize("ahead_us", [0, 3_000_000, -3_000_000])
def test_an_echo_is_as_late_as_it_is_by_our_clock_wherever_the_server_s_is(worker: LoadWorker, ahead_us: int) -> None:
    measurement: Any = worker._measurement
    clock, recorder, log = measurement.clock, measurement.recorder, measurement.connections.log
    clock.update()
    clock.steady_us, clock.ahead_us = 0, ahead_us  # two readings of the same clocks may differ by a microsecond
    connection = worker.connection("echo0", MAIN, lambda _: b"", announced=True)
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
    recorder.take(log.drain(), clock.steady_us, clock.ahead_us)
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
    worker = LoadWorker(replace(OPTIONS, room_size=room_size), SERVER, index=index)
    assert [worker.room_of(user) for user in (9, 10)] == rooms
    assert worker.name_of(11) == name
    assert [worker.new_user() for _ in range(3)] == [0, 1, 2]
    worker.stop()


def test_an_order_to_measure_that_comes_too_late_is_no_run(worker: LoadWorker) -> None:
    worker.obey(Measure(now_us() - 1, now_us() + 1_000_000))
    assert worker.phase == "coming"
    assert "came when the window had opened" in worker.failed


@pytest.mark.parametrize("off_s", [-86_400, 86_400])
def test_a_window_of_another_clock_than_the_pongs_is_no_run(worker: LoadWorker, off_s: int) -> None:
    """It would be waited for for ever, or be over before it began."""
    start_us = now_us() + off_s * 1_000_000
    worker.obey(Measure(start_us, start_us + 1_000_000))
    assert worker.phase == "coming"
    assert "are two clocks" in worker.failed


def test_only_who_is_to_ask_for_pongs_is_remembered() -> None:
    for pings in (False, True):
        options = replace(OPTIONS, scenario=replace(OPTIONS.scenario, pings=pings))
        worker = LoadWorker(options, SERVER, index=None)
        for number in range(3):
            worker.connection(f"echo{number}", MAIN, lambda _: b"", announced=True)
        assert len(worker._to_ping) == 3 * pings
        worker.stop()


def fault() -> None:
    raise ZeroDivisionError


def test_a_fault_in_a_callback_of_the_hub_fails_the_run(worker: LoadWorker, capfd: pytest.CaptureFixture[str]) -> None:
    worker.start()
    gevent.get_hub().loop.run_callback(fault)
    gevent.sleep(0.01)
    assert "ZeroDivisionError" in worker.failed
    assert "ZeroDivisionError" in capfd.readouterr().err, "gevent prints it all the same"
    worker.stop()
    again = LoadWorker(OPTIONS, SERVER, index=None)
    gevent.get_hub().loop.run_callback(fault)
    gevent.sleep(0.01)
    assert again.failed == ""
    again.stop()
    capfd.readouterr()


def test_an_error_in_a_thread_of_the_pool_is_for_who_waits_for_it(
    worker: LoadWorker, capfd: pytest.CaptureFixture[str]
) -> None:
    worker.start()
    with pytest.raises(ZeroDivisionError):
        gevent.get_hub().threadpool.apply(fault)
    assert worker.failed == ""
    worker.stop()
    capfd.readouterr()


def stats_of_another_host(ahead_us: int) -> ServerStats:
    asked_us = now_us()
    return decoded(boot_id="another", asked_us=asked_us, answered_us=asked_us + 500, now_us=asked_us + 250 + ahead_us)


@pytest.mark.parametrize("ahead_us", [0, 40_000_000])
def test_without_pings_another_host_s_clock_is_known_from_its_stats(ahead_us: int) -> None:
    worker = LoadWorker(OPTIONS, SERVER._replace(stats=stats_of_another_host(ahead_us)), index=None)
    assert abs(worker.server_now_us() - now_us() - ahead_us) < 100_000
    assert worker._measurement.clock.uncertainty_us == 251
    worker.stop()


def test_what_a_run_kept_from_the_collector_it_gives_back() -> None:
    worker = LoadWorker(OPTIONS, SERVER, index=None)
    gc.freeze()
    worker.stop()
    assert gc.get_freeze_count() == 0


def test_who_stands_still_says_nothing_and_hands_over_what_it_had() -> None:
    worker = LoadWorker(
        replace(OPTIONS, scenario=replace(OPTIONS.scenario, pings=True), slots=True), SERVER, index=None
    )
    pings: list[int] = []
    connection: Any = SimpleNamespace(is_over=False, ticking=True, ping=lambda: pings.append(1))
    worker._to_ping.append(connection)
    worker.start()
    worker.obey(Stand(still=True))
    lag = worker._measurement.hub_lag.lag
    assert gc.get_freeze_count() > 0, "no collection is to come in a slot that could have come before"
    gevent.sleep(0.1)
    assert (worker.phase, pings) == ("still", [])
    assert worker.stands_still
    worker.obey(Stand(still=False))
    gevent.sleep(0.1)
    assert worker.phase == "coming", "nobody is in a room whose ticks could be waited for"
    assert len(pings) > 0
    worker.obey(Stand(still=True))
    assert worker._measurement.hub_lag.lag is not lag
    worker.stop()


def test_a_key_that_was_pressed_before_a_pause_took_no_time(worker: LoadWorker) -> None:
    measurement: Any = worker._measurement
    connection = worker.connection("echo0", MAIN, lambda _: b"", announced=True)
    measurement.is_open = True
    worker.record_input(connection, 5_000_000)
    worker.obey(Stand(still=False))
    gevent.sleep(0.01)
    worker.record_input(connection, 5_000_000)
    worker.record_input(connection, 2_000)
    found = measurement.recorder.groups[MAIN].input
    assert (found.count, found.total_us) == (2, 5_002_000)
