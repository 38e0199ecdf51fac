import math

import numpy as np
import pytest

from shared.measure.histogram import Histogram
from tests.bench.tails import mean_of_worst, scatter, share_over


@pytest.fixture
def histogram() -> Histogram:
    made = Histogram()
    for ms in range(1, 101):
        made.record(ms)
    return made


def test_the_tail_is_what_it_says(histogram: Histogram) -> None:
    assert mean_of_worst(0.05)(histogram) == pytest.approx((96 + 97 + 98 + 99 + 100) / 5)
    assert share_over(90)(histogram) == pytest.approx(0.105)


def test_the_scatter_is_that_of_a_log_ratio_and_a_covariate_takes_out_what_goes_with_it() -> None:
    rng = np.random.default_rng(2)
    gaps = [rng.exponential(1, 3) for _ in range(2_000)]
    own = [rng.normal(0, 0.1, 3) for _ in gaps]
    of_block = rng.normal(0, 5, len(gaps))
    values = [gap * 0.3 + noise + block for gap, noise, block in zip(gaps, own, of_block, strict=True)]
    assert scatter(values) == pytest.approx(math.sqrt(2 * (0.3**2 + 0.1**2)), rel=0.05)
    assert scatter(values, gaps) == pytest.approx(math.sqrt(2) * 0.1, rel=0.05)
    assert scatter(own, [np.zeros(3) for _ in own]) == scatter(own)
