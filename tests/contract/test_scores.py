"""Top scores that outlive the server, however it ends."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.support.player import Player
from tests.support.server import RunningServer

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
