"""
A relay in the memory of one process, ``memory://NAME``: the reference that says what the others have to do.

It is our hub without a socket: what is said to it is done at once, and what it says waits in the inbox of whoever it is
for. It begins with the first bus that comes, and ends with the last that leaves.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from shared.relay.bus import RelayError
from shared.relay.hub import MOST_UNSENT_BYTES, Hub
from shared.relay.leases import LeaseTable

if TYPE_CHECKING:
    from shared.relay.bus import Bell

_relays: dict[str, MemoryRelay] = {}


class Inbox:
    """What waits for one bus; its bell rings when there is something."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.is_dropped = False
        self._bodies: deque[bytes] = deque()
        self._bytes = 0

    def put(self, body: bytes) -> None:
        """Add a body; what overflows is dropped with all that waits."""
        self._bytes += len(body)
        self._bodies.append(body)
        if self._bytes > MOST_UNSENT_BYTES:
            self.is_dropped = True
            self._bodies.clear()
        self.bell.set()

    def take(self) -> list[bytes]:
        """Remove and return what waits; RelayError if the relay has dropped this bus."""
        if self.is_dropped:
            raise RelayError("it read too slowly")
        bodies = list(self._bodies)
        self._bodies.clear()
        self._bytes = 0
        return bodies


class MemoryRelay:
    """A relay without a process of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._hub: Hub[Inbox] = Hub(LeaseTable(None), self._put)
        self._inboxes = 0

    @staticmethod
    def named(name: str) -> MemoryRelay:
        """Return the one of that name."""
        return _relays.setdefault(name, MemoryRelay(name))

    def enter(self, bell: Bell) -> Inbox:
        """Make an inbox."""
        self._inboxes += 1
        return Inbox(bell)

    def came(self, inbox: Inbox, body: bytes, now_ms: int, wall_ms: int) -> None:
        """Do what the bus of an inbox says."""
        self._hub.came(inbox, body, now_ms, wall_ms)

    def leave(self, inbox: Inbox) -> None:
        """Forget an inbox."""
        self._hub.left(inbox)
        self._inboxes -= 1
        if not self._inboxes:
            _relays.pop(self._name, None)

    # Private methods

    def _put(self, inbox: Inbox, body: bytes) -> None:
        inbox.put(body)
        if inbox.is_dropped:
            self._hub.left(inbox)
