"""Keeps the top scores of each room in a server elsewhere, Redis or memcached, without making any tick wait for it."""

import logging
from contextlib import suppress
from itertools import islice
from typing import Protocol

from shared.rooms.scores import ScoreRows, merged
from shared.system.logs import SparingLog

logger = logging.getLogger("tickbench")

LIMIT_S = 1.0
"""For each connect, and for each answer."""
MAX_WAITING = 1000
"""Rooms whose scores wait in memory to be written."""
AT_ONCE = 100
"""How many of them are written one after the other."""
RETRY_US = 1_000_000
"""How long after a failure it is tried again."""

Batch = list[tuple[str, ScoreRows]]
"""Rooms, and what is to be added to their rows."""


class DamagedError(Exception):
    """What is kept of one room is none of ours."""


class ScoreKeeper(Protocol):
    """Speaks to a server that keeps scores. All of it may wait, as long as the limits above; :meth:`close` does not."""

    place: str
    """Where it is, without a password."""

    def read(self, room: str) -> ScoreRows:
        """
        Return a room's rows, best first.

        Raises:
            DamagedError: they are none of ours.
            Exception: it can't be reached, or takes nothing.

        """

    def merge(self, batch: Batch) -> list[str]:
        """
        Add rows to those that are kept, each room's at once, whoever else does so; without rooms, ask if it is there.

        Return for each room why that failed, "" where it is done.

        Raises:
            Exception: it can't be reached, or takes nothing.

        """

    def close(self) -> None:
        """Close the connections."""


class RemoteScores:
    """
    Keeps the scores in memory, where a room finds them, and hands them on to a ``keeper``.

    :meth:`save` has them wait; :meth:`look` says when they are to be written, ten times a second, and
    :meth:`write_back` writes them, in a thread or a greenlet: rooms never wait for it. Until then they are in memory
    alone. Before a room is opened, :meth:`fetch` reads what is kept of it; whoever comes first waits for that.

    While the keeper can't be reached, what waits is kept, of the last ``MAX_WAITING`` rooms, and rooms begin with what
    is known here. Once a second it is tried again, by :meth:`write_back` alone: nobody waits for the same failure. When
    it is back it is read, too, and :meth:`take_recalled` has what those rooms are to be told.
    """

    def __init__(self, keeper: ScoreKeeper, max_rooms: int) -> None:
        self._keeper = keeper
        self._max_rooms = max_rooms
        self._log = SparingLog(logger)
        self._known: dict[str, ScoreRows] = {}  # by room, as it was last saved; the longest ago first
        self._waiting: dict[str, ScoreRows] = {}  # to be written, the one that has waited longest first
        self._unread: dict[str, None] = {}  # rooms that began without what is kept of them
        self._is_asked = False  # it is asked at once, so that whoever starts a server learns of a wrong password
        self._is_down = False
        self._next_try_us = 0
        # What threads leave for look(), and it for them; each is replaced as a whole.
        self._fetched: dict[str, ScoreRows] = {}
        self._recalled: dict[str, ScoreRows] = {}
        self._batch: Batch = []
        self._to_read: list[str] = []
        self._is_due = False  # whether a batch is to be written
        self._is_writing = False
        self._written: list[tuple[str, ScoreRows, str]] = []
        self._fault = ""
        self._damage: tuple[str, str] | None = None

    def fetch(self, room: str) -> None:
        """Read what is kept of a room that is to be opened; takes at most seconds, and raises nothing."""
        if self._is_down or self._fault:
            return
        try:
            self._fetched[room] = self._read(room)
        except Exception as error:  # noqa: BLE001 # whatever a library makes of a broken line
            self._fault = _words(error)

    def load(self, room: str) -> ScoreRows:
        """Return a room's rows, as :meth:`fetch` found them; what is not written yet is added."""
        fetched = self._fetched.pop(room, None)
        if fetched is None:
            self._unread[room] = None
            if len(self._unread) > MAX_WAITING:
                del self._unread[next(iter(self._unread))]
            return list(self._known.get(room, ()))
        self._unread.pop(room, None)
        return merged(fetched, self._waiting.get(room, []))

    def save(self, room: str, rows: ScoreRows) -> None:
        """Keep a room's rows, and have them written soon."""
        self._known.pop(room, None)
        self._known[room] = list(rows)
        if len(self._known) > self._max_rooms:
            del self._known[next(iter(self._known))]
        self._waiting[room] = merged(self._waiting.get(room, []), rows)
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def take_recalled(self) -> Batch:
        """Return rooms, and the rows that were kept of them before they began, as far as that is known only now."""
        if self._is_writing:
            return []
        recalled, self._recalled = self._recalled, {}
        return list(recalled.items())

    def look(self, now_us: int) -> bool:
        """Note what came of the last :meth:`write_back`; return whether it is to be called, in a thread or greenlet."""
        self._note(now_us)
        is_needed = self._waiting or self._unread or self._is_down or not self._is_asked
        if self._is_writing or now_us < self._next_try_us or not is_needed:
            return False
        self._batch = list(islice(self._waiting.items(), AT_ONCE))
        self._to_read = list(islice(self._unread, AT_ONCE))
        self._is_due = True
        return True

    def write_back(self) -> None:
        """Write a batch, and read what rooms began without; takes as long as the keeper does, but at most seconds."""
        if self._is_writing or not self._is_due:  # one that was asked for earlier has begun late
            return
        self._is_writing, self._is_due, self._is_asked = True, False, True
        try:
            batch, to_read = self._batch, self._to_read
            failures = self._keeper.merge(batch)
            self._written = [(room, rows, why) for (room, rows), why in zip(batch, failures, strict=True)]
            self._is_down = False
            for room in to_read:
                self._recalled[room] = self._read(room)
        except Exception as error:  # noqa: BLE001 # as in fetch
            self._fault = _words(error)
        finally:
            self._is_writing = False

    def close(self) -> None:
        """Write what waits, in one last try, and close the connections."""
        with suppress(Exception):
            if self._waiting:
                self._keeper.merge(list(self._waiting.items()))
        with suppress(Exception):
            self._keeper.close()

    # Private methods

    def _read(self, room: str) -> ScoreRows:
        """Return a room's rows, none if they are none of ours; raises what the keeper does, if it can't be reached."""
        try:
            return self._keeper.read(room)
        except DamagedError as error:
            self._damage = room, str(error)
            return []

    def _note(self, now_us: int) -> None:
        written, self._written = self._written, []
        for room, rows, why in written:
            if why:
                self._say_and_wait(why, now_us)
                self._waiting[room] = self._waiting.pop(room, rows)  # the others come first
            elif self._waiting.get(room) is rows:  # else there are newer ones
                del self._waiting[room]
        if self._fault:
            self._is_down = True
            self._say_and_wait(self._fault, now_us)
            self._fault = ""
        if self._damage:
            room, why = self._damage
            words = "room %s begins without scores: they can't be read from %s (%s)"
            self._log.say(words, room, self._keeper.place, why)
            self._damage = None
        for room in list(self._recalled):
            self._unread.pop(room, None)
        for room in list(self._fetched)[: -self._max_rooms]:  # which somebody else opened first
            self._fetched.pop(room, None)

    def _say_and_wait(self, why: str, now_us: int) -> None:
        self._log.say("no score is kept in %s (%s), but in memory until one can be", self._keeper.place, why)
        self._next_try_us = now_us + RETRY_US


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
