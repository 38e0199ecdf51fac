"""Channels' layers on Redis: the game is the same, and whatever is killed, everybody is told and nothing stays."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
import pytest

from tests.support.server import RunningServer, run_server, wait_until

ON_REDIS = ("redis", "redis-pubsub")
ROOT = Path(__file__).resolve().parents[2]


def flags(layer: str, framework: str = "channels") -> tuple[str, ...]:
    return ("--framework", framework, "--fanout", "naive", "--layer", layer, "--tick-budget", "0")


@pytest.fixture(params=ON_REDIS)
def layer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server(layer: str) -> Iterator[RunningServer]:
    with run_server("asyncio", *flags(layer)) as server:
        yield server


def redis_of(server: RunningServer) -> psutil.Process:
    (redis,) = server.children()
    assert redis.name().startswith("redis-server")
    return redis


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended, though perhaps nobody has waited for it yet."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


@cache
def told(*more: str) -> list[str]:
    """Return what a spectator is told of a game of bots."""
    game = ("--bots", "10", "--seed", "7", "--tick-rate", "100", "--speed", "100")
    with run_server("asyncio", *game, *more) as server:
        spectator = server.enter("main")
        return [spectator.next_tick().text.partition("]")[2] for _ in range(60)]


@pytest.mark.parametrize(
    ("framework", "layer"), [("channels", "redis"), ("channels", "redis-pubsub"), ("daphne", "redis")]
)
def test_a_game_of_bots_is_the_same_as_by_any_other_way(framework: str, layer: str) -> None:
    expected = told("--tick-budget", "0")
    assert sum(map(len, expected)) > 3_000
    assert told(*flags(layer, framework)) == expected


def test_its_redis_is_counted_with_it_and_ends_with_it(server: RunningServer, layer: str) -> None:
    redis, player = redis_of(server), server.enter("main")
    player.next_tick()
    stats = server.stats()
    assert stats["arm"] == f"asyncio:framework=channels,fanout=naive,layer={layer}"
    assert stats["process"]["children"] == [redis.pid]
    assert stats["process"]["rss_bytes"] > psutil.Process(server.process.pid).memory_info().rss
    folder = Path(redis.cwd())
    assert folder.is_dir()
    server.signal(signal.SIGTERM)
    assert player.expect_close() == 1001
    assert server.wait() == 0
    assert is_gone(redis)
    assert not folder.exists()


def test_a_server_that_is_killed_leaves_no_redis(server: RunningServer) -> None:
    redis, player = redis_of(server), server.enter("main")
    player.next_tick()
    server.signal(signal.SIGKILL)
    server.wait()
    wait_until(lambda: is_gone(redis))


def test_where_its_redis_is_killed_all_in_rooms_are_told_and_new_ones_go_on(layer: str) -> None:
    with run_server("asyncio", *flags(layer), logs=True) as server:
        redis, players = redis_of(server), [server.enter(room) for room in ("one", "one", "two")]
        waiting = server.connect("three")  # in no room: nobody has heard a name
        for player in players:
            player.next_tick()
        redis.kill()
        assert [player.expect_close() for player in players] == [1011] * 3
        again = server.enter("one")
        waiting.enter("late")
        for player in (again, waiting):
            n = player.next_tick().n
            assert player.next_tick().n > n
        assert server.stats()["crashed_rooms"] == 2
        assert redis_of(server).pid != redis.pid
        assert "channels_redis" not in server.log
        said = [line for line in server.log.splitlines() if "redis-server" in line]
        assert len(said) == 1, server.log
        assert f"redis-server {redis.pid} was ended by signal 9: all rooms end" in said[0]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (None, "needs redis-server, which is not installed; apt-get install redis-server would add it"),
        ("#!/bin/sh\necho no room for it; exit 1\n", "needs a redis-server: it ended: no room for it"),
    ],
    ids=["missing", "failing"],
)
def test_without_a_redis_it_is_one_line_and_status_2(tmp_path: Path, program: str | None, words: str) -> None:
    if program:
        (tmp_path / "redis-server").write_text(program)
        (tmp_path / "redis-server").chmod(0o700)
    command = [sys.executable, "-m", "backends.asyncio_server", "--port", "0", *flags("redis")]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: --layer redis {words}\n"
