import random

import pytest

from tickbench.bench.ratios import Estimate, estimate, ratios


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
    assert estimate(values) == Estimate((count + 1) / 2, rank, count + 1 - rank)


def test_it_holds_the_median_as_often_as_it_says() -> None:
    rng = random.Random(2)
    samples = [estimate([rng.lognormvariate(0, 1) for _ in range(12)]) for _ in range(2000)]
    assert 0.95 <= sum(sample.low <= 1 <= sample.high for sample in samples) / len(samples) < 0.98
