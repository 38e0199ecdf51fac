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


def test_an_empty_room_keeps_its_place_until_it_is_removed() -> None:
    lobby = open_lobby(LobbyLimits(max_rooms=1))
    assert admits(lobby, "a")
    room = lobby.room("a")
    lobby.release("a", "::1", 0)
    assert not admits(lobby, "b")
    lobby.remove(room)
    assert admits(lobby, "b")


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
    lobby.release("main", "::1", 100 * SECOND)
    assert lobby.idle_rooms(10_000 * SECOND) == [], "somebody is still there"
    lobby.release("main", "::1", 200 * SECOND)
    assert lobby.idle_rooms(200 * SECOND + waited_us) == ([room] if idle else [])


def test_somebody_who_comes_in_time_keeps_the_room() -> None:
    lobby = open_lobby(LobbyLimits(room_linger_s=5))
    admits(lobby)
    lobby.room("main")
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
        names = self.rooms.keys() | {room for room, _ in self.seats}
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

    @precondition(lambda self: self.seats)
    @rule(index=st.integers(0, 100))
    def go(self, index: int) -> None:
        name, address = self.seats.pop(index % len(self.seats))
        self.lobby.release(name, address, self.now_us)
        if name in self.rooms and name not in {room for room, _ in self.seats}:
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
        idle = [name for name, left_us in self.left_us.items() if self.now_us - left_us >= 5 * SECOND]
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
        assert all(admits(lobby, name, address) for name, address in zip("abc", "123", strict=True))


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase
