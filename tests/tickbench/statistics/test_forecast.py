import math

import numpy as np
import pytest

from tests.bench.power import simulate_forecast
from tickbench.statistics.forecast import MOST_TIMES, what_would_decide
from tickbench.statistics.verdicts import ALPHA, MARGIN, judge


def around(ratio: float, scatter: float, blocks: int = 8) -> list[float]:
    """Return logarithms of ratios around one, whose standard deviation is ``scatter``."""
    steps = np.linspace(-1, 1, blocks)
    return list(math.log(ratio) + scatter * steps / np.std(steps, ddof=1))


def test_a_little_more_is_needed_where_it_is_nearly_decided() -> None:
    near, far = (what_would_decide(around(1.0, scatter), ALPHA) for scatter in (0.12, 0.16))
    assert near is not None
    assert far is not None
    assert near.more_blocks is not None
    assert far.more_blocks is not None
    assert 1 <= near.more_blocks < far.more_blocks <= MOST_TIMES * 8


def test_a_stricter_level_takes_more() -> None:
    once, strict = (what_would_decide(around(1.0, 0.12), level) for level in (0.05, 0.01))
    assert once is not None
    assert strict is not None
    assert (once.more_blocks or 99) < (strict.more_blocks or 99)
    assert once.scatter_share > strict.scatter_share


def test_where_no_affordable_number_would_do_the_scatter_has_to_fall() -> None:
    found = what_would_decide(around(1.0, 1.2), ALPHA)
    assert found is not None
    assert found.more_blocks is None
    assert found.words == (
        "deciding it takes a quieter machine, on which blocks scatter by 5.9 % and not by 232 %; 4 times as many "
        "blocks would not do"
    )


@pytest.mark.parametrize("ratio", [1.0, 1.02, MARGIN**0.5, 1.08, 1.2])
def test_with_that_scatter_as_many_blocks_decide_it_wherever_the_ratio_lies(ratio: float) -> None:
    found = what_would_decide(around(ratio, 0.4), ALPHA)
    assert found is not None
    kinds = [judge([around(ratio, 0.4 * found.scatter_share * by)])[0].kind for by in (0.99, 1.05)]
    assert kinds[0] != "inconclusive"
    assert kinds[1] == "inconclusive" or ratio != MARGIN**0.5


def test_without_blocks_or_scatter_nothing_is_told() -> None:
    assert what_would_decide([0.1, 0.2], ALPHA) is None
    assert what_would_decide([0.1] * 8, ALPHA) is None


@pytest.mark.parametrize("scatter", [0.08, 0.12])
def test_about_as_many_are_decided_as_is_said(scatter: float) -> None:
    found = simulate_forecast(scatter, blocks=12, suites=600, rng=np.random.default_rng(5))
    assert found["told"] > 0.9
    assert 0.75 <= found["decided"] <= 0.95
