"""
The lives of rooms: one that begins anew, in another server or in the same, counts its ticks from 0 again.

Ticks are told apart by n within a life only. Two lives of a room go on at once while a server that stops tells its
players one after the other to go, and those who come back meet in another server.
"""

from collections import defaultdict
from typing import Final

from loadtests.account.room_ticks import RoomTicks
from loadtests.receive.arrivals import ArrivedTick

LIFE: Final = "#"
"""What stands between the name of a room, which can't have it, and the number of its life, from the second on."""


def room_of(life: str) -> str:
    """Return the room of a life, by its name."""
    return life.partition(LIFE)[0]


class RoomLives:
    """The ticks of each life of each room."""

    def __init__(self) -> None:
        self.by_name: dict[str, RoomTicks] = {}
        """``r1``, and ``r1#2`` for its second life."""
        self.by_number: list[RoomTicks] = []
        self._of_rooms: defaultdict[str, list[RoomTicks]] = defaultdict(list)
        self._rooms: list[str] = []  # by number

    def latest(self, room: str, *, announced: bool = False) -> RoomTicks:
        """Return the life of a room that began last, its first if it has none yet."""
        lives = self._of_rooms[room]
        return lives[-1] if lives else self._begin(room, announced=announced)

    def of_tick(self, number: int, tick: ArrivedTick, period_us: float) -> RoomTicks:
        """
        Return the life that has a tick, of the room of life ``number``: a new one if none has it.

        ``period_us`` as for :meth:`~loadtests.account.room_ticks.RoomTicks.has`.
        """
        room, (n, due_us, sent_us, _) = self._rooms[number], tick
        lives = reversed(self._of_rooms[room])
        life = next((each for each in lives if each.has(n, due_us, sent_us, period_us)), None)
        if life is None:
            life = self._begin(room)
        life.see(n, due_us, sent_us)
        return life

    def room(self, number: int) -> str:
        """Return the name of the room of a life."""
        return self._rooms[number]

    def are_several(self, room: str) -> bool:
        """Return whether a room has begun anew."""
        return len(self._of_rooms.get(room, ())) > 1

    def _begin(self, room: str, *, announced: bool = False) -> RoomTicks:
        lives = self._of_rooms[room]
        life = RoomTicks(len(self.by_number), announced=announced)
        self.by_name[f"{room}{LIFE}{len(lives) + 1}" if lives else room] = life
        self.by_number.append(life)
        self._rooms.append(room)
        lives.append(life)
        return life
