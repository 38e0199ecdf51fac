"""What a connection writes goes to the kernel at once; what that does not take is kept for later."""

import os
from types import SimpleNamespace
from typing import Any

import pytest

from shared.server.pipe import STEP_S, Pipe
from shared.wire.session import Outgoing


class Connection(SimpleNamespace):
    """As much of one as a pipe asks for; unlike its base it can be held weakly."""


class Tank(Pipe):
    """Keeps what a kernel does not take, and never sends it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, SimpleNamespace(fileno=lambda: 7, setsockopt=lambda *_: None))
        self.kept: list[bytes] = []

    def unsent_bytes(self) -> int:
        return sum(map(len, self.kept))

    def keep(self, rest: bytes) -> None:
        self.kept.append(rest)

    def end_with(self, last: list[Outgoing]) -> None:
        self.kept += [outgoing.payload for outgoing in last]

    def close(self) -> None:
        self.kept.clear()


@pytest.fixture
def connection() -> Connection:
    did: list[Any] = []
    connection = Connection(ws=None, did=did, is_drained=False, abort=lambda: did.append("abort"), offer=did.append)
    connection.pipe = Tank(connection)
    return connection


@pytest.mark.parametrize(("takes", "kept"), [(5, []), (2, [b"ame"[:3]]), (BlockingIOError(), [b"frame"])])
def test_the_rest_of_a_frame_is_kept(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, takes: int | OSError, kept: list[bytes]
) -> None:
    def write(fd: int, data: bytes) -> int:
        assert (fd, data) == (7, b"frame")
        if isinstance(takes, OSError):
            raise takes
        return takes

    monkeypatch.setattr(os, "write", write)
    connection.pipe.write(b"frame")
    assert connection.pipe.kept == kept
    assert connection.did == []


def test_whose_peer_is_gone_is_aborted(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> int:
        raise ConnectionResetError

    monkeypatch.setattr(os, "write", write)
    connection.pipe.write(b"frame")
    assert connection.did == ["abort"]


def test_it_is_waited_for_until_all_is_taken_or_it_takes_too_long(connection: Connection) -> None:
    assert list(connection.pipe.finishing(3 * STEP_S)) == [STEP_S] * 3
    assert connection.did == ["abort", -1]
    connection.is_drained = True
    assert list(connection.pipe.finishing(3 * STEP_S)) == []
    assert connection.did == ["abort", -1, -1]


def test_who_is_done_within_the_last_pause_is_not_aborted(connection: Connection) -> None:
    for _ in connection.pipe.finishing(STEP_S):
        connection.is_drained = True
    assert connection.did == [-1]
