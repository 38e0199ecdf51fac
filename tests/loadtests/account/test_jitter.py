import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.account.jitter import JitterEstimators

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100_000), st.booleans()), max_size=60)
ALL = np.ones(4, dtype=np.bool_)


def by_the_book(takes: list[list[tuple[int, int, bool]]]) -> list[float]:
    """Return J of each connection that has one, as in RFC 3550, appendix A.8."""
    estimates: dict[int, float] = {}
    for connection, change_us, counted in (row for take in takes for row in take):
        if counted:
            before = estimates.get(connection, 0.0)
            estimates[connection] = before + (change_us - before) / 16
    return [estimates[connection] for connection in sorted(estimates)]


def taken(takes: list[list[tuple[int, int, bool]]]) -> JitterEstimators:
    estimators = JitterEstimators()
    estimators.grow(4)
    for take in takes:
        connection = np.array([row[0] for row in take], dtype=np.int64)
        first = np.ones(len(take), dtype=np.bool_)
        first[1:] = connection[1:] != connection[:-1]
        estimators.take(
            connection,
            np.array([row[1] for row in take], dtype=np.int64),
            first,
            np.array([row[2] for row in take], dtype=np.bool_),
        )
    return estimators


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(ROWS, max_size=3))
def test_all_at_once_is_the_same_as_one_by_one(takes: list[list[tuple[int, int, bool]]]) -> None:
    takes = [sorted(take, key=lambda row: row[0]) for take in takes]
    book = by_the_book(takes)
    histogram = taken(takes).histogram(ALL)
    assert histogram.count == len(book)
    assert abs(histogram.max_us - max(book, default=0)) <= 1


def test_a_constant_change_is_approached() -> None:
    assert taken([[(0, 1600, True)] * 200]).histogram(ALL).max_us == 1600


def test_only_those_who_are_asked_for() -> None:
    estimators = taken([[(0, 1600, True), (1, 160, True), (3, 16_000, False)]])
    assert estimators.histogram(np.array([True, False, False, True])).max_us == 100
    assert estimators.histogram(np.array([False, True, True, True])).max_us == 10
    assert estimators.histogram(np.array([False, False, True, True])).count == 0


def test_growing_forgets_nothing() -> None:
    estimators = taken([[(1, 1600, True)]])
    estimators.grow(9)
    assert estimators.histogram(np.ones(9, dtype=np.bool_)).max_us == 100
