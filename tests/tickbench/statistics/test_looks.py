import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri, stdtrit

from tickbench.statistics.looks import all_at_once, at_end, at_look


@pytest.mark.parametrize(
    ("share", "first", "last"),
    [(1 / 2, 2.9626, 1.9686), (1 / 3, 3.7103, 1.9605)],
    ids=["at half", "at a third"],
)
def test_the_bounds_are_those_of_lan_and_demets(share: float, first: float, last: float) -> None:
    """As in the tables of Reboussin, DeMets, Kim and Lan's ld98; R's gsDesign says the same for sfLDOF."""
    bounds = [-ndtri(spend(share)(0.05) / 2) for spend in (at_look, at_end)]
    assert bounds == pytest.approx([first, last], abs=2e-3)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3, 0.01])
def test_both_looks_together_err_as_often_as_one(alpha: float) -> None:
    share = 0.5
    bounds = np.array([-ndtri(spend(share)(alpha) / 2) for spend in (at_look, at_end)])
    both = stats.multivariate_normal(cov=[[1, math.sqrt(share)], [math.sqrt(share), 1]])
    assert 1 - both.cdf(bounds, lower_limit=-bounds) == pytest.approx(alpha, rel=1e-3)


@pytest.mark.parametrize("blocks", [6, 8, 12, 16])
def test_p_values_of_t_keep_the_level_as_well(blocks: int) -> None:
    """The levels are those of normal statistics, and blocks are few; a look at 5 % and again at the end errs in 8 %."""
    suites = np.random.default_rng(6).standard_normal((100_000, blocks))
    half = blocks // 2

    def crossed(logs: np.ndarray, level: float) -> np.ndarray:
        means, errors = logs.mean(axis=1), logs.std(axis=1, ddof=1) / math.sqrt(logs.shape[1])
        found: np.ndarray = abs(means) > stdtrit(logs.shape[1] - 1, 1 - level / 2) * errors
        return found

    both = crossed(suites[:, :half], at_look(0.5)(0.05)) | crossed(suites, at_end(0.5)(0.05))
    assert np.mean(both) == pytest.approx(0.05, abs=0.003)
    assert np.mean(crossed(suites[:, :half], 0.05) | crossed(suites, 0.05)) > 0.07


def test_nearly_all_is_left_for_the_end() -> None:
    assert at_look(0.5)(0.05) == pytest.approx(0.0031, abs=1e-4)
    assert at_end(0.5)(0.05) == pytest.approx(0.0490, abs=1e-4)
    assert all_at_once(0.05) == 0.05


def test_a_stricter_level_is_stricter_at_both_looks() -> None:
    levels = [0.05 / left for left in range(6, 0, -1)]
    for spend in (at_look(0.5), at_end(0.5)):
        assert [spend(level) for level in levels] == sorted(spend(level) for level in levels)
