"""Keeps the top scores of each room in an SQLite file, without making any tick wait for the disk."""

import fcntl
import logging
import os
import sqlite3
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from shared.game.scores import MAX_TOP_SCORES
from shared.rooms.scores import ScoreRows, merged
from shared.server.score_rows import MAX_NAME_BYTES, sound_rows
from shared.system.logs import SparingLog

logger = logging.getLogger("tickbench")

MAX_WAITING = 1000
"""Rooms whose scores wait in memory while the file can't be written."""
AT_ONCE = 10
"""How many of them are written in one tick."""
LOOK_US = 1_000_000
"""How often the waiting scores are tried again, and the file is checked."""
SAVES_A_CHECKPOINT = 256
"""After so many saves the write-ahead log has some 1 to 3 MiB."""
LOCKED_US = 1_000_000
"""For how long what waits is tried in vain before it is said that somebody else has locked the file."""
OPEN_LIMIT_S = 1.0
"""How long other servers may keep one waiting that begins or ends; one that serves waits for nobody."""
PATIENT_CHECKPOINTS = 3
"""So often another server may write, or read, at the very moment of a checkpoint, which then copies less."""
MAX_LOG_BYTES = 4 * 2**20
"""To which the log is cut when it is written from its beginning again, if it has grown beyond that."""

# A name that is too long to be one of ours is not read at all.
_LOAD = """
    SELECT
        CASE WHEN typeof(name) = 'text' AND length(CAST(name AS BLOB)) <= ? THEN CAST(name AS BLOB) END,
        CASE WHEN typeof(score) = 'integer' THEN score END
    FROM top_scores WHERE room = ? ORDER BY rank LIMIT ?
"""


class FileScores:
    """
    Keeps the scores in an SQLite file, with one commit for each :meth:`save`.

    WAL with synchronous NORMAL: a commit is one write and no fsync, so a killed process loses nothing. Several servers
    may have the file open: each adds rows to those that are stored. Where somebody else writes at that very moment, or
    has locked the file, or the disk is full or broken, scores wait in memory, where :meth:`load` finds them, and are
    written later: a score is no reason to end a game, and nothing here waits for anybody.

    What is written gathers in the write-ahead log. Copying it into the file, a checkpoint, takes an fsync or two, which
    would hold up the tick: so a second connection does it in a thread, when :meth:`look` asks for it, while this one
    writes on; SQLite's passive checkpoint keeps no writer waiting. After one the log is written from its beginning
    again, so that it stays at a few MiB. The last connection to close makes one, too.

    """

    def __init__(self, path: Path) -> None:
        """
        Open or create the file.

        Raises:
            ValueError: it can't be opened, is another program's alone, or is something else.

        """
        self._path = path
        self._place = f"{path.absolute().as_uri()}?mode=rw"
        self._log = SparingLog(logger)
        self._waiting: dict[str, ScoreRows] = {}  # by room, the one that has waited longest first
        self._is_locked = False  # when it was last tried
        self._locked_since_us: int | None = None
        self._is_held_up = False  # it has been for long
        self._saves = 0
        self._copied = 0  # of these saves, by the thread
        self._is_copying = False
        self._fault = ""  # that the thread met
        self._was_taken = False  # the file was moved or deleted
        self._next_look_us = 0
        try:
            self._held = _hold(path)
        except BlockingIOError as exc:
            raise ValueError(f"{path} can't be used for scores: another program has it for itself") from exc
        except OSError as exc:
            raise ValueError(f"{path} can't be used for scores: {exc.strerror}") from exc
        try:
            self._connection = _open(path)
        except sqlite3.Error as exc:
            os.close(self._held)
            raise ValueError(f"{path} can't be used for scores: {exc}") from exc

    def load(self, room: str) -> ScoreRows:
        """
        Return a room's rows.

        A damaged row, whoever wrote it, is left out; it stays in the file until the next save of the room replaces all
        rows. If they can't be read at all, there are none.
        """
        waiting = self._waiting.get(room, [])
        try:
            stored = self._stored(room)
        except sqlite3.DatabaseError as error:
            if not waiting:
                self._log.say("room %s begins without scores: they can't be read from %s (%s)", room, self._path, error)
            return list(waiting)
        rows = sound_rows(stored)
        if len(rows) < len(stored):
            bad = len(stored) - len(rows)
            # Sparingly: anybody can have the room opened, and so this read, again and again.
            self._log.say("room %s begins without %d of its scores in %s, which are damaged", room, bad, self._path)
        return merged(rows, waiting)

    def save(self, room: str, rows: ScoreRows) -> None:
        """Add rows to a room's, in one transaction; where that fails now, later."""
        self._waiting[room] = merged(self._waiting.pop(room, []), rows)
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._write_waiting([room, *(other for other in islice(self._waiting, AT_ONCE) if other != room)])

    def look(self, now_us: int) -> bool:
        """Write what waits; return whether :meth:`write_back` is to be called, in a thread."""
        if self._is_locked and self._locked_since_us is None:
            self._locked_since_us = now_us
        self._is_held_up = self._locked_since_us is not None and now_us - self._locked_since_us >= LOCKED_US
        if self._is_locked or now_us >= self._next_look_us:
            self._write_waiting(list(islice(self._waiting, AT_ONCE)))
        if now_us < self._next_look_us:
            return False
        self._next_look_us = now_us + LOOK_US
        if self._fault:
            self._log.say("the write-ahead log of %s grows: it can't be copied (%s)", self._path, self._fault)
            self._fault = ""
        if not self._is_in_its_place():
            self._was_taken = True
            self._log.say("%s was taken away: scores go nowhere until the server is started anew", self._path)
            return False
        return not self._is_copying and self._saves - self._copied >= SAVES_A_CHECKPOINT

    def write_back(self) -> None:
        """Copy what the write-ahead log has into the file; takes as long as the disk does."""
        if self._is_copying:  # a thread that was asked for earlier has begun late
            return
        self._is_copying = True
        saves = self._saves
        try:
            with closing(sqlite3.connect(self._place, uri=True, timeout=0, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = NORMAL")
                _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if copied < pages and self._saves - self._copied >= PATIENT_CHECKPOINTS * SAVES_A_CHECKPOINT:
                self._fault = "another program is reading it"
            elif copied >= pages and self._saves == saves:  # else the log does not begin again: it has more to copy
                self._copied = saves
        except sqlite3.Error as error:
            self._fault = str(error)
        finally:
            self._is_copying = False

    def close(self) -> None:
        """Close the file, after a last try to write what waits, for which other servers may keep us waiting."""
        with suppress(sqlite3.Error):
            if self._waiting:
                self._connection.execute(f"PRAGMA busy_timeout = {round(OPEN_LIMIT_S * 1000)}")
            self._write_waiting(list(self._waiting))
        self._connection.close()
        if not self._is_copying:  # closing a descriptor of a file ends all locks of the process on it
            os.close(self._held)

    # Private methods

    def _write_waiting(self, rooms: list[str]) -> None:
        """Try to write what waits for these rooms; a failure of one does not keep the others, unless all would fail."""
        if self._was_taken:
            return  # its write-ahead log would grow where nobody sees it
        self._is_locked = False
        for room in rooms:
            try:
                self._write(room, self._waiting[room])
            except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
                del self._waiting[room]  # these rows can never be written
                raise
            except sqlite3.DatabaseError as error:
                self._is_locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
                if self._is_locked and not self._is_held_up:
                    return  # most likely another server writes
                self._log.say("no score is kept in %s (%s), but in memory until one can be", self._path, error)
                if isinstance(error, sqlite3.OperationalError):
                    return  # a full disk, say: the next room would fail, too
                self._waiting[room] = self._waiting.pop(room)  # its part of the file is damaged: the others come first
            except BaseException:
                del self._waiting[room]  # as above
                raise
            else:
                del self._waiting[room]
                self._locked_since_us = None

    def _stored(self, room: str) -> list[tuple[bytes | None, int | None]]:
        return self._connection.execute(_LOAD, (MAX_NAME_BYTES, room, MAX_TOP_SCORES)).fetchall()

    def _write(self, room: str, rows: ScoreRows) -> None:
        self._connection.execute("BEGIN IMMEDIATE")  # what is read may not change before it is written
        try:
            rows = merged(sound_rows(self._stored(room)), rows)
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
        self._saves += 1

    def _is_in_its_place(self) -> bool:
        """Whether the path still leads to the open file."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._held))
        except OSError:
            return False


def _hold(path: Path) -> int:
    """
    Lock the file (flock) against those who want it for themselves, as long as the returned descriptor is open.

    Raises:
        OSError: somebody has it for himself (BlockingIOError), or the file can't be written.

    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_writable(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.Error if nobody can write here; where others write all the time, somebody can."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise


def _open(path: Path) -> sqlite3.Connection:
    """
    Open or create the database and check that it is one of ours.

    Raises:
        sqlite3.Error: it is not, or can't be written.

    """
    connection = sqlite3.connect(path, timeout=OPEN_LIMIT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS top_scores"
            " (room TEXT, rank INTEGER, name TEXT, score INTEGER, PRIMARY KEY (room, rank)) WITHOUT ROWID"
        )
        connection.execute("SELECT room, rank, name, score FROM top_scores LIMIT 1").fetchall()
        _check_writable(connection)
    except sqlite3.Error:
        connection.close()
        raise
    with suppress(sqlite3.Error):  # where it can't be done now, a thread does it later
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # of the last server, if that was killed
    connection.execute("PRAGMA busy_timeout = 0")
    return connection
