from dataclasses import replace
from typing import Any

import msgspec
import pytest

from loadtests.account.counts import MAIN, Accounts, StageAccounts
from loadtests.account.join_rate import JoinRate
from loadtests.account.settling import RoomDueTimes, Unseen
from loadtests.account.worker_record import Figures, WorkerRecord, merged
from loadtests.run.messages import encode
from loadtests.surroundings.cores import CoreTimes, MachineSample
from shared.measure.histogram import Histogram
from shared.measure.quota import Quota
from tests.loadtests.account.test_counts import filled, travelled


def histogram(*values_us: int) -> Histogram:
    recorded = Histogram()
    for value_us in values_us:
        recorded.record(value_us)
    return recorded


def record(worker: int = 0, **changes: Any) -> WorkerRecord:
    seed = worker + 1
    sample = MachineSample(12.5 + worker, {0: CoreTimes(1.25, 0.5), 1: CoreTimes(3.0, 0.0)}, {2: 1.5})
    values = {
        "worker": worker,
        "pid": 70 + worker,
        "boot_id": "b",
        "same_host": True,
        "cpus": [worker, 1],
        "duration_s": 10.0,
        "own_cpu_s": 1.5 * seed,
        "before": sample,
        "after": replace(sample, at_s=99.0),
        "throttled": [Quota(f"/{worker}", 0.5, seed, 1000 * seed)],
        "rss_bytes": 1000 * seed,
        "clock_step_us": 7 * seed,
        "clock_uncertainty_us": 3 * seed,
        "rooms": ["main", f"r{worker}"],
        "unseen": Unseen({"main": seed, f"r{worker}": 5}, {"main": 1}, {f"r{worker}": 1}),
        "due_times": {"main": RoomDueTimes(200, [3, 5 + worker], [9]), f"r{worker}": RoomDueTimes(7, [], [])},
        "period_us": 50_000.0,
        "join_rate": JoinRate(seed, 1000 - seed, 2000 + seed),
        "steps": {seed: 7, seed + 2: 9},
        "conflicting_steps": worker,
        "figures": filled(Figures, seed),
        "groups": {MAIN: filled(Accounts, seed), f"group {worker}": filled(Accounts, 7)},
        "stages": [filled(StageAccounts, seed), filled(StageAccounts, 9)],
        "stretches": [histogram(100 * seed), histogram(200 * seed, 300)],
    }
    return WorkerRecord(**(values | changes))


@pytest.mark.parametrize(
    "of",
    [
        record(),
        record(boot_id=None, before=None, after=None, clock_uncertainty_us=None, unseen=Unseen({}, {}, {})),
        record(stages=[], stretches=[], groups={MAIN: Accounts()}, period_us=0.0),
    ],
)
def test_a_record_travels_without_loss(of: WorkerRecord) -> None:
    again = travelled(of)
    assert encode(again) == encode(of)
    assert (again.before, again.after) == (of.before, of.after)
    assert list(again.groups) == list(of.groups)


def test_main_and_received() -> None:
    of = record(groups={MAIN: Accounts(received=5), "stalled": Accounts(received=3)})
    assert of.main is of.groups[MAIN]
    assert of.received == 8


# Several


def test_one_record_is_the_whole() -> None:
    alone = msgspec.structs.replace(record(), worker=-1, pid=-1, cpus=[0, 1])
    assert encode(merged([record()])) == encode(alone)


def test_counts_add_up() -> None:
    records = [record(0), record(1), record(2)]
    before = encode(records)
    whole = merged(records)
    assert encode(records) == before, "the records stay as they are"
    assert whole.main.received == sum(of.main.received for of in records)
    assert whole.received == sum(of.received for of in records)
    assert whole.rss_bytes == 6000
    assert whole.own_cpu_s == 9.0
    assert whole.figures.cpu_s == pytest.approx(sum(of.figures.cpu_s for of in records))
    assert whole.figures.lag.count == sum(of.figures.lag.count for of in records)
    assert set(whole.groups) == {MAIN, "group 0", "group 1", "group 2"}
    assert encode(whole.groups["group 1"]) == encode(records[1].groups["group 1"])
    assert [stage.received for stage in whole.stages] == [
        sum(of.stages[number].received for of in records) for number in range(2)
    ]
    assert whole.stretches[0].summary() == histogram(100, 200, 300).summary()
    assert whole.stretches[1].summary() == histogram(200, 300, 400, 300, 600, 300).summary()


def test_it_does_not_matter_how_often_it_was_merged_or_sent() -> None:
    at_once = merged([record(0), record(1), record(2)])
    twice = merged([travelled(merged([record(0), record(1)])), travelled(record(2))])
    assert encode(twice) == encode(at_once)


def test_due_times_of_a_room_that_workers_share_are_counted_once() -> None:
    assert merged([record(0), record(1)]).due_times == {
        "main": RoomDueTimes(200, [3, 5, 6], [9]),
        "r0": RoomDueTimes(7, [], []),
        "r1": RoomDueTimes(7, [], []),
    }


def test_the_worst_clock_counts() -> None:
    whole = merged([record(1), record(3), record(0)])
    assert (whole.clock_step_us, whole.clock_uncertainty_us) == (28, 12)
    assert whole.period_us == 50_000.0


def test_what_one_does_not_know_nobody_knows() -> None:
    records = [record(0, clock_uncertainty_us=9), record(1, clock_uncertainty_us=None, same_host=False)]
    for order in (records, records[::-1]):
        whole = merged(order)
        assert whole.clock_uncertainty_us is None
        assert not whole.same_host
    assert merged([record(0, clock_uncertainty_us=0), record(1, clock_uncertainty_us=0)]).clock_uncertainty_us == 0


def test_workers_that_share_a_room_count_the_same_skipped_ticks() -> None:
    whole = merged([record(0), record(1)])
    assert whole.unseen == Unseen({"main": 2, "r0": 5, "r1": 5}, {"main": 1}, {"r0": 1, "r1": 1})
    assert whole.cpus == [0, 1]
