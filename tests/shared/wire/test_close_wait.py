"""Those who were told to go are waited for while they have time to answer or still go, and never for ever."""

from shared.wire.close_wait import GOING_US, Patience


def test_who_does_not_answer_is_waited_for_as_long_as_anybody_may_take() -> None:
    patience = Patience(1.0, 3.0, 0)
    assert patience.lasts(8000, 0)
    assert patience.lasts(8000, 999_999)
    assert not patience.lasts(8000, 1_000_000)


def test_while_some_still_go_the_others_are_waited_for() -> None:
    patience = Patience(1.0, 3.0, 0)
    assert patience.lasts(3, 0)
    assert patience.lasts(2, 1_000_000)
    assert patience.lasts(2, 1_000_000 + GOING_US - 1)
    assert not patience.lasts(2, 1_000_000 + GOING_US)


def test_nobody_draws_it_out_by_letting_others_go_one_by_one() -> None:
    patience = Patience(1.0, 3.0, 0)
    assert all(patience.lasts(1000 - step, step * GOING_US // 2) for step in range(60))
    assert not patience.lasts(1, 3_000_000)


def test_a_stop_limit_that_is_shorter_is_kept() -> None:
    patience = Patience(60.0, 0.1, 0)
    assert patience.lasts(1, 99_999)
    assert not patience.lasts(1, 100_000)
