"""Nothing is lost: counts, merges and the encoding are exact, and the library agrees on every counter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.measure.histogram import HIGHEST_US, Histogram, HistogramSummary

# From far below to far above the range, and densely where the layout changes.
VALUES = st.one_of(
    st.integers(-1_000_000, 2 * HIGHEST_US),
    st.integers(-2, 5000),
    st.integers(0, 26).flatmap(lambda bits: st.integers(2**bits - 2, 2**bits + 2)),
)


def recorded(*values: int) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def test_small_values_are_exact() -> None:
    summary = recorded(1000, 1500, 2000).summary()
    assert (summary.count, summary.mean, summary.p50, summary.max) == (3, 1.5, 1.5, 2.0)


def test_percentiles_are_nearest_rank() -> None:
    histogram = recorded(*range(1, 1001))
    assert [histogram.percentile_us(p) for p in (0, 0.1, 50, 90, 99, 99.9, 100)] == [1, 1, 500, 900, 990, 999, 1000]


def test_no_percentile_is_above_the_maximum() -> None:
    histogram = recorded(40_001, 40_001)
    assert histogram.percentile_us(50) == histogram.max_us == 40_001
    assert histogram.mean_us == 40_001


def test_percentiles_are_within_three_digits() -> None:
    histogram = recorded(*range(1_000_000, 60_000_000, 100_000))
    for percentile in (10, 20, 50, 90):
        true = 1_000_000 + 100_000 * (590 * percentile // 100 - 1)
        assert true <= histogram.percentile_us(percentile) <= true * 1.001


def test_counts_up_to_a_bound_contain_the_bound() -> None:
    histogram = recorded(1, 50, 50, 51, 2000, 2001, 2047)
    assert histogram.counts_up_to([0, 1, 49, 50, 51, 2000, 2001, 2047]) == [0, 1, 1, 3, 4, 5, 6, 7]
    assert histogram.total_us == 6200


def test_a_value_just_above_a_great_bound_counts_as_within() -> None:
    # 5,000 to 5,003 us share a counter.
    assert recorded(4999, 5000, 5001, 5003, 5004).counts_up_to([4996, 4999, 5000, 5004]) == [1, 1, 4, 5]


def test_all_values_are_up_to_the_highest_bound() -> None:
    histogram = recorded(-5, 0, 7, HIGHEST_US, HIGHEST_US + 1)
    assert histogram.counts_up_to([1, 7, HIGHEST_US, 2 * HIGHEST_US]) == [2, 3, 5, 5]
    assert Histogram().counts_up_to([0, 1, HIGHEST_US]) == [0, 0, 0]


@given(st.lists(VALUES), st.lists(st.integers(0, 2 * HIGHEST_US)))
def test_counts_up_to_err_by_the_resolution_and_to_one_side(values: list[int], bounds: list[int]) -> None:
    kept = [min(max(value, 1), HIGHEST_US) for value in values]
    for bound, count in zip(bounds, recorded(*values).counts_up_to(bounds), strict=True):
        surely = sum(value <= bound for value in kept)
        assert surely <= count <= (sum(value < bound * 1.001 for value in kept) if bound > 2047 else surely)


def test_values_out_of_range_are_kept_and_counted_apart() -> None:
    histogram = Histogram()
    histogram.record(0)
    histogram.record(-700, count=2)
    histogram.record(HIGHEST_US)
    histogram.record(HIGHEST_US + 1, count=3)
    assert (histogram.count, histogram.early, histogram.clipped) == (7, 3, 3)
    assert histogram.percentile_us(1) == 1
    assert histogram.max_us == HIGHEST_US
    assert histogram.mean_us == (3 + 4 * HIGHEST_US) / 7


def test_empty_has_no_figures() -> None:
    histogram = Histogram()
    assert (histogram.count, histogram.percentile_us(99), histogram.mean_us, histogram.max_us) == (0, 0, 0.0, 0)
    summary = histogram.summary()
    assert [summary.mean, summary.p50, summary.p90, summary.p99, summary.p999, summary.max] == [None] * 6
    assert Histogram.from_summary(summary).summary() == summary


@given(st.lists(VALUES))
def test_an_array_counts_like_its_values_one_by_one(values: list[int]) -> None:
    by_array = Histogram()
    by_array.record_array(np.array(values, dtype=np.int64))
    one_by_one = recorded(*values)
    assert by_array.summary() == one_by_one.summary()
    assert (by_array.mean_us, by_array.count) == (one_by_one.mean_us, len(values))


@given(st.lists(VALUES), st.lists(VALUES))
def test_merging_is_the_same_as_recording_all_in_one(left: list[int], right: list[int]) -> None:
    merged = recorded(*left)
    merged.add(recorded(*right))
    assert merged.summary() == recorded(*left, *right).summary()


@given(st.lists(VALUES))
def test_a_summary_gives_the_histogram_back(values: list[int]) -> None:
    summary = recorded(*values).summary()
    again = Histogram.from_summary(summary)
    assert again.summary() == summary
    again.record(77)
    assert again.summary() == recorded(*values, 77).summary()


@given(st.lists(VALUES), st.lists(VALUES))
def test_since_gives_what_came_later(before: list[int], after: list[int]) -> None:
    earlier, now = recorded(*before), recorded(*before, *after)
    later, truth = now.since(earlier), recorded(*after)
    assert (later.count, later.early, later.clipped) == (truth.count, truth.early, truth.clipped)
    assert later.mean_us == truth.mean_us
    assert truth.max_us <= later.max_us <= max(truth.max_us * 1.001, truth.max_us)
    later.max_us = truth.max_us
    assert later.summary() == truth.summary()


def test_since_refuses_counters_that_went_down() -> None:
    with pytest.raises(ValueError, match="started anew"):
        recorded(5).since(recorded(5, 9))


@given(st.integers(1, HIGHEST_US))
def test_the_layout_is_the_library_s(value: int) -> None:
    histogram = recorded(value)
    library = histogram._hdr
    index = library.get_counts_array_index(value)
    assert histogram._counts[index] == 1
    assert recorded(value, HIGHEST_US).percentile_us(50) == min(library.get_highest_equivalent_value(value), HIGHEST_US)


def test_the_library_reads_what_is_encoded() -> None:
    values = [1, 2047, 2048, 40_000, 59_999_999]
    library = Histogram()._hdr
    library.decode_and_add(recorded(*values).summary().hdr)
    assert library.get_total_count() == len(values)
    assert [library.get_count_at_value(value) for value in values] == [1] * len(values)


@pytest.mark.parametrize(
    ("hdr", "why"),
    [
        ("", "not an HDR histogram"),
        ("?", "not an HDR histogram"),
        ("AAAAAAAAAAAAAAAA", "not an HDR histogram"),
        (recorded(5).summary().hdr[:40], "not an HDR histogram"),
        (recorded(5, 6).summary().hdr, "says count 1 and holds 2"),
    ],
)
def test_a_damaged_encoding_is_refused(hdr: str, why: str) -> None:
    good = recorded(5).summary()
    damaged = HistogramSummary(
        count=good.count,
        mean=good.mean,
        p50=good.p50,
        p90=good.p90,
        p99=good.p99,
        p999=good.p999,
        max=good.max,
        early=good.early,
        clipped=good.clipped,
        hdr=hdr,
    )
    with pytest.raises(ValueError, match=why):
        Histogram.from_summary(damaged)


@given(st.lists(VALUES))
def test_columns_are_the_values(values: list[int]) -> None:
    histogram = recorded(*values)
    for of in (histogram, Histogram.from_summary(histogram.summary())):
        us, counts = of.columns()
        assert list(zip(us.tolist(), counts.tolist(), strict=True)) == list(of.values())


def test_what_was_recorded_is_told_value_by_value() -> None:
    histogram = Histogram()
    for us, count in ((7, 2), (1_500, 1), (3_000_001, 4)):
        histogram.record(us, count)
    assert list(histogram.values()) == [(7, 2), (1_500, 1), (3_000_001, 4)]
    assert list(Histogram().values()) == []
