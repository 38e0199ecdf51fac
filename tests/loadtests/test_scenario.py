import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.scenario import Scenario, is_among


@settings(deadline=None, derandomize=True, database=None)
@given(st.integers(1, 500), st.integers(0, 1000))
def test_a_share_of_any_number_is_that_share_and_spread_evenly(users: int, per_mille: int) -> None:
    among = [is_among(number, per_mille / 10) for number in range(users)]
    for start in range(0, users, 50):
        share = sum(among[start:users])
        assert abs(share - (users - start) * per_mille / 1000) <= 1


@pytest.mark.parametrize(
    ("percent", "among"),
    [(0, []), (100, list(range(20))), (10, [9, 19]), (50, list(range(1, 20, 2))), (25, [3, 7, 11, 15, 19]), (5, [19])],
)
def test_who_is_among_them(percent: float, among: list[int]) -> None:
    assert [number for number in range(20) if is_among(number, percent)] == among


def test_percentages_that_are_no_binary_fractions() -> None:
    for percent in (0.1, 1.1, 3.3, 33.3, 66.6, 99.9):
        assert sum(is_among(number, percent) for number in range(100_000)) == round(percent * 1000)


def test_a_window_is_one_step_unless_it_is_a_staircase() -> None:
    assert Scenario("", user=object).stage_starts_us(10_000_000) == [0]


@settings(deadline=None, derandomize=True, database=None)
@given(st.integers(1, 10), st.integers(10, 10**10))
def test_the_steps_of_a_staircase_are_equal_and_fill_the_window(stages: int, window_us: int) -> None:
    starts = Scenario("", user=object, stages=stages).stage_starts_us(window_us)
    assert starts[0] == 0
    lengths = [end - start for start, end in zip(starts, [*starts[1:], window_us], strict=True)]
    assert sum(lengths) == window_us
    assert max(lengths) - min(lengths) <= 1
