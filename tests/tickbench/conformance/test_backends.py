"""Nobody is blamed for what is allowed: our servers, one without /stats, a full one. And servers that are none."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.server import run_server
from tickbench.conformance.run import examine
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import Conformance
from tickbench.target import target_of

HASTY = ("--new-player-limit", "1.5", "--handshake-limit", "1")
FAST = ("--tick-rate", "200")
FLAGS = [
    (*FAST, "--speed", "40"),
    ("--bots", "10"),
    (*FAST, "--bots", "1", "--max-players", "1"),
    (*FAST, "--fanout", "naive", "--pad", "1000"),
]
ALLOWED_NOTES = {"unmasked", "many-fragments", "tick-numbers", "pong", "maximum-players"}
"""What aiohttp's reader takes, and what a busy machine does."""


def look_at(url: str, *names: str, patience_s: float = 3.0) -> Conformance:
    checks = [check for check in CHECKS if not names or check.name in names]
    return examine(ServerUnderTest(target_of(url), patience_s=patience_s), checks, lambda _: None)


def outcome(found: Conformance, level: str) -> dict[str, str | None]:
    return {result.name: result.seen for result in found.checks if result.level == level}


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
@pytest.mark.parametrize("flags", FLAGS)
def test_our_servers_conform(backend: str, flags: tuple[str, ...]) -> None:
    with run_server(backend, *HASTY, "--tick-budget", "0", *flags) as server:
        found = look_at(server.url)
    assert outcome(found, "fault") == {}
    assert set(outcome(found, "note")) <= ALLOWED_NOTES
    assert found.is_conforming
    assert (found.is_fit, found.unfit_because) == (True, None)
    assert found.tick_rate_hz == (200 if FAST[0] in flags else 20)
    not_tried = set(outcome(found, "not tried"))
    assert "busy" in not_tried
    assert "--bots" in flags or not_tried == {"busy"}


def test_without_stats_the_rate_is_estimated() -> None:
    with run_server("asyncio", *HASTY, "--tick-budget", "0", plant="no stats") as server:
        found = look_at(server.url, "stats", "due-grid", "tick-numbers", "n-goes-on", "sent-us")
    assert outcome(found, "fault") == {}
    assert "there is no /stats" in str(outcome(found, "not tried")["stats"])
    assert "estimated, 20.000 Hz" in str(outcome(found, "note")["due-grid"])
    assert found.tick_rate_hz == pytest.approx(20)


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_a_full_server_is_told_from_a_wrong_one(backend: str) -> None:
    with run_server(backend, *HASTY, "--max-connections", "1") as server:
        server.enter("main")
        found = look_at(server.url)
    assert outcome(found, "fault") == {}
    assert "the server is full" in str(outcome(found, "not tried")["welcome-frame"])
    assert {"unknown-path", "foreign-origin", "busy", "alive"} <= set(outcome(found, "ok"))
    assert found.says_little
    assert not found.is_conforming
    assert found.is_fit is False


@contextmanager
def listener(answer: bytes | None) -> Iterator[str]:
    """Listen, and answer everybody with the same bytes, or never."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while answer is not None:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_who_never_answers_is_given_up() -> None:
    with listener(None) as url:
        found = look_at(url, patience_s=0.2)
    assert "does not answer" in str(outcome(found, "fault")["alive"])
    assert found.count("fault") < 5
    assert set(outcome(found, "not tried").values()) == {"it does not answer any more"}
    assert not found.is_conforming


@pytest.mark.parametrize("answer", [b"220 mail.example.org ready\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_another_kind_of_server_is_no_end(answer: bytes) -> None:
    with listener(answer) as url:
        found = look_at(url)
    assert "upgrade" in outcome(found, "fault")
    assert outcome(found, "not tried")["turn"] == "no upgrade succeeds; see upgrade"
    assert "alive" in outcome(found, "ok")
