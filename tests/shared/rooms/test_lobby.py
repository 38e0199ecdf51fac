from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.game.world import Rules
from shared.rooms.lobby import Lobby, LobbyLimits
from shared.rooms.scores import MemoryScores
from tests.shared.rooms.visitor import Visitor

if TYPE_CHECKING:
    from shared.rooms.room import Room

SECOND = 1_000_000


def open_lobby(limits: LobbyLimits | None = None, **kinds: int) -> Lobby[Visitor]:
    return Lobby(limits or LobbyLimits(), Rules(20, 11), "seed", MemoryScores(10), **kinds)


def admits(lobby: Lobby[Visitor], room: str = "main", address: str = "::1", *, overloaded: bool = False) -> bool:
    """Whether somebody gets in; whoever does not is told to come again, with 503."""
    refusal = lobby.admit(room, address, overloaded=overloaded)
    if refusal:
        assert refusal.status == 503
        assert refusal.headers[0][0] == "Retry-After"
        assert refusal.text
    return refusal is None


def test_the_limits_are_those_of_the_protocol() -> None:
    assert LobbyLimits() == LobbyLimits(max_connections=None, max_rooms=1000, max_per_address=None, room_linger_s=60.0)


def test_over_max_connections_nobody_gets_in_until_somebody_leaves() -> None:
    lobby = open_lobby(LobbyLimits(max_connections=2))
    assert [admits(lobby), admits(lobby, "den"), admits(lobby), admits(lobby, "pit")] == [True, True, False, False]
    assert lobby.connections == 2
    lobby.release("den", "::1", 0)
    assert [admits(lobby), admits(lobby)] == [True, False]


def test_an_address_has_a_limit_of_its_own() -> None:
    lobby = open_lobby(LobbyLimits(max_per_address=1))
    assert [admits(lobby, address=address) for address in ("a", "a", "b", "b")] == [True, False, True, False]
    lobby.release("main", "a", 0)
    assert [admits(lobby, address=address) for address in ("b", "a")] == [False, True]


def test_rooms_have_a_limit_and_those_about_to_be_opened_count() -> None:
    lobby = open_lobby(LobbyLimits(max_rooms=2))
    assert admits(lobby, "a")
    lobby.room("a")
    assert admits(lobby, "b")  # a seat, but the room is not open yet
    assert not admits(lobby, "c")
    assert admits(lobby, "a")
    assert admits(lobby, "b")
    for _ in range(2):
        lobby.release("b", "::1", 0)
    assert admits(lobby, "c")
    assert not admits(lobby, "b")


def open_and_leave(lobby: Lobby[Visitor], name: str, left_us: int, *, entered: bool = True) -> "Room[Visitor]":
    """Let somebody come, enter or not, and go."""
    assert admits(lobby, name)
    room = lobby.room(name)
    room.was_entered |= entered
    lobby.release(name, "::1", left_us)
    return room


def names(rooms: "list[Room[Visitor]]") -> list[str]:
    return [room.name for room in rooms]


def test_empty_rooms_refuse_nobody_and_the_one_that_has_been_empty_longest_gives_way() -> None:
    lobby = open_lobby(LobbyLimits(max_rooms=3))
    for left_us, name in enumerate("abc"):
        open_and_leave(lobby, name, left_us)
    assert lobby.idle_rooms(10) == [], "there is place for all"
    assert admits(lobby, "d")
    assert names(lobby.idle_rooms(10)) == ["a"], "a seat counts, though its room is not open yet"
    lobby.remove(lobby.rooms["a"])
    lobby.room("d")
    assert lobby.idle_rooms(10) == []
    assert admits(lobby, "e")
    assert admits(lobby, "f")
    assert names(lobby.idle_rooms(10)) == ["b", "c"]
    assert not admits(lobby, "g")


def test_a_room_that_somebody_comes_to_before_it_gave_way_stays_and_the_next_one_gives_way() -> None:
    lobby = open_lobby(LobbyLimits(max_rooms=2))
    room = open_and_leave(lobby, "a", 1)
    open_and_leave(lobby, "b", 2)
    assert admits(lobby, "c")
    assert names(lobby.idle_rooms(10)) == ["a"]
    assert admits(lobby, "a")
    assert lobby.room("a") is room
    assert names(lobby.idle_rooms(10)) == ["b"]
    assert not admits(lobby, "b"), "two rooms have seats"


def test_a_room_that_nobody_ever_entered_goes_with_its_last_seat() -> None:
    lobby = open_lobby(LobbyLimits(max_rooms=1))
    for name in "abcdef":
        room = open_and_leave(lobby, name, 5, entered=False)
        assert admits(lobby, "other"), "it is free at once"
        lobby.release("other", "::1", 5)
        assert lobby.idle_rooms(5) == [room], "and gone when the house is kept"
        lobby.remove(room)


def test_a_room_that_nobody_entered_gives_way_before_one_that_is_kept() -> None:
    lobby = open_lobby(LobbyLimits(max_rooms=1))
    open_and_leave(lobby, "a", 1)
    open_and_leave(lobby, "b", 2, entered=False)
    assert names(lobby.idle_rooms(10)) == ["b"]


# Who holds the rooms


def hold(lobby: Lobby[Visitor], address: str, most: int) -> int:
    """Take a seat in one new room after the other; return in how many."""
    for number in range(most):
        if not admits(lobby, f"{address}-{number}", address):
            return number
    return most


def test_one_address_can_t_hold_the_last_eighth_of_the_rooms() -> None:
    lobby = open_lobby(LobbyLimits(max_rooms=640))
    assert hold(lobby, "squatter", 1000) == 560
    refusal = lobby.admit("one-more", "squatter", overloaded=False)
    assert refusal
    assert "this address" in refusal.text
    assert admits(lobby, "squatter-0", "squatter"), "into a room that there is everybody may go"
    assert [hold(lobby, address, 20) for address in "abcdefgh"] == [10] * 8, "a 64th each"
    refusal = lobby.admit("one-more", "late", overloaded=False)
    assert refusal
    assert refusal.text == "too many rooms"


def test_a_room_is_held_by_an_address_until_its_last_seat_there_is_given_back() -> None:
    lobby = open_lobby(LobbyLimits(max_rooms=8))
    assert hold(lobby, "a", 9) == 7
    assert admits(lobby, "a-0", "a")
    assert admits(lobby, "a-0", "b")
    for number in (0, 1, 2, 3, 4, 5):
        lobby.release(f"a-{number}", "a", 0)
    assert hold(lobby, "c", 9) == 5, "a-0 is held from two addresses yet, and a-6"
    assert not admits(lobby, "more", "a"), "it holds two"
    lobby.release("a-0", "a", 0)
    lobby.release("a-6", "a", 0)
    assert admits(lobby, "more", "a")


def test_where_there_are_few_rooms_none_is_reserved() -> None:
    assert hold(open_lobby(LobbyLimits(max_rooms=7)), "a", 9) == 7


def test_overload_and_shutdown_let_nobody_in() -> None:
    lobby = open_lobby()
    assert not admits(lobby, overloaded=True)
    assert admits(lobby)
    lobby.open = False
    assert not admits(lobby)
    assert lobby.connections == 1


def test_each_refusal_says_something_else() -> None:
    full = open_lobby(LobbyLimits(max_connections=1))
    crowded = open_lobby(LobbyLimits(max_per_address=1))
    single = open_lobby(LobbyLimits(max_rooms=1))
    assert all(admits(lobby) for lobby in (full, crowded, single))
    shut = open_lobby()
    shut.open = False
    refusals = [lobby.admit("den", "::1", overloaded=False) for lobby in (full, crowded, single, shut)]
    refusals.append(open_lobby().admit("den", "::1", overloaded=True))
    assert len({refusal.text for refusal in refusals if refusal}) == 5


def test_a_room_is_opened_once_and_counted() -> None:
    lobby = open_lobby(pad_bytes=3)
    main, den = lobby.room("main"), lobby.room("den")
    assert lobby.room("main") is main
    assert [(room.name, room.index) for room in (main, den)] == [("main", 0), ("den", 1)]
    assert lobby.rooms == {"main": main, "den": den}
    assert b"pad" in main.frame(0, 0, 0)
    assert b"pad" not in open_lobby().room("main").frame(0, 0, 0)


def test_a_room_that_is_opened_again_is_a_new_one() -> None:
    lobby = open_lobby()
    first = lobby.room("main")
    lobby.remove(first)
    second = lobby.room("main")
    assert second is not first
    assert second.index == 1, "its ticks must not coincide with those of another room"
    lobby.remove(first)
    assert lobby.rooms == {"main": second}, "an old room's end must not remove the new one"


@pytest.mark.parametrize(("waited_us", "idle"), [(5 * SECOND - 1, False), (5 * SECOND, True), (9 * SECOND, True)])
def test_a_room_is_idle_after_its_linger(waited_us: int, *, idle: bool) -> None:
    lobby = open_lobby(LobbyLimits(room_linger_s=5))
    admits(lobby)
    admits(lobby)
    room = lobby.room("main")
    room.was_entered = True
    lobby.release("main", "::1", 100 * SECOND)
    assert lobby.idle_rooms(10_000 * SECOND) == [], "somebody is still there"
    lobby.release("main", "::1", 200 * SECOND)
    assert lobby.idle_rooms(200 * SECOND + waited_us) == ([room] if idle else [])


def test_somebody_who_comes_in_time_keeps_the_room() -> None:
    lobby = open_lobby(LobbyLimits(room_linger_s=5))
    admits(lobby)
    lobby.room("main").was_entered = True
    lobby.release("main", "::1", 0)
    admits(lobby)
    assert lobby.idle_rooms(100 * SECOND) == []
    lobby.release("main", "::1", 100 * SECOND)
    assert lobby.idle_rooms(104 * SECOND) == []
    assert len(lobby.idle_rooms(105 * SECOND)) == 1


def test_a_removed_room_is_idle_no_more() -> None:
    lobby = open_lobby()
    admits(lobby)
    room = lobby.room("main")
    lobby.release("main", "::1", 0)
    lobby.remove(room)
    assert lobby.idle_rooms(10_000 * SECOND) == []


NAMES = st.sampled_from(["a", "b", "c", "d"])
ADDRESSES = st.sampled_from(["1", "2", "3"])


class AnyOrder(RuleBasedStateMachine):
    """Connections come, open rooms, crash them and go in any order; a plain list of seats says what must hold."""

    limits = LobbyLimits(max_connections=6, max_rooms=3, max_per_address=4, room_linger_s=5)

    def __init__(self) -> None:
        super().__init__()
        self.lobby = open_lobby(self.limits)
        self.seats: list[tuple[str, str]] = []
        self.rooms: dict[str, Room[Visitor]] = {}
        self.left_us: dict[str, int] = {}
        self.now_us = 0

    @rule(name=NAMES, address=ADDRESSES, overloaded=st.sampled_from([False, False, False, True]))
    def come(self, name: str, address: str, *, overloaded: bool) -> None:
        names = {room for room, _ in self.seats}  # whose rooms count: empty ones give way
        welcome = (
            not overloaded
            and len(self.seats) < 6
            and sum(seat[1] == address for seat in self.seats) < 4
            and (name in names or len(names) < 3)
        )
        assert admits(self.lobby, name, address, overloaded=overloaded) == welcome
        if welcome:
            self.seats.append((name, address))
            self.left_us.pop(name, None)

    @precondition(lambda self: self.seats)
    @rule(index=st.integers(0, 100))
    def open(self, index: int) -> None:
        name, _ = self.seats[index % len(self.seats)]
        room = self.lobby.room(name)
        assert self.rooms.setdefault(name, room) is room

    @precondition(lambda self: self.rooms)
    @rule(index=st.integers(0, 100))
    def enter(self, index: int) -> None:
        name = sorted(self.rooms)[index % len(self.rooms)]
        self.rooms[name].was_entered |= name in {room for room, _ in self.seats}

    @precondition(lambda self: self.seats)
    @rule(index=st.integers(0, 100))
    def go(self, index: int) -> None:
        name, address = self.seats.pop(index % len(self.seats))
        self.lobby.release(name, address, self.now_us)
        if name in self.rooms and name not in {room for room, _ in self.seats}:
            self.now_us += 1
            self.left_us[name] = self.now_us

    @precondition(lambda self: self.rooms)
    @rule(index=st.integers(0, 100))
    def crash(self, index: int) -> None:
        name = sorted(self.rooms)[index % len(self.rooms)]
        self.lobby.remove(self.rooms.pop(name))
        self.left_us.pop(name, None)

    @rule(seconds=st.sampled_from([1, 3, 5]))
    def keep_house(self, seconds: int) -> None:
        self.now_us += seconds * SECOND
        idle = [
            name
            for name, left_us in self.left_us.items()
            if self.now_us - left_us >= 5 * SECOND or not self.rooms[name].was_entered
        ]
        too_many = len(self.rooms.keys() | {room for room, _ in self.seats}) - len(idle) - 3
        longest_empty = sorted(self.left_us.keys() - idle, key=self.left_us.__getitem__)
        idle += longest_empty[: max(0, too_many)]
        assert sorted(room.name for room in self.lobby.idle_rooms(self.now_us)) == sorted(idle)
        for name in idle:
            del self.left_us[name]
            self.lobby.remove(self.rooms.pop(name))

    @invariant()
    def seats_are_counted(self) -> None:
        assert self.lobby.connections == len(self.seats)
        assert self.lobby.rooms == self.rooms

    def teardown(self) -> None:
        """All seats and all places come back, and nothing is kept of those who have been there."""
        while self.seats:
            self.go(0)
        self.now_us += 5 * SECOND
        self.keep_house(5)
        lobby = self.lobby
        assert (lobby.connections, lobby.rooms) == (0, {})
        assert (lobby._seats, lobby._addresses, lobby._empty_since_us) == (Counter(), Counter(), {})
        assert (lobby._holders, lobby._held) == (Counter(), Counter())
        assert all(admits(lobby, name, address) for name, address in zip("abc", "123", strict=True))


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase
