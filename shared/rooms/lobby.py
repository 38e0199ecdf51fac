"""
The rooms of a server by name, and who may come in: limits of connections, rooms and addresses.

A backend runs a loop for each room, and tells the lobby of who comes and goes.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.game.world import Rules
from shared.rooms.room import M, Room
from shared.rooms.scores import ScoreStore
from shared.wire.handshake import Refusal, busy

K = TypeVar("K", str, tuple[str, str])

BUSY = "the server is busy: its ticks take too long"
"""Why nobody gets in while the tick budget is spent."""

RESERVED_SHARE = 8
"""One room in eight is kept for addresses that hold few rooms, so that none can take all."""

FEW_SHARE = 64
"""Few means one room in 64, and at least one."""


@dataclass(frozen=True, slots=True)
class LobbyLimits:
    """
    How many may come in; None is no limit.

    An empty room is closed after ``room_linger_s`` seconds; at once if nobody has ever entered it, or if there are more
    than ``max_rooms``: then those that have been empty longest are closed.
    """

    max_connections: int | None = None
    max_rooms: int = 1000
    max_per_address: int | None = None
    room_linger_s: float = 60


class Lobby(Generic[M]):
    """
    All rooms of a server.

    Ask :meth:`admit` before an upgrade; if it returns None a seat is taken, and :meth:`release` must be called when the
    connection has ended, whatever happened in between.
    """

    def __init__(self, limits: LobbyLimits, rules: Rules, seed: str, scores: ScoreStore, pad_bytes: int = 0) -> None:
        self.rooms: dict[str, Room[M]] = {}
        self.open = True
        self.connections = 0
        self.refused: Counter[int] = Counter()  # by HTTP status
        self._limits = limits
        self._rules = rules
        self._seed = seed
        self._scores = scores
        self._pad_bytes = pad_bytes
        self._opened_rooms = 0
        self._seats: Counter[str] = Counter()  # by room; one is enough to hold it
        self._addresses: Counter[str] = Counter()
        self._holders: Counter[tuple[str, str]] = Counter()  # seats by address and room
        self._held: Counter[str] = Counter()  # rooms by address
        self._empty_since_us: dict[str, int] = {}  # in that order

    def admit(self, room_name: str | None, address: str, *, overloaded: bool) -> Refusal | None:
        """Take a seat in a room (None: in no room) for a connection from ``address``, or say why not."""
        if refusal := self._refusal(room_name, address, overloaded=overloaded):
            return refusal
        self.connections += 1
        self._addresses[address] += 1
        if room_name is not None:
            self._seats[room_name] += 1
            self._holders[address, room_name] += 1
            self._held[address] += self._holders[address, room_name] == 1
            self._empty_since_us.pop(room_name, None)
        return None

    def release(self, room_name: str | None, address: str, now_us: int) -> None:
        """Give a seat back that :meth:`admit` has taken."""
        self.connections -= 1
        _take_one(self._addresses, address)
        if room_name is None:
            return
        _take_one(self._seats, room_name)
        _take_one(self._holders, (address, room_name))
        if (address, room_name) not in self._holders:
            _take_one(self._held, address)
        if room_name not in self._seats and room_name in self.rooms:
            self._empty_since_us[room_name] = now_us

    def room(self, name: str) -> Room[M]:
        """Return the room of that name; open it if there is none. Somebody must have a seat in it."""
        if name not in self.rooms:
            self.rooms[name] = Room(name, self._opened_rooms, self._rules, self._seed, self._scores, self._pad_bytes)
            self._opened_rooms += 1
        return self.rooms[name]

    def remove(self, room: Room[M]) -> None:
        """Forget a room; the next one of that name is a new one."""
        if self.rooms.get(room.name) is room:
            del self.rooms[room.name]
        self._empty_since_us.pop(room.name, None)

    def idle_rooms(self, now_us: int) -> list[Room[M]]:
        """
        Return the rooms to be closed, in which nobody has a seat: stop their loops, and :meth:`remove` them.

        One whose members are at other processes is not closed: it has no seats, but it has them.

        Call it ten times a second: in between there may be more than ``max_rooms``, but not more with seats.
        """
        linger_us = self._limits.room_linger_s * 1_000_000
        idle = {
            name: self.rooms[name]
            for name, since_us in self._empty_since_us.items()
            if (now_us - since_us >= linger_us or not self.rooms[name].was_entered) and not self.rooms[name].members
        }
        kept = [name for name in self._empty_since_us if name not in idle and not self.rooms[name].members]
        if kept:
            too_many = len(self.rooms.keys() | self._seats.keys()) - len(idle) - self._limits.max_rooms
            idle |= {name: self.rooms[name] for name in kept[: max(0, too_many)]}
        return list(idle.values())

    def _refusal(self, room_name: str | None, address: str, *, overloaded: bool) -> Refusal | None:
        limits = self._limits
        if not self.open:
            return busy("the server is shutting down")
        if limits.max_connections is not None and self.connections >= limits.max_connections:
            return busy("the server is full")
        if limits.max_per_address is not None and self._addresses[address] >= limits.max_per_address:
            return busy("too many connections from this address")
        if room_name is not None and (why := self._why_no_room(room_name, address)):
            return busy(why)
        if overloaded:
            return busy(BUSY)
        return None

    def _why_no_room(self, room_name: str, address: str) -> str | None:
        """Return why a room can't be opened, else None; only rooms with seats count, as empty ones give way."""
        if room_name in self._seats:
            return None
        max_rooms = self._limits.max_rooms
        left = max_rooms - len(self._seats)
        if left <= 0:
            return "too many rooms"
        if left <= max_rooms // RESERVED_SHARE and self._held[address] >= max(1, max_rooms // FEW_SHARE):
            return "too many rooms are held from this address: the last ones are for others"
        return None


def _take_one(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
