"""
Every connection of a server: who there is, when each is to be woken, and who does not take its frames.

Knows nothing of sockets or clocks: the time comes in as an argument.
"""

import itertools
from typing import Generic, Protocol, TypeVar

from shared.loops.wakeups import Wakeups
from shared.wire.session import Session

MOST_WOKEN = 200
"""At once: some milliseconds, and in a second more than have come in in one."""


class Listed(Protocol):
    """One of them: ``serial`` is its own for ever, ``wakes_us`` when it is to be woken."""

    serial: int
    wakes_us: int
    session: Session


L = TypeVar("L", bound=Listed)


class Roster(Generic[L]):
    """The connections of a server, by serial number; ``entered`` are in a room, ``slow`` are watched."""

    def __init__(self) -> None:
        self.connections: dict[int, L] = {}
        self.entered: set[int] = set()
        self.slow: set[L] = set()
        self._serials = itertools.count()
        self._wakeups: Wakeups[int] = Wakeups()  # one heap for all, where a timer for each would take memory and time

    def next_serial(self) -> int:
        """Return a number that no connection has had."""
        return next(self._serials)

    def add(self, connection: L) -> None:
        """Begin to look after a connection."""
        self.connections[connection.serial] = connection
        self.wake_at_deadline(connection)

    def remove(self, connection: L) -> None:
        """Forget a connection that has ended."""
        del self.connections[connection.serial]
        self.entered.discard(connection.serial)
        self.slow.discard(connection)

    def wake_at_deadline(self, connection: L) -> None:
        """Let a connection be due when its session has something to do."""
        connection.wakes_us = connection.session.deadline_us
        self._wakeups.add(connection.wakes_us, connection.serial)  # by number: it may have ended by then

    def pop_due(self, now_us: int) -> list[L]:
        """Return those who are to be woken now, once; of very many, who came at once, some the next time."""
        due = (self.connections.get(serial) for serial in self._wakeups.pop_due(now_us, MOST_WOKEN))
        return [connection for connection in due if connection]
