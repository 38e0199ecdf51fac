import pytest

from shared.rooms.remote import Forget, GameAnswer, LookAtField, MessageReader, Text, decode_request, encode_message
from shared.server import children as of_a_server
from shared.server.children import (
    MAX_UNSENT_BYTES,
    PARENT_SLICE_NS,
    BaseGameChild,
    GameChildren,
    how_it_ended,
    place_of_room,
)


class Process:
    """One that never was; its pid is its nice value."""

    def __init__(self, command: list[str]) -> None:
        self.pid = int(command[-1])
        self.status: int | None = None
        self.looks_left = 0  # after so many looks it has ended
        self.is_killed = False

    def has_ended(self) -> bool:
        self.looks_left -= 1
        return self.looks_left < 0

    def kill(self) -> None:
        self.is_killed, self.status = True, -9


class GameChild(BaseGameChild):
    """A child that nobody reads for."""

    process: Process  # type: ignore[assignment] # in place of a real one

    def __init__(self, nice: int = 1) -> None:
        self.now_s = 100.0
        super().__init__(nice, 3, lambda: self.now_s)
        self.sent = b""
        self.takes_more = True
        self.looks = 0

    def _send(self) -> None:
        if self.takes_more:
            self.sent += self._unsent
            self._unsent.clear()

    def watch(self) -> None:
        self.looks += 1
        super().watch()

    def has_been_given_up(self) -> bool:
        self.watch()
        self.watch()
        return self.process.is_killed


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_a_server, "ChildProcess", Process)


@pytest.fixture(autouse=True)
def slices(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was asked for; these tests themselves are to have the usual ones."""
    asked: list[int] = []
    monkeypatch.setattr(of_a_server, "ask_for_slices", asked.append)
    return asked


def started(count: int) -> tuple[GameChildren[GameChild], list[GameChild]]:
    children: list[GameChild] = []

    def start() -> GameChild:
        children.append(GameChild(100 + len(children)))
        return children[-1]

    of_server = GameChildren(count, start)
    of_server.open()
    return of_server, children


def test_answers_go_to_those_who_asked_in_order() -> None:
    child = GameChild()
    taken: list[tuple[str, GameAnswer]] = []
    child.ask(LookAtField(7), lambda answer: taken.append(("first", answer)))
    child.ask(Forget(7), lambda answer: taken.append(("second", answer)))
    assert [decode_request(body) for body in MessageReader().feed(child.sent)] == [LookAtField(7), Forget(7)]
    answers = encode_message(Text(b"[1]")) + encode_message(Text())
    assert child._take(answers[:-1])
    assert taken == [("first", Text(b"[1]"))]
    assert child._take(answers[-1:])
    assert taken[1:] == [("second", Text())]
    assert not child._take(b"")


def test_what_is_no_answer_is_the_last_that_is_read(caplog: pytest.LogCaptureFixture) -> None:
    child = GameChild()
    child.ask(LookAtField(7), lambda _: None)
    assert not child._take(b"\0\0\0\1\xc1")
    assert [record.message for record in caplog.records] == ["a fault in what game child 1 answered"]


def test_the_silence_of_one_who_owes_an_answer() -> None:
    child = GameChild()
    assert not child.has_been_given_up()
    child.ask(LookAtField(7), lambda _: None)
    child.now_s = 101.0
    child.ask(LookAtField(7), lambda _: None)
    child.now_s = 104.0
    assert not child.has_been_given_up(), "it is starting yet"
    child._take(encode_message(Text()))
    child.now_s = 107.0
    assert not child.has_been_given_up(), "it has answered meanwhile, if not this one"
    child._take(encode_message(Text()))
    child.now_s = 200.0
    assert not child.has_been_given_up(), "it owes nothing"
    child.ask(LookAtField(7), lambda _: None)
    child.now_s = 203.5
    child.watch()
    assert not child.process.is_killed, "its answer may lie unread"
    assert child.has_been_given_up()


def test_one_that_has_never_answered_is_given_up_later() -> None:
    child = GameChild()
    child.ask(LookAtField(7), lambda _: None)
    child.now_s = 123.5
    assert child.has_been_given_up()


def test_one_that_takes_nothing_any_more_is_killed() -> None:
    child = GameChild()
    child.takes_more = False
    while not child.process.is_killed:
        before = len(child._unsent)
        child.ask(LookAtField(7), lambda _: None)
    assert before > MAX_UNSENT_BYTES
    assert child._why == "took nothing any more"


def test_those_who_mourn_hear_of_it_once_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    child = GameChild()
    told: list[str] = []
    child.mourners.add(lambda: told.append("the room"))
    child.ask(LookAtField(7), lambda _: told.append("an answer"))
    child.process.looks_left = 1
    pauses_s = list(child._see_off())
    assert pauses_s == [of_a_server.STEP_S]
    assert told == ["the room"]
    assert child.is_over
    assert child.is_gone
    assert not child.process.is_killed
    assert [record.message for record in caplog.records] == ["game child 1 ended: its rooms end"]
    child.ask(LookAtField(7), lambda _: None)
    assert len(list(MessageReader().feed(child.sent))) == 1, "nothing is asked of it any more"


def test_one_that_was_told_to_end_is_mourned_by_nobody(caplog: pytest.LogCaptureFixture) -> None:
    child = GameChild()
    child.mourners.add(pytest.fail)
    child.is_over = True
    child.process.looks_left = 1000
    assert sum(child._see_off()) == pytest.approx(2 * of_a_server.END_LIMIT_S), "its end is waited for so long"
    assert child.process.is_killed
    assert child.is_gone
    assert not caplog.records


def test_a_room_stays_where_it_is_and_rooms_spread() -> None:
    places = [place_of_room(f"room-{number}", 4) for number in range(400)]
    assert places == [place_of_room(f"room-{number}", 4) for number in range(400)]
    assert all(60 < places.count(place) < 140 for place in range(4))


def test_a_child_that_has_died_is_replaced_when_its_room_is_opened_again() -> None:
    of_server, children = started(2)
    other, struck = children[place_of_room("quiet", 2)], of_server.of_room("struck")
    assert other is of_server.of_room("quiet") is not struck
    struck.is_over = True
    assert of_server.pids() == [other.process.pid]
    again = of_server.of_room("struck")
    assert again is children[2] is of_server.of_room("struck")
    assert of_server.of_room("quiet") is other
    assert sorted(of_server.pids()) == sorted([other.process.pid, again.process.pid])


def test_all_that_is_left_has_to_be_ended() -> None:
    of_server, children = started(1)
    children[0].is_over = True
    of_server.of_room("main")
    assert of_server.all() == [children[1], children[0]]
    children[0].is_gone = children[1].is_over = True
    of_server.of_room("main")
    assert of_server.all() == [children[2], children[1]], "the first is gone"


def test_those_that_have_rooms_are_looked_at() -> None:
    of_server, children = started(3)
    of_server.watch()
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
