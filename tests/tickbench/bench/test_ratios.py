import random
import statistics

import pytest

from tickbench.bench.ratios import RatioEstimate, estimate, estimate_difference, ratios


def test_repeats_are_compared_one_by_one() -> None:
    assert ratios([2.0, 6.0], [1.0, 2.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="longer"):
        ratios([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("count", "rank"), [(2, 1), (5, 1), (6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (30, 10), (100, 40)]
)
def test_the_interval_has_the_ranks_of_the_tables(count: int, rank: int) -> None:
    """Of the binomial distribution with p = 1/2, as printed for the sign test."""
    values = [float(value) for value in range(1, count + 1)]
    random.Random(1).shuffle(values)
    assert estimate(values) == RatioEstimate((count + 1) / 2, rank, count + 1 - rank)


def test_it_holds_the_median_as_often_as_it_says() -> None:
    rng = random.Random(2)
    samples = [estimate([rng.lognormvariate(0, 1) for _ in range(12)]) for _ in range(2000)]
    assert 0.95 <= sum(sample.low <= 1 <= sample.high for sample in samples) / len(samples) < 0.98


def test_a_difference_is_that_of_all_values_and_its_interval_that_of_whole_repeats() -> None:
    ours, theirs = [[5.0, 9.0], [5.0, 9.0], [6.0, 10.0]], [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]
    assert estimate_difference(ours, theirs, max) == RatioEstimate(8.0, 7.0, 8.0)
    assert estimate_difference(ours, ours, max) == RatioEstimate(0, 0, 0), "both sides of a repeat stay together"


def test_the_interval_of_a_difference_holds_it_about_as_often_as_it_says() -> None:
    rng = random.Random(3)

    def repeats(shift: float) -> list[list[float]]:
        return [[rng.gauss(shift, 1) for _ in range(10)] for _ in range(20)]

    estimates = [estimate_difference(repeats(1), repeats(0), statistics.fmean) for _ in range(100)]
    assert 85 <= sum(each.low <= 1 <= each.high for each in estimates) <= 100
    assert sum(each.low <= 0 <= each.high for each in estimates) < 5
