"""
The child processes that have the games in ``--mode process``: what one is asked and owes, and which has which room.

A backend's game child adds the socket and the waiting. A child ends when its parent does, however that ended. While a
server has children it asks the kernel for short time slices for itself (:mod:`shared.system.slices`).
"""

import logging
import sys
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from shared.rooms.remote import GameAnswer, GameRequest, MessageReader, decode_answer, encode_message
from shared.system.child_process import ChildProcess
from shared.system.slices import ask_for_slices

logger = logging.getLogger("tickbench")

START_LIMIT_S = 20.0
"""The time that a child has to start, on a machine that is busy."""

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

COMMAND = (sys.executable, *(("-P",) if sys.flags.safe_path else ()), "-m", "backends.child")


class BaseGameChild(ABC):
    """
    One child. Every request is answered once, in order, unless the child dies: then ``mourners`` are called.

    ``nice`` is added to its nice value; if an answer is due for ``limit_s`` seconds of ``now_s``, a steady clock, it is
    killed.

    Raises:
        OSError: the system has nothing left to start it with.

    """

    def __init__(self, nice: int, limit_s: float, now_s: Callable[[], float]) -> None:
        self.process = ChildProcess([*COMMAND, str(nice)])
        self.mourners: set[Callable[[], None]] = set()
        self.is_over = False
        """Whether nothing can be asked of it any more."""
        self.is_gone = False
        """Whether it has ended, and nothing of it is left to wait for."""
        self._unsent = bytearray()  # requests that the kernel has not taken yet
        self._limit_s = limit_s
        self._now_s = now_s
        self._asked: deque[tuple[float, Callable[[GameAnswer], None]]] = deque()  # when, and who gets the answer
        self._answered_s: float | None = None
        self._answers = MessageReader()
        self._was_silent = False
        self._why: str | None = None  # why it was killed

    def ask(self, request: GameRequest, callback: Callable[[GameAnswer], None]) -> None:
        """Send a request; ``callback`` gets the answer, if one comes."""
        if self.is_over:
            return
        if len(self._unsent) > MAX_UNSENT_BYTES:  # without this request
            self._give_up("took nothing any more")
        self._asked.append((self._now_s(), callback))
        self._unsent += encode_message(request)
        self._send()

    def watch(self) -> None:
        """Check whether it still answers; if not, kill it."""
        was_silent, self._was_silent = self._was_silent, self._is_silent()
        # Twice in a row: its answer may lie unread if we have been kept from running ourselves.
        if was_silent and self._was_silent and not self.is_over:
            self._give_up(f"has not answered for {self._limit_s:g} s")

    # For the backend

    @abstractmethod
    def _send(self) -> None:
        """Send what is unsent: now, or when the kernel takes it."""

    def _take(self, data: bytes) -> bool:
        """Take what was read, and call back with the answers in it; return False where nothing more is to be read."""
        self._answered_s = self._now_s()
        try:
            for body in self._answers.feed(data):
                _, callback = self._asked.popleft()
                callback(decode_answer(body))
        except Exception:
            logger.exception("a fault in what game child %d answered", self.process.pid)
            return False
        return bool(data)

    def _see_off(self) -> Iterator[float]:
        """
        End a child of which nothing more can be read; yield each time how long to wait, in seconds.

        Unless it was told to end, ``mourners`` are called and its death is logged. It is killed if its end takes long.
        """
        has_died = not self.is_over
        self.is_over = True
        self._asked.clear()
        if has_died:
            for mourner in list(self.mourners):
                mourner()
        for number in range(2 * int(END_LIMIT_S / STEP_S)):
            if self.process.has_ended():
                break
            if number * STEP_S >= END_LIMIT_S:
                self.process.kill()
            yield STEP_S
        if has_died:
            why = self._why or how_it_ended(self.process.status)
            logger.error("game child %d %s: its rooms end", self.process.pid, why)
        self.is_gone = True

    # Private methods

    def _is_silent(self) -> bool:
        """Say whether an answer is due and none came for the limit; the first may take ``START_LIMIT_S`` longer."""
        if not self._asked:
            return False
        asked_s, now_s = self._asked[0][0], self._now_s()
        if self._answered_s is None:
            return now_s - asked_s > self._limit_s + START_LIMIT_S
        return now_s - max(asked_s, self._answered_s) > self._limit_s

    def _give_up(self, why: str) -> None:
        self._why = why
        self.process.kill()


C = TypeVar("C", bound=BaseGameChild)


class GameChildren(Generic[C]):
    """All children of a server, ``count`` at a time; a room stays with one. ``start`` starts one."""

    def __init__(self, count: int, start: Callable[[], C]) -> None:
        self._count = count
        self._start = start
        self._children: list[C] = []
        self._dead: list[C] = []  # of which something may be left to wait for

    def open(self) -> None:
        """Start them."""
        self._children = [self._start() for _ in range(self._count)]
        if self._children:
            ask_for_slices(PARENT_SLICE_NS)

    def all(self) -> list[C]:
        """Return those that are to be closed when the server stops."""
        return self._children + self._dead

    def pids(self) -> list[int]:
        """Return the pids of the children that live."""
        return [child.process.pid for child in self._children if not child.is_over]

    def of_room(self, name: str) -> C:
        """Return the child that has the room of that name; if it has died, start another one."""
        place = place_of_room(name, self._count)
        if self._children[place].is_over:
            started = self._start()
            self._dead = [child for child in (*self._dead, self._children[place]) if not child.is_gone]
            self._children[place] = started
        return self._children[place]

    def watch(self) -> None:
        """Check whether they still answer; kill those that don't."""
        for child in self._children:
            child.watch()


def place_of_room(name: str, count: int) -> int:
    """Return which of ``count`` children has the room of that name, now and whenever it is opened again."""
    return zlib.crc32(name.encode()) % count


def how_it_ended(status: int | None) -> str:
    """Put a child's exit status into words, None if it is not known."""
    if status is None:
        return "ended"
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
