"""
Every connection of a server: who there is, when each is to be woken, and who does not take its frames.

Knows nothing of sockets or clocks: the time comes in as an argument.
"""

import itertools
from typing import Generic, Protocol, TypeVar

from shared.wire.session import CONNECTED, Session

MOST_WOKEN = 200
"""At once: some milliseconds, and in a second more than have come in in one."""

UNNAMED_US = 500_000
"""Without a name everybody may sit for as long, however many do: a round trip to anywhere, and some time for a page."""

SLOT_US = 100_000
"""As often as a server looks: who is to be woken within as much is kept together."""


class Listed(Protocol):
    """One of them: ``serial`` is its own for ever, ``wakes_us`` when it is to be woken."""

    serial: int
    wakes_us: int
    session: Session


L = TypeVar("L", bound=Listed)


class Roster(Generic[L]):
    """
    The connections of a server, by serial number; ``entered`` are in a room, ``slow`` are watched.

    Of more than ``max_unnamed`` who have given no name yet, those who came first have had their time.
    """

    def __init__(self, max_unnamed: int) -> None:
        self.connections: dict[int, L] = {}
        self.entered: set[int] = set()
        self.slow: set[L] = set()
        self._max_unnamed = max_unnamed
        self._unnamed: dict[int, int] = {}  # when each came, in that order
        self._serials = itertools.count()
        # Serials, in order, by when they are to be woken; a timer for each would take memory and time. No heap either:
        # who has ended would be in it until its time, an object or two of thousands, each in a page of its own.
        self._wakeups: dict[int, dict[int, None]] = {}

    def next_serial(self) -> int:
        """Return a number that no connection has had."""
        return next(self._serials)

    def add(self, connection: L, now_us: int) -> None:
        """Begin to look after a connection."""
        self.connections[connection.serial] = connection
        if connection.session.state is CONNECTED:
            self._unnamed[connection.serial] = now_us
        self.wake_at_deadline(connection)

    def enter(self, connection: L) -> None:
        """Take note that a connection has given a name, and is about to be in a room."""
        self.entered.add(connection.serial)
        self._unnamed.pop(connection.serial, None)

    def remove(self, connection: L) -> None:
        """Forget a connection that has ended."""
        self._let_sleep(connection)
        del self.connections[connection.serial]
        self.entered.discard(connection.serial)
        self._unnamed.pop(connection.serial, None)
        self.slow.discard(connection)

    def watch(self, connection: L) -> None:
        """Take note that a connection does not take its frames, unless it has ended."""
        if connection.serial in self.connections:
            self.slow.add(connection)

    def wake_at_deadline(self, connection: L) -> None:
        """Let a connection be due when its session has something to do, and then only; never, if it has ended."""
        self._let_sleep(connection)
        connection.wakes_us = connection.session.deadline_us
        if connection.serial in self.connections:
            self._wakeups.setdefault(connection.wakes_us // SLOT_US, {})[connection.serial] = None

    def pop_due(self, now_us: int) -> list[L]:
        """Return those who are to be woken now, once; of very many, who came at once, some the next time."""
        slots = sorted(slot for slot in self._wakeups if slot <= now_us // SLOT_US)
        waiting = (self.connections[serial] for slot in slots for serial in self._wakeups[slot])
        due = list(itertools.islice((each for each in waiting if each.wakes_us <= now_us), MOST_WOKEN))
        for connection in due:
            self._let_sleep(connection)
        return due

    def pop_too_many(self, now_us: int) -> list[L]:
        """Return those without a name who are to make room, once; of very many some, and the others the next time."""
        if len(self._unnamed) <= self._max_unnamed:
            return []
        for serial in [serial for serial in self._unnamed if self.connections[serial].session.state is not CONNECTED]:
            del self._unnamed[serial]  # it is being closed, and told why
        number = min(len(self._unnamed) - self._max_unnamed, MOST_WOKEN)
        first = itertools.islice(self._unnamed.items(), max(0, number))
        too_many = [serial for serial, came_us in first if now_us - came_us >= UNNAMED_US]
        for serial in too_many:
            del self._unnamed[serial]
        return [self.connections[serial] for serial in too_many]

    # Private methods

    def _let_sleep(self, connection: L) -> None:
        """Forget when it is to be woken, if it is."""
        slot = connection.wakes_us // SLOT_US
        if serials := self._wakeups.get(slot):
            serials.pop(connection.serial, None)
            if not serials:
                del self._wakeups[slot]
