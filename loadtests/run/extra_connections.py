"""
Extra connections, made after the measured window, by which the memory of one is weighed.

They watch, as the spectators of ``steady`` do, and count in no account: they have an observer of their own.
"""

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

import gevent
from gevent.pool import Group

from loadtests.receive.connection import Connection
from loadtests.receive.endings import ConnectionObserver, Ending

LEAVE_S = 3.0
"""How long they may take to close; those that are left then are cut off."""


class ExtraConnections(ConnectionObserver):
    """
    Those of one worker, and their observer.

    ``new_connection`` returns an unopened connection for an observer and a number. They connect evenly spread,
    ``per_second`` of them, and have ``timeout_s`` to get their first tick frame.

    """

    have_left: ClassVar[bool] = False
    """Whether this process has had any before: the memory they took is free on its heap."""

    def __init__(
        self, new_connection: Callable[[ConnectionObserver, int], Connection], per_second: float, timeout_s: float
    ) -> None:
        super().__init__()
        self.up = 0
        self.settled = 0
        """How many are or were up, or have failed to connect."""
        self._new_connection = new_connection
        self._per_second = per_second
        self._timeout_s = timeout_s
        self._connections: list[Connection] = []
        self._inside: set[int] = set()
        self._why_not: Counter[str] = Counter()
        self._greenlets = Group()

    def bring(self, total: int) -> None:
        """Start as many more as are missing of ``total``."""
        for turn, number in enumerate(range(len(self._connections), total)):
            connection = self._new_connection(self, number)
            self._connections.append(connection)
            self._greenlets.spawn(self._visit, connection, turn / self._per_second)

    def why_not(self) -> str:
        """Say why some are not up; empty if all are."""
        return ", ".join(f"{count} x {why}" for why, count in self._why_not.most_common(3))

    def leave(self) -> None:
        """Close all of them; takes at most :data:`LEAVE_S`."""
        if not self._connections:
            return
        ExtraConnections.have_left = True
        leaving = Group()
        for connection in self._connections:
            leaving.spawn(connection.close)
        leaving.join(LEAVE_S)
        leaving.kill(block=False)
        self._greenlets.kill(block=False)
        self._connections.clear()

    # What their connections tell

    def connected(self, index: int, started_us: int, arrival_us: int) -> None:  # noqa: ARG002 - as an observer
        """Count who is in."""
        self._inside.add(index)
        self.up += 1
        self.settled += 1

    def ended(self, index: int, ending: Ending) -> None:
        """Count who is out."""
        self._why_not[ending.why] += 1
        if index in self._inside:
            self._inside.remove(index)
            self.up -= 1
        else:
            self.settled += 1

    def _visit(self, connection: Connection, wait_s: float) -> None:
        gevent.sleep(wait_s)
        connection.open(self._timeout_s)
        connection.wait_end()  # as a Locust user does: its greenlet's memory is part of a connection's
