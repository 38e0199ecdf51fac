from hypothesis import given
from hypothesis import strategies as st

from shared.wire.allowance import Allowance


def test_what_is_saved_up_is_there_at_once_and_the_rest_comes_back() -> None:
    allowance = Allowance(per_s=10, most=3)
    for _ in range(3):
        assert allowance.has_some(5_000_000)
        allowance.take(1)
    assert not allowance.has_some(5_000_000)
    assert allowance.has_some(5_000_001)
    assert allowance.has_some(9_000_000)
    allowance.take(3)
    assert not allowance.has_some(9_000_000), "no more than the most was saved up"


def test_a_debt_is_paid_back_first() -> None:
    allowance = Allowance(per_s=100, most=50)
    assert allowance.has_some(0)
    allowance.take(150)
    assert allowance.comes_back_s() == 1
    assert not allowance.has_some(999_999)
    assert allowance.has_some(1_000_001)
    assert allowance.comes_back_s() == 0


def test_a_time_that_comes_late_gives_nothing_back_twice() -> None:
    allowance = Allowance(per_s=1, most=1)
    assert allowance.has_some(1_000_000)
    allowance.take(1)
    assert not allowance.has_some(0)
    assert not allowance.has_some(1_000_000)


@given(st.lists(st.tuples(st.integers(0, 200_000), st.floats(0, 5)), max_size=100))
def test_in_any_time_no_more_is_taken_than_came_back_and_one_beyond(steps: list[tuple[int, float]]) -> None:
    allowance, now_us, taken = Allowance(per_s=20, most=10), 0, 0.0
    for wait_us, amount in steps:
        now_us += wait_us
        if allowance.has_some(now_us):
            allowance.take(amount)
            taken += amount
    assert taken <= 10 + 20 * now_us / 1_000_000 + 5 + 1e-6
