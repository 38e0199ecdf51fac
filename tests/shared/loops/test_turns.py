"""How long one turn of an event loop serves peers."""

from shared.loops.turns import TURN_US, TurnTime

NOW_US = 1_700_000_000_000_000


def test_a_turn_serves_peers_until_its_time_is_up() -> None:
    turn = TurnTime()
    assert [turn.is_over(NOW_US + passed_us) for passed_us in (0, 1, TURN_US - 1, TURN_US, TURN_US + 1)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_its_time_begins_with_the_first_of_them() -> None:
    turn = TurnTime()
    turn.begin()
    assert not turn.is_over(NOW_US)
    turn.begin()
    late_us = NOW_US + 60 * TURN_US
    assert not turn.is_over(late_us), "one at least, however late it is"
    assert not turn.is_over(late_us + TURN_US - 1)
    assert turn.is_over(late_us + TURN_US)


def test_every_turn_serves_somebody_though_each_takes_longer_than_a_turn() -> None:
    turn = TurnTime()
    for number in range(5):
        turn.begin()
        assert not turn.is_over(NOW_US + 2 * number * TURN_US)
        assert turn.is_over(NOW_US + (2 * number + 1) * TURN_US)
