from functools import reduce

import pytest

from loadtests.account.join_rate import NO_JOINS, JoinRate


def test_a_rush_is_as_long_as_from_the_first_start_to_the_last_tick() -> None:
    parts = [JoinRate(1, 500, 900), NO_JOINS, JoinRate(3, 200, 700), JoinRate(1, 300, 1_000_200)]
    whole = reduce(JoinRate.joined, parts, NO_JOINS)
    assert whole == JoinRate(5, 200, 1_000_200)
    assert whole.per_second == pytest.approx(5)


def test_without_anybody_there_is_no_rate() -> None:
    assert NO_JOINS.per_second is None
    assert NO_JOINS.joined(NO_JOINS) == NO_JOINS
