"""A room that begins anew counts its ticks from 0: what comes in one life is neither missing nor twice in another."""

from collections.abc import Iterator

import pytest

from loadtests.account.counts import MAIN, Accounts
from loadtests.account.lives import room_of
from loadtests.account.recorder import Recorder
from loadtests.receive.arrivals import ArrivalLog, ArrivedTick
from tests.loadtests.receive.test_arrivals import stamp

PERIOD_US = 50_000
START_US = 200_000_000
"""When the window opens, and the first life of every room."""
LATE_US = 100
ANEW_US = START_US + 30 * PERIOD_US + 13_000
"""When the second life begins."""


def at(n: float, life_us: int = START_US) -> int:
    return life_us + int(n * PERIOD_US)


class Play:
    """Connections of a run of a hundred due times, to rooms that may begin anew."""

    def __init__(self) -> None:
        self.recorder = Recorder(PERIOD_US)
        self.recorder.measure(range(START_US, at(100)))
        self._log = ArrivalLog()
        self._inside: set[int] = set()

    @property
    def main(self) -> Accounts:
        return self.recorder.groups[MAIN]

    def enter(self, *numbers: int, life_us: int = START_US, room: str = "r0") -> int:
        """Return a new connection that gets these ticks of a life."""
        index = self.recorder.add_connection(room)
        for n in numbers:
            due_us = at(n, life_us)
            tick = ArrivedTick(n, due_us, due_us + 10, 100)
            if index not in self._inside:
                self._inside.add(index)
                self.recorder.begin(index, tick)
                self.recorder.count_inside(index, 1)
            self._log.append(index, self._log.add(tick), stamp(due_us + LATE_US))
        self.recorder.take(self._log.drain(), 0)
        return index

    def cut(self, index: int, at_us: int, *, comes_back: bool = True) -> None:
        """End a connection."""
        self.recorder.presences.end(index, at_us)
        if comes_back:
            self.recorder.presences.cut(index)
        if index in self._inside:
            self.recorder.count_inside(index, -1)

    def settle(self) -> None:
        self.recorder.settle(at(105))


@pytest.fixture
def play() -> Iterator[Play]:
    playing = Play()
    yield playing
    playing.recorder.close()


def counts(of: Accounts) -> tuple[int, int, int, int, int, int]:
    return of.received, of.missing, of.skipped, of.absent, of.duplicate, of.out_of_order


def test_a_room_that_all_lost_and_came_back_to_has_two_lives(play: Play) -> None:
    for _ in range(2):
        play.cut(play.enter(*range(10)), at(9.9))
    for _ in range(2):
        play.enter(*range(70), life_us=ANEW_US)
    play.settle()
    assert list(play.recorder.rooms) == ["r0", "r0#2"]
    assert {room_of(life) for life in play.recorder.rooms} == {"r0"}
    assert play.recorder.lives.are_several("r0")
    assert counts(play.main) == (160, 0, 0, 0, 0, 0)
    assert play.main.tick_lateness.max_us == LATE_US
    assert (play.main.interval_error.count, play.main.interval_error.max_us) == (2 * 9 + 2 * 69, 1)
    assert play.recorder.due_times["r0"].frames == 20
    assert play.recorder.due_times["r0#2"].frames == 140


def test_two_lives_of_a_room_go_on_at_once(play: Play) -> None:
    """As long as a server that stops tells its players one after the other to go."""
    play.enter(*range(100))
    play.cut(play.enter(*range(10)), at(9.9))
    play.enter(*range(70), life_us=ANEW_US)
    play.enter(*range(50, 100))  # one who came late, and met those of the first life
    play.settle()
    assert list(play.recorder.rooms) == ["r0", "r0#2"]
    assert counts(play.main) == (100 + 10 + 70 + 50, 0, 0, 0, 0, 0)


def test_what_does_not_come_is_missing_in_its_own_life(play: Play) -> None:
    play.cut(play.enter(*range(10)), at(9.9))
    play.enter(*range(70), life_us=ANEW_US)
    play.enter(*(n for n in range(70) if n != 5), life_us=ANEW_US)
    play.settle()
    assert counts(play.main) == (149, 1, 0, 0, 0, 0)
    assert play.recorder.due_times["r0"].missed == []
    assert play.recorder.due_times["r0#2"].missed == [5]


def test_what_was_due_before_a_connection_was_cut_off_is_late_by_its_end_and_no_more(play: Play) -> None:
    play.cut(play.enter(*range(10)), at(10.5))  # the server was killed before it had sent tick 10
    play.enter(*range(70), life_us=ANEW_US)
    play.settle()
    assert counts(play.main) == (80, 0, 1, 0, 0, 0)
    assert play.main.tick_lateness.max_us == PERIOD_US // 2


def test_who_never_came_back_is_absent_to_the_end_of_the_life_that_he_knew(play: Play) -> None:
    play.cut(play.enter(*range(10)), at(9.9), comes_back=False)
    play.cut(play.enter(*range(10)), at(9.9))
    play.enter(*range(70), life_us=ANEW_US)
    play.settle()
    assert counts(play.main) == (90, 0, 0, 90, 0, 0)


def test_of_whoever_tried_in_vain_and_tries_again_nothing_is_expected(play: Play) -> None:
    play.cut(play.enter(*range(10)), at(9.9))
    play.cut(play.enter(), at(20))
    play.enter(*range(70), life_us=ANEW_US)
    play.settle()
    assert counts(play.main) == (80, 0, 0, 0, 0, 0)


def test_other_rooms_are_what_they_were(play: Play) -> None:
    play.cut(play.enter(*range(10)), at(9.9))
    play.enter(*range(100), room="r1")
    play.enter(*range(70), life_us=ANEW_US)
    play.settle()
    assert list(play.recorder.rooms) == ["r0", "r1", "r0#2"]
    assert not play.recorder.lives.are_several("r1")
    assert play.recorder.due_times["r1"].frames == 100
