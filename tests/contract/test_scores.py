"""Top scores that outlive the server, however it ends."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Serve
from tests.support.player import Player
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs("process")


def watch_until_a_score(server: RunningServer) -> Player:
    """Look on until a game over was shown that left a score."""
    watcher = server.enter("main")
    watcher.until(lambda tick: tick.named("p_gameover") and watcher.board.top_scores)
    return watcher


def best(rows: list[list[Any]]) -> dict[str, int]:
    return {name: score for name, score, _ in rows}


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    return ["--scores", str(tmp_path / "scores.db"), "--bots", "10", "--tick-rate", "200", "--tick-budget", "0"]


def test_scores_survive_a_kill(serve: Serve, flags: list[str]) -> None:
    with serve(*flags) as server:
        watcher = watch_until_a_score(server)
        server.signal(signal.SIGKILL)
        server.wait()
        seen = best(watcher.board.top_scores)
    with serve(*flags) as server:
        kept = best(server.enter("main").board.top_scores)
    # It may have saved one more that was not shown yet.
    assert all(kept[name] >= score for name, score in seen.items())
    assert all(score > 0 for score in kept.values())


def test_scores_survive_a_stop(serve: Serve, flags: list[str]) -> None:
    with serve(*flags) as server:
        seen = best(watch_until_a_score(server).board.top_scores)
    with serve(*flags) as server:
        rows = server.enter("main").board.top_scores
        elsewhere = server.enter("elsewhere").board.top_scores
    assert all(best(rows)[name] >= score for name, score in seen.items())
    assert [score for _, score, _ in rows] == sorted((score for _, score, _ in rows), reverse=True)
    assert [color for *_, color in rows] == [1 + rank % 6 for rank in range(len(rows))]
    assert elsewhere == [], "each room has its own"


def test_scores_in_memory_outlive_their_room(serve: Serve) -> None:
    with serve("--bots", "10", "--tick-rate", "200", "--tick-budget", "0", "--room-linger", "0.1") as server:
        watcher = watch_until_a_score(server)
        seen = best(watcher.board.top_scores)
        server.settle()
        again = server.enter("main")
        assert all(best(again.board.top_scores)[name] >= score for name, score in seen.items())


def test_a_disk_that_takes_nothing_ends_no_game_and_is_said_in_one_line(
    serve: Serve, flags: list[str], tmp_path: Path
) -> None:
    wal = tmp_path / "scores.db-wal"
    with serve(*flags, logs=True) as server:
        process = psutil.Process(server.process.pid)
        process.rlimit(psutil.RLIMIT_FSIZE, (4096, psutil.RLIM_INFINITY))  # room for a log line, none for a page
        watcher = watch_until_a_score(server)
        wait_until(lambda: "no score is kept in" in server.log)
        watcher.until(lambda tick: tick.named("p_gameover"))
        assert server.request("/scores").status == 200
        assert len(server.log.splitlines()) == 1, server.log
        process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        before = wal.stat().st_size
        wait_until(lambda: wal.stat().st_size > before)
        seen = best(watcher.board.top_scores)
    with serve(*flags) as server:
        kept = best(server.enter("main").board.top_scores)
    assert all(kept[name] >= score for name, score in seen.items())


def test_damaged_rows_of_one_room_harm_no_room(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    with serve(*flags):
        pass
    damaged = [("main", 0, "ann", 90), ("main", 1, None, 7), ("main", 2, "eve", "many"), ("main", 3, b"bob", 2.0**70)]
    with closing(sqlite3.connect(tmp_path / "scores.db")) as connection, connection:
        connection.executemany("INSERT INTO top_scores VALUES (?, ?, ?, ?)", [*damaged, ("main", 4, "x" * 2**20, 5)])
    with serve(*flags, logs=True) as server:
        before = {child.pid for child in server.children()}
        watcher, other = server.enter("main"), server.enter("other")
        assert best(watcher.board.top_scores) == {"ann": 90}
        for player in (watcher, other):
            player.until(lambda tick: tick.named("p_gameover"))
        assert {child.pid for child in server.children()} == before
        assert server.log.count("\n") == 1, server.log
        assert "room main begins without 4 of its scores" in server.log


@pytest.mark.modes("managed")
def test_the_write_ahead_log_is_copied_while_it_serves(serve: Serve, flags: list[str], tmp_path: Path) -> None:
    with serve(*flags, faulty=True) as server:  # which is to copy it after each save
        before = (tmp_path / "scores.db").read_bytes()
        watch_until_a_score(server)
        wait_until(lambda: (tmp_path / "scores.db").read_bytes() != before)
