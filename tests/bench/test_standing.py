"""What the bench makes of what it measured."""

import numpy as np
import pytest

from tests.bench.standing import Server, changed, figures_of
from tests.support.stamped_reader import Frames

PERIOD_US = 50_000


def frames(*rows: tuple[int, int, int]) -> Frames:
    return Frames(*np.array(rows, dtype=np.int64).T)


def test_lateness_and_interval_errors_are_those_of_the_frames_that_were_due_then() -> None:
    read = frames(
        (7, 0, 900_000),  # due before: it waited while the server stood still
        (7, 1_000_000, 1_001_000),
        (8, 1_000_000, 1_003_000),
        (7, 1_050_000, 1_052_500),
        (8, 1_100_000, 1_101_000),  # not the one after its last
        (7, 1_150_000, 1_151_000),
    )
    due = read.due_within(1_000_000, 1_150_000)
    assert due.lateness_us.tolist() == [1000, 3000, 2500, 1000]
    assert due.interval_errors_us(PERIOD_US).tolist() == [1500]
    figures = figures_of(due, cpu_us=40)
    assert (figures["lateness p50"], figures["interval error p99"], figures["CPU a frame"]) == (1750, 1500, 10)
    assert figures_of(due.due_within(0, 1), 40) == {}


def test_what_sets_two_servers_apart_from_the_start_cancels() -> None:
    child: object = None
    slow, other = (Server(child, "", [{"lateness p50": of} for of in times]) for times in ((4, 8, 4.4), (2, 4, 2)))  # type: ignore[arg-type]
    slow.slots.append({})  # nothing came
    other.slots.append({"lateness p50": 4})
    assert np.exp(changed(slow, other, "lateness p50", 2)).tolist() == [pytest.approx(1.1)]
