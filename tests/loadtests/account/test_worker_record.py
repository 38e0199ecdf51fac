from dataclasses import fields, replace
from typing import Any

import pytest

from loadtests.account.counts import MAIN, Accounts, StageAccounts
from loadtests.account.join_rate import JoinRate
from loadtests.account.settling import RoomDueTimes
from loadtests.account.worker_record import Figures, WorkerRecord, merged
from loadtests.surroundings.cores import CoreTimes, MachineSample
from shared.measure.histogram import Histogram
from shared.measure.quota import Quota
from tests.loadtests.account.test_counts import filled, travelled


def histogram(*values_us: int) -> Histogram:
    recorded = Histogram()
    for value_us in values_us:
        recorded.record(value_us)
    return recorded


def part(worker: int = 0, **changes: Any) -> WorkerRecord:
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
        "unseen": {"main": seed, f"r{worker}": 5},
        "lost": {"main": 1},
        "unexplained": {f"r{worker}": 1},
        "due_times": {"main": RoomDueTimes(200, [3, 5 + worker], [9]), f"r{worker}": RoomDueTimes(7, [], [])},
        "period_us": 50_000.0,
        "rush": JoinRate(seed, 1000 - seed, 2000 + seed),
        "steps": {seed: 7, seed + 2: 9},
        "conflicting_steps": worker,
        "figures": filled(Figures, seed),
        "groups": {MAIN: filled(Accounts, seed), f"group {worker}": filled(Accounts, 7)},
        "stages": [filled(StageAccounts, seed), filled(StageAccounts, 9)],
        "stretches": [histogram(100 * seed), histogram(200 * seed, 300)],
    }
    return WorkerRecord(**(values | changes))


def over_the_wire(of: WorkerRecord) -> WorkerRecord:
    return WorkerRecord.from_wire(travelled(of.to_wire()))


@pytest.mark.parametrize(
    "of",
    [
        part(),
        part(boot_id=None, before=None, after=None, clock_uncertainty_us=None, unseen={}, lost={}, unexplained={}),
        part(stages=[], stretches=[], groups={MAIN: Accounts()}, period_us=0.0),
    ],
)
def test_a_part_travels_without_loss(of: WorkerRecord) -> None:
    again = over_the_wire(of)
    assert again.to_wire() == of.to_wire()
    assert (again.before, again.after) == (of.before, of.after)
    assert list(again.groups) == list(of.groups)


def test_every_field_travels() -> None:
    assert set(part().to_wire()) == {item.name for item in fields(WorkerRecord)}


def test_main_and_received() -> None:
    of = part(groups={MAIN: Accounts(received=5), "stalled": Accounts(received=3)})
    assert of.main is of.groups[MAIN]
    assert of.received == 8


# Several


def test_one_part_is_the_whole() -> None:
    assert merged([part()]).to_wire() == part().to_wire() | {"worker": -1, "pid": -1, "cpus": [0, 1]}


def test_counts_add_up() -> None:
    parts = [part(0), part(1), part(2)]
    wires = [of.to_wire() for of in parts]
    whole = merged(parts)
    assert [of.to_wire() for of in parts] == wires, "the parts stay as they are"
    assert whole.main.received == sum(of.main.received for of in parts)
    assert whole.received == sum(of.received for of in parts)
    assert whole.rss_bytes == 6000
    assert whole.own_cpu_s == 9.0
    assert whole.figures.cpu_s == pytest.approx(sum(of.figures.cpu_s for of in parts))
    assert whole.figures.lag.count == sum(of.figures.lag.count for of in parts)
    assert set(whole.groups) == {MAIN, "group 0", "group 1", "group 2"}
    assert whole.groups["group 1"].to_wire() == parts[1].groups["group 1"].to_wire()
    assert [stage.received for stage in whole.stages] == [
        sum(of.stages[number].received for of in parts) for number in range(2)
    ]
    assert whole.stretches[0].summary() == histogram(100, 200, 300).summary()
    assert whole.stretches[1].summary() == histogram(200, 300, 400, 300, 600, 300).summary()


def test_it_does_not_matter_how_often_it_was_merged_or_sent() -> None:
    at_once = merged([part(0), part(1), part(2)])
    twice = merged([over_the_wire(merged([part(0), part(1)])), over_the_wire(part(2))])
    assert twice.to_wire() == at_once.to_wire()


def test_due_times_of_a_room_that_workers_share_are_counted_once() -> None:
    assert merged([part(0), part(1)]).due_times == {
        "main": RoomDueTimes(200, [3, 5, 6], [9]),
        "r0": RoomDueTimes(7, [], []),
        "r1": RoomDueTimes(7, [], []),
    }


def test_the_worst_clock_counts() -> None:
    whole = merged([part(1), part(3), part(0)])
    assert (whole.clock_step_us, whole.clock_uncertainty_us) == (28, 12)
    assert whole.period_us == 50_000.0


def test_what_one_does_not_know_nobody_knows() -> None:
    parts = [part(0, clock_uncertainty_us=9), part(1, clock_uncertainty_us=None, same_host=False)]
    for order in (parts, parts[::-1]):
        whole = merged(order)
        assert whole.clock_uncertainty_us is None
        assert not whole.same_host
    assert merged([part(0, clock_uncertainty_us=0), part(1, clock_uncertainty_us=0)]).clock_uncertainty_us == 0


def test_workers_that_share_a_room_count_the_same_skipped_ticks() -> None:
    whole = merged([part(0), part(1)])
    assert whole.unseen == {"main": 2, "r0": 5, "r1": 5}
    assert (whole.lost, whole.unexplained) == ({"main": 1}, {"r0": 1, "r1": 1})
    assert whole.cpus == [0, 1]
