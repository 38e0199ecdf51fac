"""
Reads what many watchers of one server, or of several, are sent, and keeps when each tick frame came.

Bare sockets, one epoll, the kernel's stamps; it keeps no account of what did not come, and is no instrument. One
process reads for all servers, so that whatever it does wrong it does alike to each.
"""

import select
import socket
import time
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from loadtests.receive.stamps import ANCILLARY_BYTES, ask_for_stamps, stamp_of, stamp_us
from tests.support.client import client_frame, request_bytes, upgrade_headers

TICK = b'[["tick",'
HELLO = client_frame(1, b'["new_player","reader"]')
EVENTS_A_TURN = 1024


class Frames(NamedTuple):
    """Tick frames, in the order in which they were read; times in microseconds since the epoch."""

    connection: NDArray[np.int64]
    due_us: NDArray[np.int64]
    arrival_us: NDArray[np.int64]

    def due_within(self, start_us: float, end_us: float) -> "Frames":
        """Return those that were due from ``start_us`` on and before ``end_us``."""
        chosen = (self.due_us >= start_us) & (self.due_us < end_us)
        return Frames(*(column[chosen] for column in self))

    def of(self, connections: Collection[int]) -> "Frames":
        """Return those that came on these connections."""
        chosen = np.isin(self.connection, list(connections))
        return Frames(*(column[chosen] for column in self))

    @property
    def lateness_us(self) -> NDArray[np.int64]:
        """How long after its due time each came."""
        return self.arrival_us - self.due_us

    def interval_errors_us(self, period_us: float) -> NDArray[np.float64]:
        """Return |a(n) - a(n - 1) - T| of each connection's ticks that follow each other."""
        order = np.lexsort((self.due_us, self.connection))
        connection, due_us, arrival_us = (column[order] for column in self)
        follows = (np.diff(connection) == 0) & (np.abs(np.diff(due_us) - period_us) < period_us / 2)
        errors: NDArray[np.float64] = np.abs(np.diff(arrival_us)[follows] - period_us)
        return errors


class StampedReader:
    """Owns the connections, which are closed at the end of its block."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._connections: dict[int, socket.socket] = {}
        self._buffer = bytearray(256 * 1024)
        self._rows: list[tuple[int, int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.close()
        self._epoll.close()

    def connect(self, url: str, number: int) -> list[int]:
        """
        Have so many watchers more, all in the room ``main``; what those before them are sent is read meanwhile.

        Return their connections, as :class:`Frames` names them.

        """
        added = []
        target = urlsplit(url)
        address = target.hostname or "", target.port or 80
        request = request_bytes("GET", "/connect", upgrade_headers({"Host": target.netloc}))
        for _ in range(number):
            connection = socket.create_connection(address, timeout=10)
            ask_for_stamps(connection)
            connection.sendall(request)
            head = b""
            while not head.endswith(b"\r\n\r\n"):  # nothing follows: the server speaks when it is told who this is
                if not (byte := connection.recv(1024)):
                    raise EOFError(f"the upgrade was refused: {head!r}")
                head += byte
            connection.sendall(HELLO)
            connection.setblocking(False)  # noqa: FBT003 - socket's own
            self._connections[connection.fileno()] = connection
            self._epoll.register(connection.fileno(), select.EPOLLIN)
            added.append(connection.fileno())
            self.read(0)
        return added

    def read(self, seconds: float) -> None:
        """Read for that long, at least what is there."""
        until_s = time.monotonic() + seconds
        buffers, rows, connections = [self._buffer], self._rows, self._connections
        while True:
            left_s = until_s - time.monotonic()
            events = self._epoll.poll(max(0.0, left_s), EVENTS_A_TURN)
            for fd, _ in events:
                with suppress(BlockingIOError):
                    size, ancillary, _, _ = connections[fd].recvmsg_into(buffers, ANCILLARY_BYTES)
                    if not size:
                        raise EOFError("the server closed a connection")
                    begin = self._buffer.find(TICK, 0, 16)
                    if begin >= 0:
                        end = self._buffer.find(b"]", begin, begin + 80)
                        _, due_us, _ = self._buffer[begin + len(TICK) : end].split(b",")
                        rows.append((fd, int(due_us), stamp_us(stamp_of(ancillary))))
            if left_s <= 0 and not events:
                return

    def take(self) -> Frames:
        """Return what was read since the last time."""
        rows, self._rows = np.array(self._rows, dtype=np.int64).reshape(-1, 3), []
        return Frames(rows[:, 0], rows[:, 1], rows[:, 2])
