import os
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.rooms.scores import FileScores, MemoryScores, ScoreStore, open_scores

ROWS = [("ann", 9), ("bob", 9), ("Änn \U0001f40d", 3)]


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ScoreStore:
    return open_scores(tmp_path / "scores.db" if request.param == "file" else None, max_rooms=3)


def test_what_is_saved_is_loaded_by_room(store: ScoreStore) -> None:
    store.save("main", ROWS)
    store.save("den", [("eve", 1)])
    assert (store.load("main"), store.load("den"), store.load("other")) == (ROWS, [("eve", 1)], [])
    store.close()


def test_a_save_replaces_the_last_one(store: ScoreStore) -> None:
    store.save("main", ROWS)
    store.save("main", [("eve", 12)])
    assert store.load("main") == [("eve", 12)]
    store.save("main", [])
    assert store.load("main") == []
    store.close()


def test_nobody_shares_the_rows(store: ScoreStore) -> None:
    rows = list(ROWS)
    store.save("main", rows)
    rows.clear()
    store.load("main").clear()
    assert store.load("main") == ROWS
    store.close()


def test_memory_keeps_the_rooms_that_scored_last() -> None:
    scores = MemoryScores(max_rooms=2)
    scores.save("a", ROWS)
    scores.save("b", ROWS)
    scores.save("a", ROWS)
    scores.save("c", ROWS)
    assert [bool(scores.load(room)) for room in "abc"] == [True, False, True]
    for number in range(1000):
        scores.save(f"room {number}", ROWS)
    assert len(scores._rooms) == 2


def test_a_file_outlives_the_store(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    first = FileScores(path)
    first.save("main", ROWS)
    first.close()
    second = FileScores(path)
    assert second.load("main") == ROWS
    second.close()


def test_a_file_that_another_server_holds_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    first = FileScores(path)
    with pytest.raises(ValueError, match="database is locked"):
        FileScores(path)
    first.save("main", ROWS)
    assert first.load("main") == ROWS
    first.close()


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    code = (
        "import os, signal, sys; from pathlib import Path; from shared.rooms.scores import FileScores\n"
        "FileScores(Path(sys.argv[1])).save('main', [('ann', 9)]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(path)]
    killed = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert killed.returncode == -9, killed.stderr
    scores = FileScores(path)
    assert scores.load("main") == [("ann", 9)]
    scores.close()


def test_it_is_wal_with_one_commit_and_no_checkpoint_while_serving(tmp_path: Path) -> None:
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


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    scores = FileScores(tmp_path / "scores.db")
    scores.save("main", ROWS)
    with pytest.raises(sqlite3.Error, match=r"(?i)binding"):
        scores.save("main", [("ann", object())])  # type: ignore[list-item] # that is the fault
    assert scores.load("main") == ROWS
    scores.save("main", [("eve", 1)])
    assert scores.load("main") == [("eve", 1)]
    scores.close()


def test_a_full_disk_ends_no_game_and_loses_no_score(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "scores.db"
    store = FileScores(file)
    store.save("first", [("a", 1)])
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [(f"player {number}" * 30, number) for number in range(15)]
    for room in ("second", "third", "second"):
        store.save(room, many)
    assert len(caplog.records) == 1, "it is said once"
    assert "no score is kept in" in caplog.text
    assert "full" in caplog.text
    assert [store.load(room) for room in ("first", "second", "third")] == [[("a", 1)], many, many]
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.save("first", [("b", 2)])
    store.close()
    again = FileScores(file)
    assert [again.load(room) for room in ("first", "second", "third")] == [[("b", 2)], many, many]
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
