"""A Redis of a process's own: it answers, is started again, ends, and leaves nothing."""

import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.system import redis_server
from shared.system.redis_server import RedisServer, remove_left_folders


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where its folders are made; pytest's own have names too long for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with closing(RedisServer()) as redis:
        yield redis


def ask(redis: RedisServer, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(redis.path))
        sock.sendall(command + b"\r\n")
        return sock.recv(1000)


def plant(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have another program than Redis be there."""
    program = folder / "redis-server"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_it_answers_ends_and_is_started_again_at_the_same_place(redis: RedisServer, folder: Path) -> None:
    redis.start()
    first, path = redis.pid, redis.path
    assert first
    assert os.getpgid(first) == os.getpgid(0)
    assert ask(redis, b"SET key value") == b"+OK\r\n"
    assert not redis.has_ended()
    os.kill(first, signal.SIGKILL)
    while not redis.has_ended():
        time.sleep(0.005)
    assert redis.status == -signal.SIGKILL
    redis.kill()
    assert redis.pid is None
    redis.start()
    assert redis.pid not in {None, first}
    assert redis.path == path
    assert ask(redis, b"GET key") == b"$-1\r\n"
    redis.close()
    assert (redis.pid, list(folder.iterdir())) == (None, [])
    assert not Path(f"/proc/{first}").exists()


def test_what_a_terminal_sends_to_all_does_not_end_it(redis: RedisServer) -> None:
    """Its parent sees its players off, and needs it for that."""
    redis.start()
    assert redis.pid
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(redis.pid, number)
    assert ask(redis, b"PING") == b"+PONG\r\n"
    assert not redis.has_ended()


def test_why_it_can_not_be_started_is_told(redis: RedisServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(folder, monkeypatch, "echo '7:M 30 Nov 2026 18:00:00.123 # Failed opening the door: it is locked'; exit 1")
    with pytest.raises(OSError, match=r"^it ended: Failed opening the door: it is locked$"):
        redis.start()
    assert redis.pid is None
    monkeypatch.setattr(redis_server, "find_program", lambda _: None)
    with pytest.raises(OSError, match="there is no redis-server"):
        redis.start()


def test_one_that_does_not_answer_is_given_up(
    redis: RedisServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(folder, monkeypatch, "exec sleep 60")
    monkeypatch.setattr(redis_server, "START_LIMIT_S", 0.2)
    with pytest.raises(OSError, match="does not answer"):
        redis.start()
    assert redis.pid is None


def test_what_one_that_was_killed_has_left_is_removed_and_nothing_else(redis: RedisServer, folder: Path) -> None:
    redis.start()
    left, unfinished = folder / f"{redis_server.PREFIX}left", folder / f"{redis_server.PREFIX}unfinished"
    for each in (left, unfinished):
        each.mkdir()
    (left / redis_server.SOCKET).touch()
    remove_left_folders()
    assert sorted(folder.iterdir()) == sorted([unfinished, redis.path.parent])
    assert ask(redis, b"PING") == b"+PONG\r\n"
