"""What the bench makes of what it measured."""

import math
import random
from typing import Any

import numpy as np
import pytest

from tests.bench import standing
from tests.bench.standing import MEASURED, MEMORY, Outcome, Pair, figures_of
from tests.support.stamped_reader import Frames

PERIOD_US = 50_000


def frames(*rows: tuple[int, int, int]) -> Frames:
    return Frames(*np.array(rows, dtype=np.int64).T)


def test_lateness_and_interval_errors_are_those_of_the_frames_that_were_due_then() -> None:
    read = frames(
        (7, 0, 900_000),  # due before: it waited while the server stood still
        (7, 1_000_000, 1_001_000),
        (8, 1_000_000, 1_003_000),
        (9, 1_025_000, 1_225_000),  # the other server's
        (7, 1_050_000, 1_052_500),
        (8, 1_100_000, 1_101_000),  # not the one after its last
        (7, 1_150_000, 1_151_000),
    )
    due = read.due_within(1_000_000, 1_150_000).of({7, 8})
    assert due.lateness_us.tolist() == [1000, 3000, 2500, 1000]
    assert due.interval_errors_us(PERIOD_US).tolist() == [1500]
    figures = figures_of(due, cpu_us=40)
    assert (figures["lateness p50"], figures["interval error p99"], figures["CPU a frame"]) == (1750, 1500, 10)
    assert figures_of(due.due_within(0, 1), 40) == {}


def outcome(log: float, *, thrown: float = 0.0) -> Outcome:
    """Return that of a pair whose measured parts scatter around ``log``, with one in which nothing came."""
    parts = [{"lateness p50": thrown}] * MEASURED + [{"lateness p50": log - 0.2}, {}, {"lateness p50": log + 0.2}]
    return Outcome(parts, {MEMORY: 0.0})


def test_a_pair_is_one_value_and_what_is_thrown_away_is_in_none() -> None:
    pairs = [outcome(log, thrown=5.0).logs for log in (0.0, 0.1, 0.2)]
    ratio = standing.ratio_of([*pairs, {}], "lateness p50")
    assert ratio is not None
    assert ratio.blocks == 3
    assert ratio.ratio == pytest.approx(math.exp(0.1))
    assert standing.verdict_of(ratio) == "?"
    assert standing.verdict_of(standing.ratio_of(pairs, MEMORY)) == "="


def test_what_sets_two_processes_apart_is_no_slowness_after_a_waking() -> None:
    assert outcome(0.3, thrown=0.7).after_wake(0) == {"lateness p50": pytest.approx(0.4)}


def test_each_server_of_a_pair_is_the_one_that_is_stopped_as_often() -> None:
    sides = standing.drawn_sides(10, random.Random(1))
    assert sorted(sides) == [0] * 5 + [1] * 5
    assert sides != sorted(sides)


def test_one_is_stopped_so_often_and_woken_last_when_its_slot_begins_between_the_ticks_of_both() -> None:
    done: list[tuple[Any, ...]] = []

    class Stub:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, does: str) -> Any:
            return lambda *arguments: done.append((self.name, does, *arguments))

    one, other, reader = Stub("one"), Stub("other"), Stub("reader")
    servers = [standing.Server(child, "", frozenset(), ()) for child in (one, other)]  # type: ignore[arg-type]
    Pair(*servers, reader).stop_often(3, random.Random(1))  # type: ignore[call-arg, arg-type]
    stop = [("reader", "read"), ("one", "stand_still"), ("reader", "read")]
    assert [each[:2] for each in done] == [*stop, ("one", "wake")] * 2 + stop
    assert done[-1][2] == standing.LAST_PAUSE_S
    for now_s in (1_800_000_000.0, 1_800_000_000.021, 1_800_000_000.049):
        cut_s = (now_s + standing.until_next_cut_s(now_s)) % 0.05
        assert cut_s == pytest.approx(0.02, abs=1e-5)
        assert 0 <= standing.until_next_cut_s(now_s) < 0.05
