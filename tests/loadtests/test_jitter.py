import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadtests.jitter import JitterEstimators

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100_000), st.booleans()), max_size=60)


def by_the_book(takes: list[list[tuple[int, int, bool]]]) -> list[float]:
    """Return J of each connection that has one, as in RFC 3550, appendix A.8."""
    estimates: dict[int, float] = {}
    for connection, change_us, counted in (row for take in takes for row in take):
        if counted:
            before = estimates.get(connection, 0.0)
            estimates[connection] = before + (change_us - before) / 16
    return [estimates[connection] for connection in sorted(estimates)]


@given(st.lists(ROWS, max_size=3))
def test_all_at_once_is_the_same_as_one_by_one(takes: list[list[tuple[int, int, bool]]]) -> None:
    takes = [sorted(take, key=lambda row: row[0]) for take in takes]
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
    book = by_the_book(takes)
    histogram = estimators.histogram()
    assert histogram.count == len(book)
    assert abs(histogram.max_us - max(book, default=0)) <= 1


def test_a_constant_change_is_approached() -> None:
    estimators = JitterEstimators()
    estimators.grow(1)
    rows = 200
    first = np.zeros(rows, dtype=np.bool_)
    first[0] = True
    estimators.take(
        np.zeros(rows, dtype=np.int64), np.full(rows, 1600, dtype=np.int64), first, np.ones(rows, dtype=np.bool_)
    )
    assert estimators.histogram().max_us == 1600
