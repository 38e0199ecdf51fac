from random import Random

from shared.relay.backoff import FIRST_S, LONGEST_S, Backoff


def test_pauses_grow_to_a_bound_and_none_is_less_than_half_of_it() -> None:
    backoff = Backoff(Random(1))
    pauses = [backoff.next_s() for _ in range(12)]
    assert FIRST_S / 2 <= pauses[0] <= FIRST_S
    assert all(LONGEST_S / 2 <= pause <= LONGEST_S for pause in pauses[-5:])
    assert len(set(pauses[-5:])) == 5


def test_they_begin_short_again_when_the_relay_was_there() -> None:
    backoff = Backoff(Random(1))
    for _ in range(9):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= FIRST_S
