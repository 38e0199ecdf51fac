"""Leads a connection's bytes to the kernel; what that does not take at once, a backend's pipe has written later."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from weakref import ref

from shared.system.sockets import bound_unsent, send_small_frames_at_once
from shared.wire.outbox import LOW_WATER_BYTES, NO_LOW_WATER_BYTES
from shared.wire.session import Outgoing

STEP_S = 0.02
"""How often a closing connection is checked."""


class Pipe(ABC):
    """
    The pipe of one connection, to which it has a weak reference; none of its methods waits.

    While :attr:`is_free` the kernel has taken all, and more can be written to the descriptor.
    """

    __slots__ = ("connection", "is_free", "socket", "ws")

    def __init__(self, connection: Any, socket: Any) -> None:
        self.connection: Callable[[], Any] = ref(connection)
        self.ws = connection.ws
        self.socket = socket
        self.is_free = True
        send_small_frames_at_once(socket)
        bound_unsent(socket, LOW_WATER_BYTES)

    def write(self, frame: bytes) -> None:
        """Write a frame to the descriptor; only while :attr:`is_free`."""
        try:
            sent = os.write(self.socket.fileno(), frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.connection().abort()
            return
        if sent < len(frame):
            self.keep(frame[sent:])

    @abstractmethod
    def unsent_bytes(self) -> int:
        """Return how many bytes the kernel has not taken yet."""

    @abstractmethod
    def keep(self, rest: bytes) -> None:
        """Have the ``rest`` of a frame written, which the kernel did not take when it was written to the descriptor."""

    def cut_off(self, last: list[Outgoing]) -> None:
        """Hand over the rest of what is on its way and ``last``, the close frame, and hang up; nothing more."""
        if not self.is_lost:
            with suppress(OSError):  # its peer may have ended it already
                bound_unsent(self.socket, NO_LOW_WATER_BYTES)
            self.end_with(last)

    @abstractmethod
    def end_with(self, last: list[Outgoing]) -> None:
        """Write them behind what is on its way, and hang up; the kernel takes more from now on."""

    @property
    def is_lost(self) -> bool:
        """Whether the descriptor may belong to another connection by now."""
        return False

    def finishing(self, limit_s: float) -> Iterator[float]:
        """Yield pauses, in seconds, until the kernel has taken all, at most ``limit_s``; what is left is dropped."""
        connection = self.connection()
        yield from pauses(lambda: self.is_lost or connection.is_drained, limit_s, connection.abort)
        connection.offer(-1)
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Write nothing more."""


def pauses(is_over: Callable[[], bool], limit_s: float, give_up: Callable[[], None]) -> Iterator[float]:
    """Yield pauses, in seconds, until something is over; give up if it takes longer than ``limit_s``."""
    for _ in range(int(limit_s / STEP_S)):
        if is_over():
            return
        yield STEP_S
    if not is_over():
        give_up()
