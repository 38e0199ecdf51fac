"""However a server answers GET /stats, the answer takes bounded time and room, and what is wrong with it is named."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from loadtests.surroundings import reachability as probe
from loadtests.surroundings import server_stats as stats
from loadtests.surroundings.reachability import NoServerError, check_server
from loadtests.surroundings.server_stats import NotOursError, fetch_stats
from shared.wire.target import parse_target
from tests.loadtests.surroundings.test_server_stats import stats as page_of

TIMEOUT_S = 0.5
PATIENCE_S = 10.0
"""Far more than the time-out: what would take for ever takes longer than that."""
OK = b"HTTP/1.1 200 OK\r\n"
BODY = json.dumps(page_of()).encode()

Answer = Callable[[socket.socket], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Answer one connection, until its peer has had enough."""

    def serve() -> None:
        with listener.accept()[0] as connection, suppress(OSError):
            connection.settimeout(PATIENCE_S)
            connection.recv(65536)
            answer(connection)
            connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the asker has not hung up"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr(probe, "TIMEOUT_S", TIMEOUT_S)


def drip(text: bytes) -> Answer:
    """Send byte after byte, each long before a time-out of its own."""

    def answer(connection: socket.socket) -> None:
        for i in range(len(text)):
            connection.sendall(text[i : i + 1])
            time.sleep(TIMEOUT_S / 5)

    return answer


def say(*texts: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        for text in texts:
            connection.sendall(text)

    return answer


def go_on(beginning: bytes, more: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while True:
            connection.sendall(more)

    return answer


def fetch(url: str) -> object:
    target = parse_target(url)
    return fetch_stats(target, (socket.AF_INET, (target.host, target.port)))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(drip(OK + b"\r\n" + BODY), id="a byte at a time"),
        pytest.param(drip(b"HTTP/1.1 200 OK" + 500 * b" "), id="a head a byte at a time"),
        pytest.param(say(OK + b"Content-Length: 9\r\n\r\n"), id="a body that does not come"),
        pytest.param(say(), id="nothing"),
        pytest.param(say(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[1,2,\r\n"), id="no last chunk"),
    ],
)
def test_an_answer_that_does_not_come_to_an_end_is_given_up_in_time(answer: Answer) -> None:
    with answering(answer) as url:
        started_s = time.monotonic()
        with pytest.raises(TimeoutError):
            fetch(url)
        assert time.monotonic() - started_s < PATIENCE_S


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (go_on(OK, b"X: y\r\n"), "no HTTP: HTTPException('got more than 100 headers')"),
        (go_on(OK + b"X: ", 1000 * b"y"), "LineTooLong"),
        (go_on(b"HTTP/1.1 100 Continue\r\n\r\n", 9000 * b"HTTP/1.1 100 Continue\r\n\r\n"), "more than 4 MiB"),
        (go_on(OK + b"\r\n", 65536 * b" "), "more than 4 MiB"),
        (go_on(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + 65536 * b" " + b"\r\n"), "more than 4 MiB"),
        (say(OK + b"Content-Length: 9000000000000000\r\n\r\n", b"x" * 5_000_000), "more than 4 MiB"),
        (say(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffff\r\n", b"x" * 5_000_000), "more than 4 MiB"),
        (say(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nxxxxx\r\n0\r\n\r\n"), ""),
        (say(b"SSH-2.0-OpenSSH_9.2\r\n"), "no HTTP: BadStatusLine"),
        (
            say(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/stats\r\nContent-Length: 0\r\n\r\n"),
            "HTTP status 302",
        ),
    ],
    ids=range(10),
)
def test_an_answer_that_is_none_is_named(answer: Answer, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "TIMEOUT_S", PATIENCE_S)
    with answering(answer) as url:
        with pytest.raises(NotOursError) as raised:
            fetch(url)
        assert words in str(raised.value)


def test_who_hangs_up_has_not_answered() -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_RDWR)

    with answering(hang_up) as url, pytest.raises(ConnectionError):
        fetch(url)


def test_a_handshake_that_drips_is_given_up_in_time() -> None:
    with answering(drip(b"HTTP/1.1 101 Switching Protocols" + 500 * b" ")) as url:
        started_s = time.monotonic()
        with pytest.raises(NoServerError, match=r"does not answer within 0\.5 s"):
            check_server(parse_target(url))
        assert time.monotonic() - started_s < PATIENCE_S
