"""How long those who came back heard nothing, what became of the others, and how fast they came."""

from collections.abc import Iterator

import pytest

from loadtests.account.counts import total
from loadtests.account.returns import ReturnLedger, Returns, most_in_a_second
from loadtests.run.messages import encode
from shared.measure.histogram import Histogram
from tests.loadtests.account.test_counts import travelled
from tests.loadtests.account.test_lives import ANEW_US, LATE_US, PERIOD_US, Play, at

AHEAD_US = 7_000_000


@pytest.fixture
def play() -> Iterator[Play]:
    playing = Play()
    yield playing
    playing.recorder.close()


@pytest.fixture
def ledger(play: Play) -> ReturnLedger:
    return ReturnLedger(play.recorder)


def lose(play: Play, ledger: ReturnLedger, user: int, room: str = "r0") -> None:
    """Have a user lose a connection that he had for ten ticks."""
    index = play.enter(*range(10), room=room)
    play.cut(index, at(9.9))
    ledger.lose(user, index)
    ledger.forgive(index)


def test_a_silence_is_from_the_last_tick_of_a_life_to_the_first_of_the_next(play: Play, ledger: ReturnLedger) -> None:
    lose(play, ledger, user=3)
    refused = play.enter()
    play.cut(refused, at(20))
    ledger.forgive(refused)
    ledger.come_back(3, play.enter(*range(70), life_us=ANEW_US))
    play.settle()
    returns = ledger.sum_up(0)
    assert (returns.cut, returns.back, returns.gone, returns.away) == (1, 1, 0, 0)
    assert (returns.silence.count, returns.silence.max_us) == (1, ANEW_US - at(9))
    assert returns.rooms == ["r0"]
    assert play.main.longest_silence_us == ANEW_US - at(9)
    assert play.main.absent == 0


def test_what_is_missing_of_who_was_cut_off_and_of_others_is_told_apart(play: Play, ledger: ReturnLedger) -> None:
    lost = play.enter(0, 1, 2, 5, 6)  # two are missing
    play.enter(*range(5), *range(6, 70))  # one is
    play.cut(lost, at(6.9))
    ledger.lose(3, lost)
    ledger.forgive(lost)
    play.settle()
    assert (play.main.missing, play.main.missing_cut) == (3, 2)


def test_who_was_cut_off_twice_is_one_user_with_two_silences(play: Play, ledger: ReturnLedger) -> None:
    lose(play, ledger, user=3)
    again = play.enter(*range(5), life_us=ANEW_US)
    ledger.come_back(3, again)
    play.cut(again, at(4.9, ANEW_US))
    ledger.lose(3, again)
    ledger.come_back(3, play.enter(*range(10, 70), life_us=ANEW_US))
    play.settle()
    returns = ledger.sum_up(0)
    assert (returns.cut, returns.back, returns.silence.count) == (1, 1, 2)
    assert returns.silence.percentile_us(50) == pytest.approx(6 * PERIOD_US, rel=0.001)


def test_who_is_gone_and_who_still_tries_is_silent_to_the_end(play: Play, ledger: ReturnLedger) -> None:
    for user in range(3):
        lose(play, ledger, user, room=f"r{user}")
    ledger.give_up(0)
    ledger.come_back(1, play.enter(*range(70), life_us=ANEW_US, room="r1"))
    play.settle()
    returns = ledger.sum_up(0)
    assert (returns.cut, returns.back, returns.gone, returns.away) == (3, 1, 1, 1)
    assert returns.rooms == ["r0", "r1", "r2"]
    assert play.main.longest_silence_us == at(100) - at(9) - LATE_US


def test_silences_are_cut_to_the_window_by_the_server_s_clock(play: Play, ledger: ReturnLedger) -> None:
    lose(play, ledger, user=3)
    ledger.sum_up(AHEAD_US)  # the window closed 2 s before any of this, by the clock of arrivals
    assert play.main.longest_silence_us == 0


@pytest.mark.parametrize(
    ("times_ms", "most"),
    [([], 0), ([5], 1), ([0, 999], 2), ([0, 1000], 1), ([900, 0, 1800, 1899, 1100], 4), ([7, 7, 7], 3)],
)
def test_the_most_in_any_second_wherever_it_begins(times_ms: list[int], most: int) -> None:
    assert most_in_a_second(ms * 1000 for ms in times_ms) == most


def returns(seed: int) -> Returns:
    silence = Histogram()
    silence.record(1000 * seed)
    return Returns(cut=4 * seed, back=2 * seed, gone=seed, silence=silence, tries_us=[seed], rooms=[f"r{seed}"])


def test_those_of_several_workers_add_up_and_travel() -> None:
    assert encode(travelled(returns(3))) == encode(returns(3))
    both = total([returns(1), returns(2)])
    assert (both.cut, both.back, both.gone, both.away) == (12, 6, 3, 3)
    assert (both.silence.count, both.tries_us, both.rooms) == (2, [1, 2], ["r1", "r2"])
    assert both.most_in_a_second == 2
