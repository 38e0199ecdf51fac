from hypothesis import given, settings
from hypothesis import strategies as st

from shared.relay.claim import Claim
from shared.relay.leases import LeaseTable

TTL_S = 1.0


def test_it_is_acquired_then_renewed_and_acquired_anew_when_it_is_over() -> None:
    claim = Claim(TTL_S)
    assert claim.to_renew(0) == claim.number(0) == 0
    claim.acquired(None, 0)
    assert claim.to_renew(0) == 0
    claim.acquired(7, 10)
    assert claim.to_renew(10.5) == claim.number(10.5) == 7
    claim.renewed(is_ours=True, asked_at_s=10.5)
    assert claim.number(11.4) == 7
    assert claim.number(11.5) == 0
    assert claim.to_renew(11.5) == 0
    assert claim.changes == 2


def test_one_that_is_another_s_by_now_is_not_ours_for_a_moment_longer() -> None:
    claim = Claim(TTL_S)
    claim.acquired(7, 0)
    claim.renewed(is_ours=False, asked_at_s=0.1)
    assert claim.number(0.2) == claim.to_renew(0.2) == 0


def test_a_late_answer_does_not_bring_back_what_was_given_up() -> None:
    claim = Claim(TTL_S)
    assert claim.give_up() == 0
    claim.acquired(7, 0)
    assert claim.give_up() == 7
    claim.renewed(is_ours=True, asked_at_s=0.1)
    assert claim.number(0.2) == 0
    assert claim.give_up() == 0


def test_several_questions_fit_into_the_time_of_a_lease() -> None:
    assert Claim(TTL_S).pause_s * 3 < TTL_S


OWNERS = ("a", "b", "c")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*OWNERS, *OWNERS, "restart"]),
            st.sampled_from(["answered", "answered", "lost", "given up"]),
            st.integers(0, 300),  # until the relay has the question
            st.integers(0, 1_500),  # until its answer is there: the process may be stopped meanwhile
        ),
        max_size=60,
    )
)
@settings(max_examples=200)
def test_never_two_owners_by_their_own_clocks(steps: list[tuple[str, str, int, int]]) -> None:
    ttl_ms = round(TTL_S * 1000)
    claims = {owner: Claim(TTL_S) for owner in OWNERS}
    table, now_ms, newest = LeaseTable(None), 0, 0
    for owner, what, there_ms, back_ms in steps:
        if owner == "restart":
            table = LeaseTable(now_ms)
            continue
        claim, asked_ms = claims[owner], now_ms
        number = claim.give_up() if what == "given up" else claim.to_renew(now_ms / 1000)
        now_ms += there_ms
        if what == "given up":
            table.release("main", number, now_ms)
        elif number:
            is_ours = table.renew("main", owner, number, ttl_ms, now_ms)
            if what == "answered":
                now_ms += back_ms
                claim.renewed(is_ours, asked_ms / 1000)
        else:
            won = table.acquire("main", owner, ttl_ms, now_ms, now_ms)
            if what == "answered":
                now_ms += back_ms
                claim.acquired(won, asked_ms / 1000)
            assert won is None or won > newest
            newest = won or newest
        assert sum(each.number(now_ms / 1000) > 0 for each in claims.values()) <= 1


def test_one_that_is_over_by_our_clock_is_asked_back_before_it_is_given_up() -> None:
    claim = Claim(TTL_S)
    assert claim.to_regain(0) == claim.held == 0
    claim.acquired(7, 0)
    assert claim.to_regain(0.9) == 0
    assert claim.to_regain(5) == claim.held == 7  # as we were stopped
    assert claim.number(5) == 0, "not ours before the relay says so"
    claim.renewed(is_ours=True, asked_at_s=5)
    assert claim.number(5.9) == 7
    assert claim.changes == 1
    assert claim.to_regain(8) == 7
    claim.renewed(is_ours=False, asked_at_s=8)
    assert claim.to_regain(8.1) == claim.held == claim.number(8.1) == 0
    assert claim.changes == 2


def test_where_nobody_answers_it_is_not_asked_back_for_long() -> None:
    claim = Claim(TTL_S)
    claim.acquired(7, 0)
    assert [claim.to_regain(now_s) for now_s in (3, 3.25, 3.5, 3.75)] == [7, 7, 7, 0]
    assert claim.to_renew(3.75) == 0
    assert claim.held == 0
    claim.acquired(9, 4)
    assert claim.to_regain(6) == 9


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*OWNERS, *OWNERS, "restart"]),
            st.booleans(),  # whether the answer comes
            st.integers(0, 300),
            st.integers(0, 2_500),
        ),
        max_size=60,
    )
)
@settings(max_examples=200)
def test_never_two_owners_though_some_have_theirs_back(steps: list[tuple[str, bool, int, int]]) -> None:
    """And who has it back is the last who had it: nobody goes on with a room that was another's meanwhile."""
    ttl_ms = round(TTL_S * 1000)
    claims = {owner: Claim(TTL_S) for owner in OWNERS}
    table, now_ms, began_ms, last = LeaseTable(None), 0, 0, ("", 0)
    for owner, is_answered, there_ms, back_ms in steps:
        if owner == "restart":
            table, began_ms = LeaseTable(now_ms), now_ms
            continue
        claim, asked_ms = claims[owner], now_ms
        late = claim.to_regain(now_ms / 1000)
        number = late or claim.to_renew(now_ms / 1000)
        now_ms += there_ms
        if late:
            answer = int(table.regain("main", owner, late, ttl_ms, now_ms))
            assert not answer or (last == (owner, late) and now_ms >= began_ms + ttl_ms)
        elif number:
            answer = int(table.renew("main", owner, number, ttl_ms, now_ms))
        else:
            answer = table.acquire("main", owner, ttl_ms, now_ms, now_ms) or 0
            last = (owner, answer) if answer else last
        now_ms += back_ms if is_answered else 0
        if is_answered and number:
            claim.renewed(bool(answer), asked_ms / 1000)
        elif is_answered:
            claim.acquired(answer or None, asked_ms / 1000)
        assert sum(each.number(now_ms / 1000) > 0 for each in claims.values()) <= 1
