import fcntl
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.rooms.scores import MemoryScores, ScoreStore
from shared.server import score_file
from shared.server.score_file import LOOK_US, MAX_LOG_BYTES, SAVES_A_CHECKPOINT, FileScores
from shared.server.score_stores import open_scores
from shared.system.logs import SparingLog
from tests.support.score_updates import check_updates

ROWS = [("ann", 9), ("bob", 9), ("Änn \U0001f40d", 3)]


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ScoreStore:
    return open_scores(tmp_path / "scores.db" if request.param == "file" else None, max_rooms=3)


def test_what_is_saved_is_loaded_by_room(store: ScoreStore) -> None:
    store.save("main", ROWS)
    store.save("den", [("eve", 1)])
    assert (store.load("main"), store.load("den"), store.load("other")) == (ROWS, [("eve", 1)], [])
    store.close()


def test_a_save_goes_on_from_the_last_one(store: ScoreStore) -> None:
    store.save("main", ROWS)
    rows = [("eve", 12), ("Änn \U0001f40d", 10), *ROWS[:2]]
    store.save("main", rows)
    assert store.load("main") == rows
    store.close()


def test_nobody_shares_the_rows(store: ScoreStore) -> None:
    rows = list(ROWS)
    store.save("main", rows)
    rows.clear()
    store.load("main").clear()
    assert store.load("main") == ROWS
    store.close()


def test_a_file_outlives_the_store(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    first = FileScores(path)
    first.save("main", ROWS)
    first.close()
    second = FileScores(path)
    assert second.load("main") == ROWS
    second.close()


def test_servers_share_a_file_and_add_to_what_the_others_wrote(tmp_path: Path) -> None:
    first, second = FileScores(tmp_path / "scores.db"), FileScores(tmp_path / "scores.db")
    first.save("main", ROWS)
    second.save("main", [("eve", 12), ("bob", 3)])
    first.save("main", [("ann", 10)])
    assert first.load("main") == second.load("main") == [("eve", 12), ("ann", 10), ROWS[1], ROWS[2]]
    first.close()
    second.save("main", [("zoe", 13)])
    assert second.load("main")[0] == ("zoe", 13)
    second.close()


def test_a_server_may_begin_while_another_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_file, "OPEN_LIMIT_S", 0)
    first = FileScores(tmp_path / "scores.db")
    first._connection.execute("BEGIN IMMEDIATE")
    second = FileScores(tmp_path / "scores.db")
    second.save("main", ROWS)
    first._connection.execute("COMMIT")
    second.close()
    assert first.load("main") == ROWS
    first.close()


def test_none_of_ten_thousand_updates_is_lost_though_a_writer_is_killed(tmp_path: Path) -> None:
    check_updates(str(tmp_path / "scores.db"))


def test_a_file_that_another_program_has_for_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another program has it for itself"):
            FileScores(path)


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    code = (
        "import os, signal, sys; from pathlib import Path; from shared.server.score_file import FileScores\n"
        "FileScores(Path(sys.argv[1])).save('main', [('ann', 9)]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(path)]
    killed = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert killed.returncode == -9, killed.stderr
    scores = FileScores(path)
    assert scores.load("main") == [("ann", 9)]
    scores.close()


def test_it_is_wal_with_one_commit_and_no_checkpoint_in_a_save(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    scores = FileScores(path)
    connection = scores._connection
    pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous")]
    assert pragmas == [("wal",), (1,)]
    before = path.read_bytes()
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    for _ in range(1200):  # far more pages than the 1,000 after which SQLite would make a checkpoint
        scores.save("main", ROWS)
    assert statements.count("COMMIT") == 1200
    assert path.read_bytes() == before
    scores.close()
    assert path.read_bytes() != before


def test_the_write_ahead_log_stays_bounded_while_a_thread_copies_it(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    scores = FileScores(path)
    sizes, checkpoints = [], 0
    for number in range(12 * SAVES_A_CHECKPOINT):
        scores.save(f"room {number % 300}", ROWS)
        sizes.append((tmp_path / "scores.db-wal").stat().st_size)
        if scores.look(number * LOOK_US):
            thread = threading.Thread(target=scores.write_back)
            thread.start()
            checkpoints += 1
            scores.save("meanwhile", [("ann", checkpoints)])
            thread.join()
    assert checkpoints >= 10
    assert max(sizes) < 4 * 2**20
    assert max(sizes) == sizes[-1], "it is written from its beginning again"
    assert scores.load("meanwhile") == [("ann", checkpoints)]
    killed = tmp_path / "killed.db"  # what is on the disk now is what a kill -9 would leave
    shutil.copy(path, killed)
    shutil.copy(tmp_path / "scores.db-wal", tmp_path / "killed.db-wal")
    scores.close()
    again = FileScores(killed)
    assert again.load("meanwhile") == [("ann", checkpoints)]
    assert all(again.load(f"room {number}") == ROWS for number in range(300))
    again.close()


def test_one_thread_at_a_time_copies_and_what_waits_is_written_meanwhile(tmp_path: Path) -> None:
    scores = FileScores(tmp_path / "scores.db")
    fill(scores)
    for _ in range(SAVES_A_CHECKPOINT):
        scores._write("filler", [])
    scores.save("main", [(f"player {number}", 20 - number) for number in range(15)])
    assert scores.look(0)
    assert scores.look(LOOK_US), "no thread could be started, and it is asked for again"
    scores._is_copying = True
    scores._connection.execute("PRAGMA max_page_count = 100000")
    assert not scores.look(2 * LOOK_US)
    assert not scores._waiting
    scores.write_back()
    assert not scores._copied, "the other thread does it"
    scores._is_copying = False
    scores.write_back()
    assert scores._copied == scores._saves
    scores.close()


def test_a_checkpoint_that_fails_is_said_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scores = FileScores(tmp_path / "scores.db")
    for _ in range(SAVES_A_CHECKPOINT):
        scores.save("main", ROWS)
    place, scores._place = scores._place, "file:/nowhere/scores.db?mode=rw"
    assert scores.look(0)
    scores.write_back()
    assert not caplog.records, "a thread logs nothing"
    assert scores.look(LOOK_US)
    assert "the write-ahead log of" in caplog.text
    scores._place = place
    scores.write_back()
    assert not scores.look(2 * LOOK_US)
    scores.close()


def test_who_reads_for_long_lets_the_log_grow_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scores, log = FileScores(tmp_path / "scores.db"), tmp_path / "scores.db-wal"
    with closing(sqlite3.connect(tmp_path / "scores.db", isolation_level=None)) as reader:
        scores.save("main", ROWS)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM top_scores").fetchall()
        for number in range(3 * SAVES_A_CHECKPOINT):
            scores.save(f"room {number}", ROWS)
        assert scores.look(0)
        scores.write_back()
        assert scores.look(LOOK_US), "tried again"
        assert "grows: it can't be copied (another program is reading it)" in caplog.text
        reader.execute("COMMIT")
    assert log.stat().st_size > MAX_LOG_BYTES
    scores.write_back()
    assert not scores.look(2 * LOOK_US)
    scores.save("main", ROWS)
    assert log.stat().st_size <= MAX_LOG_BYTES
    scores.close()


def test_what_a_killed_server_left_in_the_log_is_copied_at_the_next_start(tmp_path: Path) -> None:
    scores = FileScores(tmp_path / "scores.db")
    for number in range(100):
        scores.save(f"room {number}", ROWS)
    for name in ("scores.db", "scores.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / name.replace("scores", "killed"))
    scores.close()
    again = FileScores(tmp_path / "killed.db")
    assert (tmp_path / "killed.db-wal").stat().st_size == 0
    assert again.load("room 99") == ROWS
    again.close()


def test_a_file_that_is_taken_away_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "scores.db"
    scores = FileScores(path)
    scores.save("main", ROWS)
    assert not scores.look(0)
    assert not caplog.records
    path.unlink()
    size = path.with_name("scores.db-wal").stat().st_size
    for second in range(1, 5):
        assert not scores.look(second * LOOK_US)
        scores.save("main", ROWS)
    assert path.with_name("scores.db-wal").stat().st_size == size, "nothing is written where nobody sees it"
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} was taken away: scores go nowhere until the server is started anew"
    ]
    assert scores.load("main") == ROWS
    scores.close()
    assert not path.exists(), "nobody has made another one"


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    scores = FileScores(tmp_path / "scores.db")
    scores.save("main", ROWS)
    with pytest.raises(sqlite3.Error, match=r"(?i)binding"):
        scores.save("main", [(object(), 12)])  # type: ignore[list-item] # that is the fault
    assert scores.load("main") == ROWS
    scores.save("main", [("eve", 1)])
    assert scores.load("main") == [*ROWS, ("eve", 1)]
    scores.close()


def test_a_full_disk_ends_no_game_and_loses_no_score(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "scores.db"
    store = FileScores(file)
    store.save("first", [("a", 1)])
    fill(store)
    caplog.clear()
    many = [(f"player {number}", 20 - number) for number in range(15)]
    for room in ("second", "third", "second"):
        store.save(room, many)
    assert len(caplog.records) == 1, "it is said once a minute"
    assert "no score is kept in" in caplog.text
    assert "full" in caplog.text
    assert [store.load(room) for room in ("first", "second", "third")] == [[("a", 1)], many, many]
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.save("first", [("b", 2)])
    store.close()
    again = FileScores(file)
    assert [again.load(room) for room in ("first", "second", "third")] == [[("b", 2), ("a", 1)], many, many]
    again.close()


def fill(store: FileScores) -> None:
    """Have the disk take no page more."""
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    while not store._waiting:  # what is left of the last page
        store.save(f"filler {pages:06}", [("x", 1)])
        pages += 1
    store._waiting.clear()
    store._log = SparingLog(store._log._logger)


def test_what_waits_is_written_though_nobody_scores_any_more(tmp_path: Path) -> None:
    store = FileScores(tmp_path / "scores.db")
    fill(store)
    store.save("main", ROWS)
    assert not store.look(0)
    assert store._waiting
    store._connection.execute("PRAGMA max_page_count = 100000")
    assert not store.look(LOOK_US - 1)
    assert store._waiting, "it is looked at once a second"
    assert not store.look(LOOK_US)
    assert not store._waiting
    assert store.load("main") == ROWS
    store.close()


def test_who_locks_the_file_makes_scores_wait_and_nobody_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FileScores(tmp_path / "scores.db")
    with closing(sqlite3.connect(tmp_path / "scores.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.save("main", ROWS)
        for tenth in range(5):
            store.look(tenth * LOOK_US // 10)
        assert not caplog.records, "another server may be writing"
        store.look(LOOK_US)
        assert "locked" in caplog.text
        assert store.load("main") == ROWS
        other.execute("ROLLBACK")
        store.look(LOOK_US + 1)
        assert other.execute("SELECT count(*) FROM top_scores").fetchone() == (len(ROWS),)
    store.close()


BAD_ROWS = {
    "no name": (None, 5),
    "no score": ("eve", None),
    "a text for a score": ("eve", "many"),
    "a blob for a score": ("eve", b"\x00\x05"),
    "a blob for a name": (b"eve", 5),
    "bytes that are no text": (b"\xff\x41", 5),
    "a score below one": ("eve", -3),
    "a fraction": ("eve", 2.5),
    "a score beyond all integers": ("eve", float(2**70)),
    "a score that JSON can't carry": ("eve", 2**63 - 1),
    "a name of a megabyte": ("x" * 2**20, 5),
    "a name that nobody sees": ("\x00\x01\u202e", 5),
    "a name twice": ("ann", 4),
}


@pytest.mark.parametrize("why", BAD_ROWS)
def test_a_damaged_row_is_left_out_and_the_others_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    path = tmp_path / "scores.db"
    store = FileScores(path)
    store.save("main", [("ann", 9), ("bob", 7)])
    store.save("den", [("eve", 1)])
    store.close()
    name, score = BAD_ROWS[why]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO top_scores VALUES ('main', 7, ?, ?)", (name, score))
        connection.execute("UPDATE top_scores SET name = CAST(name AS TEXT) WHERE name = x'ff41'")
    store = FileScores(path)
    assert store.load("main") == [("ann", 9), ("bob", 7)]
    assert [record.getMessage() for record in caplog.records] == [
        f"room main begins without 1 of its scores in {path}, which are damaged"
    ]
    assert store.load("den") == [("eve", 1)]
    store.load("main")
    assert len(caplog.records) == 1, "it is said once a minute, however often the room is opened"
    (left,) = store._connection.execute("SELECT count(*) FROM top_scores WHERE room = 'main'").fetchone()
    assert left == 3, "it stays in the file"
    store.save("main", [("ann", 10), ("bob", 7)])
    (left,) = store._connection.execute("SELECT count(*) FROM top_scores WHERE room = 'main'").fetchone()
    assert left == 2, "until the next save"
    store.close()


def test_scores_in_another_order_are_put_right(tmp_path: Path) -> None:
    store = FileScores(tmp_path / "scores.db")
    store.save("main", [("bob", 7), ("ann", 9), ("eve", 7)])
    assert store.load("main") == [("ann", 9), ("bob", 7), ("eve", 7)]
    store._connection.execute("UPDATE top_scores SET name = char(27) || 'b' || char(10) || 'ob' WHERE name = 'bob'")
    assert store.load("main") == [("ann", 9), ("bob", 7), ("eve", 7)], "a name is cleaned, as a newcomer's is"
    store.close()


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A file with a page that is none, of some rooms, and others that are whole; not its first room and its last."""
    path = tmp_path / "scores.db"
    store = FileScores(path)
    for number in range(200):
        store.save(f"room {number:03}", ROWS)
    store.close()
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    assert pages > 4
    starts = [page * 4096 for page in range(1, pages) if data[page * 4096] == 0x0A]  # a leaf (sqlite.org/fileformat2)
    at = next(start for start in starts if b"room 100" in data[start : start + 4096])
    data[at : at + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    return path


def test_a_torn_file_ends_no_game_and_keeps_the_scores_of_other_rooms(
    torn: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileScores(torn)
    assert store.load("room 000") == ROWS
    assert store.load("room 100") == []
    (line,) = [record.getMessage() for record in caplog.records]
    assert (
        line
        == f"room room 100 begins without scores: they can't be read from {torn} (database disk image is malformed)"
    )
    store.save("room 100", [("ann", 10)])
    assert store.load("room 100") == [("ann", 10)], "in memory"
    assert "no score is kept in" in caplog.text
    for number in range(3):
        store.save("room 000", [("bob", number + 10)])
        store.look(number * LOOK_US)
    assert list(store._waiting) == ["room 100"], "it keeps nobody else waiting"
    assert len(caplog.records) == 2
    store.close()
    again = FileScores(torn)
    assert again.load("room 000") == [("bob", 12), ROWS[0], ROWS[2]]
    again.close()


def test_the_last_try_is_for_all_that_waits_though_one_room_is_damaged(torn: Path) -> None:
    store = FileScores(torn)
    with closing(sqlite3.connect(torn, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.save("room 100", [("ann", 10)])
        store.save("room 000", [("bob", 10)])
        other.execute("ROLLBACK")
    assert list(store._waiting) == ["room 100", "room 000"]
    store.close()
    again = FileScores(torn)
    assert again.load("room 000") == [("bob", 10), ROWS[0], ROWS[2]]
    again.close()


def test_a_disk_that_fails_ends_no_game(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing may be written any more (EFBIG): SQLite calls it an I/O error."""
    store = FileScores(tmp_path / "scores.db")
    store.save("main", ROWS)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        store.save("main", [("ann", 10)])
        store.save("den", ROWS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(caplog.records) == 1
    changed = [("ann", 10), *ROWS[1:]]
    assert store.load("main") == changed
    store.close()
    again = FileScores(tmp_path / "scores.db")
    assert (again.load("main"), again.load("den")) == (changed, ROWS)
    again.close()


def test_what_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n" * 1000)
    with pytest.raises(ValueError, match=r"notes\.txt can't be used for scores: "):
        FileScores(path)
    assert path.read_text() == "my notes\n" * 1000


def test_a_file_that_is_refused_is_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []

    class RecordingConnection(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            opened.append(self)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=RecordingConnection))
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n" * 1000)
    with pytest.raises(ValueError, match="can't be used for scores"):
        FileScores(path)
    (connection,) = opened
    try:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    finally:
        connection.close()


def test_another_program_s_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE top_scores (player TEXT)")
    connection.close()
    with pytest.raises(ValueError, match="can't be used for scores"):
        FileScores(path)


@pytest.mark.parametrize("name", ["", "missing/scores.db"])
def test_a_place_that_can_t_be_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="can't be used for scores"):
        FileScores(tmp_path / name)


def test_a_path_says_that_a_file_keeps_them(tmp_path: Path) -> None:
    assert isinstance(open_scores(None, 5), MemoryScores)
    scores = open_scores(tmp_path / "scores.db", 5)
    assert isinstance(scores, FileScores)
    scores.close()
