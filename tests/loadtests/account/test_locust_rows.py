import random
from collections import Counter

import numpy as np
import pytest

from loadtests.account.locust_rows import LATENESS, LocustRows, Row, added, of_summary, rounded_us
from shared.measure.histogram import Histogram
from shared.measure.summary import read_summary
from tests.loadtests.account.test_counts import travelled
from tests.loadtests.conftest import ROOT

RECORDED = ROOT / "tests" / "tickbench" / "fakes" / "summary.json"


@pytest.mark.parametrize(
    ("us", "rounded"),
    [(0, 0), (4, 0), (5, 10), (8_437, 8_440), (9_996, 10_000), (10_040, 10_000), (10_050, 10_100), (99_960, 100_000),
     (100_499, 100_000), (1_004_000, 1_000_000), (12_349_000, 12_300_000), (60_000_000, 60_000_000)],
)  # fmt: skip
def test_a_table_has_three_digits(us: int, rounded: int) -> None:
    assert rounded_us(np.array([us])).tolist() == [rounded]
    assert abs(rounded - us) <= max(5, us / 200)


def test_a_row_s_percentiles_are_the_histogram_s_to_its_rounding() -> None:
    histogram, rng = Histogram(), random.Random(7)
    for _ in range(5_000):
        histogram.record(round(rng.lognormvariate(7.5, 1.5)))
    row = Row.of(histogram)
    assert row.count == histogram.count
    for percentile in (0, 1, 50, 90, 99, 99.9, 100):
        assert [row.percentile_us(percentile)] == rounded_us(np.array([histogram.percentile_us(percentile)])).tolist()
    assert row.total_us == histogram.total_us


def test_a_row_counts_each_value_of_its_histogram() -> None:
    histogram, counts, rng = Histogram(), Counter[int](), random.Random(8)
    for _ in range(3_000):
        histogram.record(round(rng.lognormvariate(8, 3)))
    for us, count in histogram.values():
        (rounded,) = rounded_us(np.array([us])).tolist()
        counts[rounded] += count
    assert Row.of(histogram).counts == counts
    assert all(type(number) is int for pair in Row.of(histogram).counts.items() for number in pair)


def test_an_empty_row_has_no_values() -> None:
    row = Row.of(Histogram())
    assert (row.count, row.percentile_us(50), row.total_us) == (0, 0, 0)


def rows(since_s: float, *us: int, in_window: bool = True) -> LocustRows:
    histogram = Histogram()
    for value in us:
        histogram.record(value)
    return LocustRows(since_s, in_window, {LATENESS: Row.of(histogram)})


def test_the_rows_of_several_workers_add_up() -> None:
    of_all = added([rows(10.0, 1_000, 2_000), rows(9.5, 2_000, 50_000)])
    assert of_all is not None
    assert of_all.since_s == 9.5
    assert of_all.by_name[LATENESS].counts == {1_000: 1, 2_000: 2, 50_000: 1}
    assert added([]) is None


def test_what_came_before_the_window_is_not_added_to_what_comes_in_it() -> None:
    of_all = added([rows(3.0, 150_000, in_window=False), rows(10.0, 2_000)])
    assert of_all is not None
    assert (of_all.in_window, of_all.since_s) == (True, 10.0)
    assert of_all.by_name[LATENESS].counts == {2_000: 1}


def test_rows_travel_whole() -> None:
    some = rows(10.0, 1_000, 2_000, 2_000)
    assert travelled(some) == some


def test_a_frame_that_was_due_and_did_not_come_is_a_failure() -> None:
    summary = read_summary(RECORDED.read_bytes())
    row = of_summary(summary)[LATENESS]
    assert row.count == summary.tick_lateness_ms.count
    assert row.failed == summary.tick_lateness_ms.count - summary.frames.received
    assert row.bytes == summary.frames.bytes
