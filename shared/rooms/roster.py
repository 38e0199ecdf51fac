"""
All connections of a server: when each is to be woken, which are too slow, and which have given no name yet.

The time comes in as an argument.
"""

import itertools
from typing import Generic, Protocol, TypeVar

from shared.wire.session import CONNECTED, SPARED_S, Session

MOST_WOKEN = 200
"""At once, which takes some milliseconds; ten times a second, which is more than can connect in one."""

UNNAMED_US = 500_000
"""A connection may be without a name for as long, however many are: a round trip to anywhere, and time for a page."""

SPARED_US = round(SPARED_S * 1_000_000)
"""As much longer where the server was held up, once."""

SLOT_US = 100_000
"""How often a server looks; connections to be woken within the same slot are kept together."""


class Listed(Protocol):
    """A connection: ``serial`` is never given to another one, ``wakes_us`` is when it is to be woken."""

    serial: int
    wakes_us: int
    session: Session

    @property
    def is_here(self) -> bool:
        """Whether it is sent frames by this process."""


L = TypeVar("L", bound=Listed)


class Roster(Generic[L]):
    """
    The connections of a server, by serial number; ``entered`` are in a room, ``slow`` are watched.

    If more than ``max_unnamed`` have given no name yet, the oldest of them are to be ended (:meth:`pop_too_many`).
    """

    def __init__(self, max_unnamed: int) -> None:
        self.connections: dict[int, L] = {}
        self.entered: set[int] = set()
        self.slow: set[L] = set()
        self._max_unnamed = max_unnamed
        self._unnamed: dict[int, int] = {}  # by when each must have given one, in the order in which they came
        self._spared: set[int] = set()  # those of them who have been given more time
        self._serials = itertools.count()
        # Serials, in order, by the slot in which they are to be woken. A timer for each would take memory and time; in
        # a heap those that have ended would stay until their time: an object or two each, scattered over memory pages.
        self._wakeups: dict[int, dict[int, None]] = {}

    def next_serial(self) -> int:
        """Return a number that no connection has had."""
        return next(self._serials)

    def add(self, connection: L, running_us: int) -> None:
        """Add a connection, and wake it at its session's deadline."""
        self.connections[connection.serial] = connection
        if connection.session.state is CONNECTED:
            self._unnamed[connection.serial] = running_us + UNNAMED_US
        self.wake_at_deadline(connection)

    def enter(self, connection: L) -> None:
        """Note that a connection has given a name, and is about to enter a room."""
        self.entered.add(connection.serial)
        self._needs_no_name(connection.serial)

    def remove(self, connection: L) -> None:
        """Forget a connection that has ended."""
        self._let_sleep(connection)
        del self.connections[connection.serial]
        self.entered.discard(connection.serial)
        self._needs_no_name(connection.serial)
        self.slow.discard(connection)

    def watch(self, connection: L) -> None:
        """Note that a connection does not take its frames, unless it has ended."""
        if connection.serial in self.connections:
            self.slow.add(connection)

    def wake_at_deadline(self, connection: L) -> None:
        """Have a connection woken at its session's deadline and at no other time; not if it has ended."""
        self._let_sleep(connection)
        connection.wakes_us = connection.session.deadline_us
        if connection.serial in self.connections:
            self._wakeups.setdefault(connection.wakes_us // SLOT_US, {})[connection.serial] = None

    def pop_due(self, now_us: int) -> list[L]:
        """Return, once, those who are to be woken now: at most ``MOST_WOKEN``, the others the next time."""
        slots = sorted(slot for slot in self._wakeups if slot <= now_us // SLOT_US)
        waiting = (self.connections[serial] for slot in slots for serial in self._wakeups[slot])
        due = list(itertools.islice((each for each in waiting if each.wakes_us <= now_us), MOST_WOKEN))
        for connection in due:
            self._let_sleep(connection)
        return due

    def pop_too_many(self, running_us: int, *, held_up: bool = False) -> list[L]:
        """
        Return, once, those without a name who are to be ended: at most ``MOST_WOKEN``, the others the next time.

        Where the server was ``held_up`` their names may lie unread: each has a second more, once, or a server that is
        held up again and again would never end anybody.
        """
        if len(self._unnamed) <= self._max_unnamed:
            return []
        for serial in [serial for serial in self._unnamed if self.connections[serial].session.state is not CONNECTED]:
            self._needs_no_name(serial)  # it is being closed, and told why
        first = itertools.islice(self._unnamed.items(), max(0, len(self._unnamed) - self._max_unnamed))
        late = [serial for serial, until_us in first if running_us >= until_us][:MOST_WOKEN]
        too_many = []
        for serial in late:
            if held_up and serial not in self._spared:
                self._spared.add(serial)
                self._unnamed[serial] = running_us + SPARED_US
            else:
                self._needs_no_name(serial)
                too_many.append(serial)
        return [self.connections[serial] for serial in too_many]

    # Private methods

    def _needs_no_name(self, serial: int) -> None:
        """Count it no longer among those who have given none."""
        self._unnamed.pop(serial, None)
        self._spared.discard(serial)

    def _let_sleep(self, connection: L) -> None:
        """Have it woken no more."""
        slot = connection.wakes_us // SLOT_US
        if serials := self._wakeups.get(slot):
            serials.pop(connection.serial, None)
            if not serials:
                del self._wakeups[slot]
