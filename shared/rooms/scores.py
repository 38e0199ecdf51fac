"""Where the top scores of each room are kept: in memory, or in a file. Knows nothing of the game."""

import logging
import sqlite3
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Protocol

logger = logging.getLogger("tickbench")

Rows = list[tuple[str, int]]

MAX_WAITING = 1000
"""Rooms whose scores wait for a disk that has room."""
AT_ONCE = 10
"""As many of them are written in one tick."""


class ScoreStore(Protocol):
    """Keeps the best scores by room."""

    def load(self, room: str) -> Rows:
        """Return a room's rows of name and score, best first."""

    def save(self, room: str, rows: Rows) -> None:
        """Keep a room's rows; when this returns they outlive the process, if the store does."""

    def close(self) -> None:
        """Let go of what is open."""


class MemoryScores:
    """Keeps them as long as the server runs, of the last ``max_rooms`` rooms that scored."""

    def __init__(self, max_rooms: int) -> None:
        self._max_rooms = max_rooms
        self._rooms: dict[str, Rows] = {}

    def load(self, room: str) -> Rows:
        """Return a room's rows."""
        return list(self._rooms.get(room, ()))

    def save(self, room: str, rows: Rows) -> None:
        """Keep a room's rows; forget the room that scored longest ago when there are too many."""
        self._rooms.pop(room, None)
        self._rooms[room] = list(rows)
        if len(self._rooms) > self._max_rooms:
            del self._rooms[next(iter(self._rooms))]

    def close(self) -> None:
        """Do nothing: there is nothing open."""


class FileScores:
    """
    Keeps them in an SQLite file, one commit a :meth:`save`.

    WAL with synchronous NORMAL: a commit is one write and no fsync, so a killed process loses nothing. The file is
    locked as long as it is open, so that no commit ever waits for somebody else's. No checkpoint while serving: it
    would be a pause of the tick; the last connection to close makes one.

    What a full disk does not take waits in memory for the saves that follow: a score is no reason to end a game.
    """

    def __init__(self, path: Path) -> None:
        """
        Open or create the file.

        Raises:
            ValueError: it can't be opened, or is something else.

        """
        self._path = path
        self._waiting: dict[str, Rows] = {}  # by room, who has waited longest first
        try:
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        except sqlite3.Error as exc:
            raise ValueError(f"{path} can't be used for scores: {exc}") from exc
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS top_scores"
                " (room TEXT, rank INTEGER, name TEXT, score INTEGER, PRIMARY KEY (room, rank)) WITHOUT ROWID"
            )
            self._connection.execute("SELECT room, rank, name, score FROM top_scores LIMIT 1")
            self._connection.execute("BEGIN IMMEDIATE")  # takes the lock now, and never waits for one in a tick
            self._connection.execute("COMMIT")
        except sqlite3.Error as exc:
            self._connection.close()
            raise ValueError(f"{path} can't be used for scores: {exc}") from exc

    def load(self, room: str) -> Rows:
        """Return a room's rows."""
        if room in self._waiting:
            return list(self._waiting[room])
        query = "SELECT name, score FROM top_scores WHERE room = ? ORDER BY rank"
        return list(self._connection.execute(query, (room,)))

    def save(self, room: str, rows: Rows) -> None:
        """Replace a room's rows, in one transaction; where the disk is full, later."""
        had_room = not self._waiting
        self._waiting.pop(room, None)
        self._waiting[room] = list(rows)
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        try:
            for name in [*islice(self._waiting, AT_ONCE), room]:
                if name in self._waiting:
                    self._write(name, self._waiting[name])
                    del self._waiting[name]
        except sqlite3.OperationalError as error:
            if had_room:
                logger.error("no score is kept in %s (%s), but in memory until one can be", self._path, error)  # noqa: TRY400
        except BaseException:
            self._waiting.pop(room, None)  # these rows will never do
            raise

    def _write(self, room: str, rows: Rows) -> None:
        self._connection.execute("BEGIN")
        try:
            self._connection.execute("DELETE FROM top_scores WHERE room = ?", (room,))
            self._connection.executemany(
                "INSERT INTO top_scores VALUES (?, ?, ?, ?)",
                [(room, rank, name, score) for rank, (name, score) in enumerate(rows)],
            )
            self._connection.execute("COMMIT")
        except BaseException:  # nothing is swallowed: no transaction may stay open, whatever ended it
            if self._connection.in_transaction:  # a full disk has ended it
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file, after a last try."""
        with suppress(sqlite3.Error):
            for room, rows in self._waiting.items():
                self._write(room, rows)
        self._connection.close()


def open_scores(path: Path | None, max_rooms: int) -> ScoreStore:
    """
    Return the store that ``--scores`` asks for.

    Raises:
        ValueError: the file can't be used.

    """
    return FileScores(path) if path else MemoryScores(max_rooms)
