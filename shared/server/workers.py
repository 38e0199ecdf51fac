"""
The child processes that run the games in ``--mode process``: how one is started, and which has which room.

A backend's worker adds the socket and the waiting. A child ends when its parent does, however that ended. While a
server has children it asks the kernel for short time slices for itself (:mod:`shared.system.slices`).
"""

import sys
import zlib
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from shared.system.slices import ask_for_slices

MAX_UNSENT_BYTES = 2**20
"""Of requests that a child has not read; with more it is killed."""

MOST_PENDING = 2
"""Steps of a room that are asked for at a time: the one that the child is at, and the next one if that is due."""

END_LIMIT_S = 1.0
"""The time that a child has to end once its socket is closed."""

STEP_S = 0.02
"""How often a child that is to end is looked at."""

PARENT_SLICE_NS = 100_000
"""The time slices of a server that has children: it has little to do, and should do it at once though they are busy."""

COMMAND = (sys.executable, *(("-P",) if sys.flags.safe_path else ()), "-m", "backends.worker")


class Worker(Protocol):
    """One child, as its backend holds it."""

    pid: int
    is_over: bool
    """Whether nothing can be asked of it any more."""

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, and nothing of it is left to wait for."""

    def watch(self) -> None:
        """Check whether it still answers; if not, kill it."""


W = TypeVar("W", bound=Worker)


class Workers(Generic[W]):
    """All children of a server, ``count`` at a time; a room stays with one. ``start`` starts one."""

    def __init__(self, count: int, start: Callable[[], W]) -> None:
        self._count = count
        self._start = start
        self._workers: list[W] = []
        self._dead: list[W] = []  # of which something may be left to wait for

    def open(self) -> None:
        """Start them."""
        self._workers = [self._start() for _ in range(self._count)]
        if self._workers:
            ask_for_slices(PARENT_SLICE_NS)

    def all(self) -> list[W]:
        """Return those that are to be closed when the server stops."""
        return self._workers + self._dead

    def pids(self) -> list[int]:
        """Return the pids of the children that live."""
        return [worker.pid for worker in self._workers if not worker.is_over]

    def of_room(self, name: str) -> W:
        """Return the child that has the room of that name; if it has died, start another one."""
        place = place_of_room(name, self._count)
        if self._workers[place].is_over:
            started = self._start()
            self._dead = [worker for worker in (*self._dead, self._workers[place]) if not worker.is_gone]
            self._workers[place] = started
        return self._workers[place]

    def watch(self) -> None:
        """Check whether they still answer; kill those that don't."""
        for worker in self._workers:
            worker.watch()


def worker_command(fd: int, nice: int) -> list[str]:
    """Return the command line of a child that inherits its socket as ``fd``."""
    return [*COMMAND, str(fd), str(nice)]


def place_of_room(name: str, count: int) -> int:
    """Return which of ``count`` children has the room of that name, now and whenever it is opened again."""
    return zlib.crc32(name.encode()) % count


def how_it_ended(status: int | None) -> str:
    """Put a child's exit status into words, None if it is not known."""
    if status is None:
        return "ended"
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
