import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.relay.fence import Fence, Tenure, read_stamp, stamp


@given(st.integers(1, 2**63), st.binary())
def test_a_stamp_is_read_as_it_was_made(number: int, payload: bytes) -> None:
    assert read_stamp(stamp(number, payload)) == (number, payload)


def test_what_has_no_stamp_is_refused() -> None:
    with pytest.raises(ValueError, match="no fencing number"):
        read_stamp(b"1234567")


@given(st.lists(st.integers(1, 9)))
def test_nothing_of_an_older_owner_is_taken_behind_a_newer_one(numbers: list[int]) -> None:
    fence = Fence()
    taken = [number for number in numbers if fence.admits(number)]
    assert taken == sorted(taken)
    assert taken == [number for index, number in enumerate(numbers) if number == max(numbers[: index + 1])]
    assert fence.refused == len(numbers) - len(taken)


def test_an_owner_s_time_counts_from_before_it_asked() -> None:
    tenure = Tenure(7, ttl_s=2, asked_at_s=100)
    assert tenure.holds(101.9)
    assert not tenure.holds(102)
    tenure.renewed(asked_at_s=101)
    assert tenure.holds(102.9)
    tenure.renewed(asked_at_s=100.5)  # the answer to an earlier question comes late
    assert tenure.holds(102.9)
    assert not tenure.holds(103)
    tenure.end()
    assert not tenure.holds(101)
