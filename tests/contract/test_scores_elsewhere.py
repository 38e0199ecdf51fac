"""Top scores that Redis or memcached keep, whatever becomes of them and of the servers."""

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.server.score_stores import open_scores
from shared.server.score_url import parse_score_place
from tests.conftest import Serve
from tests.support.player import Player
from tests.support.server import RunningServer, wait_until
from tests.support.stores import RunningStore, run_store

pytestmark = pytest.mark.differs()

RATE_HZ = 200
FLAGS = ("--bots", "10", "--tick-rate", str(RATE_HZ), "--tick-budget", "0")
LOGIN = "sesame"
BEST = 10**6
BLOCKED_S = 0.5
"""A tick that waited for a store would wait for a second."""


@contextmanager
def kept_in(store: RunningStore) -> Iterator["Kept"]:
    kept = Kept(store)
    yield kept
    kept.close()


class Kept:
    """What a store has of the room ``main``."""

    def __init__(self, store: RunningStore) -> None:
        self._scores = open_scores(parse_score_place(store.url), 5)

    def best(self) -> dict[str, int]:
        self._scores.fetch("main")  # type: ignore[attr-defined] # it is of that kind
        return dict(self._scores.load("main"))

    def has(self, seen: dict[str, int]) -> bool:
        best = self.best()
        return all(best.get(name, 0) >= score for name, score in seen.items())

    def add(self, name: str, score: int) -> None:
        """Have it there as if it had been before."""
        self._scores.save("main", [(name, score)])
        assert self._scores.look(0)
        self._scores.write_back()

    def close(self) -> None:
        self._scores.close()


def shown(player: Player) -> dict[str, int]:
    return {name: score for name, score, _ in player.board.top_scores}


def until_another_score(watcher: Player) -> dict[str, int]:
    """Look on until the list of scores has changed; return it."""
    before = shown(watcher)
    watcher.until(lambda _: shown(watcher) != before)
    return shown(watcher)


@pytest.mark.parametrize("kind", ["redis", "memcached"])
def test_scores_that_are_kept_survive_a_kill(serve: Serve, tmp_path: Path, kind: str) -> None:
    with run_store(kind, tmp_path) as store, kept_in(store) as kept:
        with serve(*FLAGS, "--scores", store.url) as server:
            seen = until_another_score(server.enter("main"))
            wait_until(lambda: kept.has(seen))
            server.signal(signal.SIGKILL)
            server.wait()
        with serve(*FLAGS, "--scores", store.url) as server:
            again = shown(server.enter("main"))
            assert all(again[name] >= score for name, score in seen.items())
            assert shown(server.enter("elsewhere")) == {}, "each room has its own"


def test_two_servers_that_write_at_once_lose_nothing_of_each_other(serve: Serve, tmp_path: Path) -> None:
    with run_store("redis", tmp_path) as store, kept_in(store) as kept:
        flags = (*FLAGS, "--scores", store.url)
        with serve(*flags, "--seed", "1") as one, serve(*flags, "--seed", "2") as other:
            watchers = [server.enter("main") for server in (one, other)]
            seen = [until_another_score(watcher) for _ in range(3) for watcher in watchers]
        assert all(map(kept.has, seen)), "a stop writes what waits"


def test_a_store_that_is_not_there_costs_a_line_and_no_tick(serve: Serve, tmp_path: Path) -> None:
    with (
        run_store("redis", tmp_path, login=LOGIN, started=False) as store,
        serve(*FLAGS, "--scores", store.url, logs=True) as server,
    ):
        watcher = server.enter("main")
        seen = until_another_score(watcher)
        wait_until(lambda: server.log)
        store.start()
        with kept_in(store) as kept:
            kept.add("zoe", BEST)
            wait_until(lambda: kept.has(seen))
            watcher.until(lambda _: shown(watcher).get("zoe") == BEST)
            store.signal(signal.SIGSTOP)
            before = len(watcher.ticks)
            for _ in range(2):
                until_another_score(watcher)
            server.enter("other").next_tick()
            seen = until_another_score(watcher)
            store.kill()
            store.start()
            wait_until(lambda: kept.has(seen))
        numbers = [tick.n for tick in watcher.ticks[before:]]
        leaps = [after - before for before, after in itertools.pairwise(numbers)]
        assert max(leaps) < BLOCKED_S * RATE_HZ
        assert_one_line(server, store)


def assert_one_line(server: RunningServer, store: RunningStore) -> None:
    (line,) = server.log.splitlines()
    assert f"no score is kept in redis://127.0.0.1:{store.port}/0 (" in line
    assert LOGIN not in line
