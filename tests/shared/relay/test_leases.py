import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.relay import leases
from shared.relay.fence import Tenure
from shared.relay.leases import LeaseTable

TTL_MS = 100
WALL_MS = 1_700_000_000_000


def test_a_lease_is_one_owner_s_until_it_is_over() -> None:
    table = LeaseTable(None)
    number = table.acquire("main", "a", TTL_MS, 0, WALL_MS)
    assert number is not None
    assert table.acquire("main", "b", TTL_MS, 99, WALL_MS) is None
    assert table.renew("main", "a", number, TTL_MS, 50)
    assert table.acquire("main", "b", TTL_MS, 149, WALL_MS) is None
    newer = table.acquire("main", "b", TTL_MS, 150, WALL_MS)
    assert newer is not None
    assert newer > number
    assert not table.renew("main", "a", number, TTL_MS, 151)
    assert not table.release("main", number, 151)
    assert table.acquire("den", "a", TTL_MS, 151, WALL_MS)  # another one


def test_a_lease_that_is_given_back_is_free_at_once_and_its_number_is_used_up() -> None:
    table = LeaseTable(None)
    number = table.acquire("main", "a", TTL_MS, 0, WALL_MS) or 0
    assert table.release("main", number, 1)
    assert not table.renew("main", "a", number, TTL_MS, 1)
    assert (table.acquire("main", "b", TTL_MS, 1, WALL_MS) or 0) > number


def test_who_asks_again_gets_a_new_number() -> None:
    table = LeaseTable(None)
    number = table.acquire("main", "a", TTL_MS, 0, WALL_MS) or 0
    assert (table.acquire("main", "a", TTL_MS, 1, WALL_MS) or 0) > number


def test_a_relay_that_begins_gives_nothing_that_may_be_somebody_s() -> None:
    table = LeaseTable(1_000)
    assert table.acquire("main", "b", TTL_MS, 1_099, WALL_MS) is None
    assert table.renew("main", "a", 7, TTL_MS, 1_099)
    assert not table.renew("main", "c", 6, TTL_MS, 1_099)  # whose time was over when 7 was given
    assert table.acquire("main", "b", TTL_MS, 1_100, WALL_MS) is None
    assert table.acquire("den", "b", TTL_MS, 1_100, WALL_MS)
    assert not table.renew("attic", "c", 5, TTL_MS, 1_100)


def test_leases_that_are_over_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    table = LeaseTable(None)
    monkeypatch.setattr(leases, "MOST_LEASES", 3)
    given_at_0 = [table.acquire(str(index), "a", TTL_MS, 0, WALL_MS) for index in range(4)]
    assert [bool(number) for number in given_at_0] == [True, True, True, False]
    assert table.acquire("3", "a", TTL_MS, TTL_MS, WALL_MS)


OWNERS = ("a", "b", "c")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["acquire", "renew", "release"]), st.sampled_from(OWNERS), st.integers(0, 40)),
        st.tuples(st.just("restart"), st.just(""), st.integers(0, 40)),
        st.tuples(st.just("wait"), st.just(""), st.integers(0, 150)),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=200)
def test_never_two_owners_and_numbers_only_grow(steps: list[tuple[str, str, int]]) -> None:
    """
    Owners that ask, are late to hear the answer, and a relay that loses all it knows again and again.

    Each step takes time: an owner asks at its beginning, and the relay answers at its end.
    """
    now_ms = 0
    table = LeaseTable(None)
    tenures: dict[str, Tenure] = {}
    newest = 0
    for what, owner, takes_ms in steps:
        asked_ms, now_ms = now_ms, now_ms + takes_ms
        tenure = tenures.get(owner)
        if what == "restart":
            table = LeaseTable(now_ms)
        elif what == "acquire":
            number = table.acquire("main", owner, TTL_MS, now_ms, WALL_MS + now_ms)
            if number is not None:
                assert number > newest
                newest = number
                tenures[owner] = Tenure(number, TTL_MS / 1000, asked_ms / 1000)
        elif tenure is not None and what == "renew" and tenure.holds(asked_ms / 1000):
            if table.renew("main", owner, tenure.number, TTL_MS, now_ms):
                tenure.renewed(asked_ms / 1000)
            else:
                tenure.end()
        elif tenure is not None and what == "release":
            tenure.end()
            table.release("main", tenure.number, now_ms)
        assert sum(each.holds(now_ms / 1000) for each in tenures.values()) <= 1


def test_a_lease_that_is_over_is_had_back_as_long_as_nobody_else_had_it() -> None:
    table = LeaseTable(None)
    number = table.acquire("main", "a", TTL_MS, 0, WALL_MS) or 0
    assert table.regain("main", "a", number, TTL_MS, 5_000)
    assert table.acquire("main", "b", TTL_MS, 5_099, WALL_MS) is None
    assert table.renew("main", "a", number, TTL_MS, 5_099)
    assert not table.regain("main", "a", number - 1, TTL_MS, 5_200)
    assert not table.regain("den", "a", number, TTL_MS, 5_200)
    assert (table.acquire("main", "b", TTL_MS, 5_200, WALL_MS) or 0) > number
    assert not table.regain("main", "a", number, TTL_MS, 9_000)  # though b's is over as well


def test_a_lease_that_was_given_back_is_not_had_back() -> None:
    table = LeaseTable(None)
    number = table.acquire("main", "a", TTL_MS, 0, WALL_MS) or 0
    assert table.release("main", number, 1)
    assert not table.regain("main", "a", number, TTL_MS, 2)


def test_a_relay_that_begins_gives_nothing_back() -> None:
    table = LeaseTable(1_000)
    assert not table.regain("main", "a", 7, TTL_MS, 1_050)
    assert table.renew("main", "a", 7, TTL_MS, 1_060)
    assert not table.regain("main", "a", 7, TTL_MS, 1_070)
    assert table.regain("main", "a", 7, TTL_MS, 1_500)
