"""The users of a worker in the order in which they came, their numbers and their connections."""

from loadtests.receive.connection import Connection


class Roll:
    """Whoever is there; rooms are of ``room_size`` users by their numbers, 0 if all are in one."""

    def __init__(self, room_size: int) -> None:
        self.count = 0
        """How many have come and were not seen off."""
        self._room_size = max(1, room_size)
        self._next_number = 0
        self._connections: list[Connection] = []

    def new_user(self) -> int:
        """Count one more, and return its number, from 0, which nobody has had before."""
        self.count += 1
        self._next_number += 1
        return self._next_number - 1

    def note(self, connection: Connection) -> None:
        """Take note of a user's one connection."""
        self._connections.append(connection)

    def see_off(self, users: int) -> list[Connection]:
        """Return the connections of those who came last, all but ``users`` of those that are up, and forget them."""
        leaving = [connection for connection in self._connections[users:] if connection.ticking]
        del self._connections[users:]
        self.count -= len(leaving)
        # Who comes later is in a room of its own: one that all have left begins anew, and counts its ticks from 0.
        self._next_number += -self._next_number % self._room_size
        return leaving
