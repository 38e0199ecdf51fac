import pytest

from shared.server import workers as of_a_server
from shared.server.workers import PARENT_SLICE_NS, Workers, how_it_ended, place_of_room


class Child:
    """One that never was."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.is_over = self.is_gone = False
        self.looks = 0

    def watch(self) -> None:
        self.looks += 1


@pytest.fixture(autouse=True)
def slices(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was asked for; these tests themselves are to have the usual ones."""
    asked: list[int] = []
    monkeypatch.setattr(of_a_server, "ask_for_slices", asked.append)
    return asked


def started(count: int) -> tuple[Workers[Child], list[Child]]:
    children: list[Child] = []

    def start() -> Child:
        children.append(Child(100 + len(children)))
        return children[-1]

    workers = Workers(count, start)
    workers.open()
    return workers, children


def test_a_room_stays_where_it_is_and_rooms_spread() -> None:
    places = [place_of_room(f"room-{number}", 4) for number in range(400)]
    assert places == [place_of_room(f"room-{number}", 4) for number in range(400)]
    assert all(60 < places.count(place) < 140 for place in range(4))


def test_a_child_that_has_died_is_replaced_when_its_room_is_opened_again() -> None:
    workers, children = started(2)
    other, struck = children[place_of_room("quiet", 2)], workers.of_room("struck")
    assert other is workers.of_room("quiet") is not struck
    struck.is_over = True
    assert workers.pids() == [other.pid]
    again = workers.of_room("struck")
    assert again is children[2] is workers.of_room("struck")
    assert workers.of_room("quiet") is other
    assert workers.pids() == [other.pid, again.pid] or workers.pids() == [again.pid, other.pid]


def test_all_that_is_left_has_to_be_ended() -> None:
    workers, children = started(1)
    children[0].is_over = True
    workers.of_room("main")
    assert workers.all() == [children[1], children[0]]
    children[0].is_gone = children[1].is_over = True
    workers.of_room("main")
    assert workers.all() == [children[2], children[1]], "the first is gone"


def test_those_that_have_rooms_are_looked_at() -> None:
    workers, children = started(3)
    workers.watch()
    assert [child.looks for child in children] == [1, 1, 1]


def test_the_end_of_a_child_is_put_into_words() -> None:
    assert how_it_ended(-9) == "was ended by signal 9"
    assert how_it_ended(1) == "ended with status 1"
    assert how_it_ended(None) == "ended"


def test_who_has_children_has_short_slices(slices: list[int]) -> None:
    started(0)
    assert slices == []
    started(2)
    assert slices == [PARENT_SLICE_NS]
