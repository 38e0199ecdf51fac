from functools import reduce

import pytest

from loadtests.account.joining import NO_RUSH, Rush


def test_a_rush_is_as_long_as_from_the_first_start_to_the_last_tick() -> None:
    parts = [Rush(1, 500, 900), NO_RUSH, Rush(3, 200, 700), Rush(1, 300, 1_000_200)]
    whole = reduce(Rush.joined, parts, NO_RUSH)
    assert whole == Rush(5, 200, 1_000_200)
    assert whole.per_second == pytest.approx(5)


def test_without_anybody_there_is_no_rate() -> None:
    assert NO_RUSH.per_second is None
    assert NO_RUSH.joined(NO_RUSH) == NO_RUSH
