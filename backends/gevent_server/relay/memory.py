"""A relay in the memory of this process: the reference."""

import time

from shared.relay.memory import Inbox, MemoryRelay

from .bell import Bell
from .link import HubLink


class RelayLink(HubLink):
    """A bus of this process that knows the others."""

    _is_open = False
    _relay: MemoryRelay
    _inbox: Inbox
    _bell: Bell

    def connect(self) -> None:
        """Get an inbox."""
        self._bell = Bell()
        self._relay = MemoryRelay.named(self.url.where)
        self._inbox = self._relay.enter(self._bell)
        self._is_open = True

    def send_bodies(self, bodies: list[bytes]) -> None:
        """Have the relay do what they say."""
        for body in bodies:
            self._relay.came(self._inbox, body, time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)

    def receive_bodies(self) -> list[bytes]:
        """Wait until there is something in the inbox."""
        self._bell.wait()
        self._bell.clear()
        return self._inbox.take()

    def close(self) -> None:
        """Leave."""
        if self._is_open:
            self._relay.leave(self._inbox)
            self._is_open = False
