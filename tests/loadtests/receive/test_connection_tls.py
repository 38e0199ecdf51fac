"""
A connection through TLS: the stamp of a message is that of the read which brought the end of its last record.

Whatever was read behind it, even if it can't be decrypted yet, makes that an upper bound: coalesced, as without TLS.
"""

import socket
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.receive.arrivals import Arrivals
from loadtests.receive.connection import Connection
from loadtests.receive.endings import Fate
from shared.wire.target import parse_target
from shared.wire.tls import client_context
from tests.support.certificates import Authority
from tests.support.client import PATIENCE_S
from tests.support.scripted_server import (
    Observed,
    Script,
    expect_goodbye,
    frame,
    pause,
    servers,
    tick,
    until,
)
from tests.support.tls_end import TlsEnd, server_context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    return server_context(authority.certify("local", "DNS:localhost", "IP:127.0.0.1"))


def logged(context: ssl.SSLContext, script: Any, count: int) -> Arrivals:
    """Return what came by ``script``, which is given a :class:`TlsEnd`; a first tick and a goodbye are around it."""

    def whole(end: Any) -> None:
        end.sendall(tick(0))
        pause()
        script(end)
        expect_goodbye(end)

    with servers(whole, tls=context) as ((connection,), observer):
        assert connection.open(PATIENCE_S)
        until(lambda: len(observer.log) >= count + 1)
    assert observer.ends == [(Fate.LEFT, "left")]
    return observer.log.drain()


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 60, -1])
def test_a_record_that_spans_reads_came_with_its_last_byte(cut: int, context: ssl.SSLContext) -> None:
    before_us: list[int] = []

    def script(end: TlsEnd) -> None:
        record = end.records(tick(1))
        end.raw.sendall(record[:cut])
        pause()
        time.sleep(0.02)
        before_us.append(now_us())
        end.raw.sendall(record[cut:])
        pause()
        end.sendall(tick(2))
        pause()

    arrivals = logged(context, script, 2)
    assert arrivals.n.tolist() == [0, 1, 2]
    assert not arrivals.coalesced.any()
    assert arrivals.arrival_us[1] >= before_us[0]


def test_of_several_records_in_one_read_only_the_last_has_an_exact_time(context: ssl.SSLContext) -> None:
    def script(end: TlsEnd) -> None:
        end.raw.sendall(end.records(tick(1)) + end.records(tick(2)) + end.records(tick(3)))
        pause()
        end.sendall(tick(4))
        pause()

    arrivals = logged(context, script, 4)
    assert arrivals.n.tolist() == [0, 1, 2, 3, 4]
    assert arrivals.coalesced.tolist() == [False, True, True, False, False]


def test_of_several_frames_in_one_record_only_the_last_has_an_exact_time(context: ssl.SSLContext) -> None:
    def script(end: TlsEnd) -> None:
        end.sendall(tick(1) + tick(2))
        pause()

    arrivals = logged(context, script, 2)
    assert arrivals.coalesced.tolist() == [False, True, False]


@pytest.mark.parametrize("cut", [3, 40])
def test_a_frame_with_the_beginning_of_a_record_behind_it_has_no_exact_time(cut: int, context: ssl.SSLContext) -> None:
    def script(end: TlsEnd) -> None:
        first, second = end.records(tick(1)), end.records(tick(2))
        end.raw.sendall(first + second[:cut])
        pause()
        end.raw.sendall(second[cut:])
        pause()

    arrivals = logged(context, script, 2)
    assert arrivals.n.tolist() == [0, 1, 2]
    assert arrivals.coalesced.tolist() == [False, True, False]


def test_a_frame_that_spans_records_came_with_the_last_of_them(context: ssl.SSLContext) -> None:
    before_us: list[int] = []

    def script(end: TlsEnd) -> None:
        data = tick(1)
        end.sendall(data[:50])
        pause()
        before_us.append(now_us())
        end.sendall(data[50:])
        pause()

    arrivals = logged(context, script, 1)
    assert arrivals.n.tolist() == [0, 1]
    assert not arrivals.coalesced.any()
    assert arrivals.arrival_us[1] >= before_us[0]


def test_a_message_of_many_records_is_read_whole(context: ssl.SSLContext) -> None:
    long = frame(b'[["tick",1,1700000000000000,1700000000000100],["pad","' + b"." * 900_000 + b'"]]')
    arrivals = logged(context, lambda end: end.sendall(long), 1)
    assert arrivals.n.tolist() == [0, 1]


def test_connections_that_get_the_same_frame_share_it(context: ssl.SSLContext) -> None:
    turn = [threading.Event() for _ in range(3)]

    def script(end: socket.socket) -> None:
        for n, event in enumerate(turn):
            assert event.wait(PATIENCE_S)
            end.sendall(tick(n))
        expect_goodbye(end)

    turn[0].set()
    with servers(script, script, tls=context) as (connections, observer):
        assert all(connection.open(PATIENCE_S) for connection in connections)
        for n in (1, 2):
            turn[n].set()
            until(lambda: len(observer.log) == 2 * (n + 1))  # noqa: B023 - it is called at once
    arrivals = observer.log.drain()
    assert arrivals.n.tolist() == [0, 0, 1, 1, 2, 2]
    if not arrivals.unstamped.any():
        assert arrivals.frame[2] == arrivals.frame[3]
        assert arrivals.frame[4] == arrivals.frame[5]


def ended(context: ssl.SSLContext, script: Script) -> Observed:
    with servers(script, tls=context) as ((connection,), observer):
        connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
    return observer


def test_a_goodbye_of_tls_is_the_end_of_the_stream(context: ssl.SSLContext) -> None:
    def script(end: Any) -> None:
        end.sendall(tick(0))
        pause()
        end.raw.sendall(end.goodbye())
        time.sleep(0.05)

    (ending,) = ended(context, script).endings
    assert (ending.fate, ending.why) == (Fate.CLOSED_EARLY, "end of stream without a close frame")


def test_a_record_that_was_changed_on_its_way_is_an_error(context: ssl.SSLContext) -> None:
    def script(end: Any) -> None:
        end.sendall(tick(0))
        pause()
        record = end.records(tick(1))
        end.raw.sendall(record[:-1] + bytes((record[-1] ^ 1,)))
        end.raw.recv(4096)

    (ending,) = ended(context, script).endings
    assert (ending.fate, ending.broke_protocol) == (Fate.CLOSED_EARLY, True)
    assert ending.why.startswith("TLS: ")


def test_the_handshake_of_tls_is_a_figure_of_its_own(context: ssl.SSLContext) -> None:
    def script(end: Any) -> None:
        end.sendall(tick(0))
        expect_goodbye(end)

    with servers(script, tls=context) as ((connection,), observer):
        assert connection.open(PATIENCE_S)
    (us,) = observer.secured_us
    assert 0 < us < PATIENCE_S * 1e6


# Certificates


def offered(authority: Authority, *names: str, host: str = "localhost", verifies: bool = True) -> Observed:
    """Return what becomes of a connection to ``host``, whose certificate is for ``names``."""
    context = server_context(authority.certify("offered", *names))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            try:
                TlsEnd(sock, context).recv(4096)
            except ssl.SSLError:
                return
            sock.sendall(b"what is no TLS")

    observer = Observed()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        address = (socket.AF_INET, listener.getsockname())
        target = replace(parse_target(f"wss://{host}:{address[1][1]}"), verifies=verifies)
        connection = Connection(target, address, 0, observer, bytes, observer.log.latest("main"))
        thread = threading.Thread(target=serve)
        thread.start()
        assert not connection.open(PATIENCE_S)
        thread.join(PATIENCE_S)
    return observer


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in authority.variables.items():
        monkeypatch.setenv(name, value)
    client_context.cache_clear()
    yield authority
    client_context.cache_clear()


@pytest.mark.parametrize(("names", "host"), [(("DNS:localhost",), "localhost"), (("IP:127.0.0.1",), "127.0.0.1")])
def test_a_certificate_that_is_trusted(names: tuple[str, ...], host: str, trusted: Authority) -> None:
    observer = offered(trusted, *names, host=host)
    assert len(observer.secured_us) == 1
    assert observer.endings[0].why == "TLS: wrong version number"


def test_a_certificate_for_somebody_else(trusted: Authority) -> None:
    observer = offered(trusted, "DNS:example.org")
    assert observer.secured_us == []
    (ending,) = observer.endings
    assert (ending.fate, ending.broke_protocol) == (Fate.REFUSED, False)
    assert ending.why.startswith("the certificate is not trusted: Hostname mismatch")


def test_a_certificate_of_an_authority_that_nobody_knows(tmp_path: Path, trusted: Authority) -> None:
    assert trusted.file.exists()
    observer = offered(Authority(tmp_path), "DNS:localhost")
    assert observer.endings[0].why.startswith("the certificate is not trusted: ")


def test_any_certificate_is_taken_where_none_is_verified(tmp_path: Path) -> None:
    observer = offered(Authority(tmp_path), "DNS:example.org", verifies=False)
    assert len(observer.secured_us) == 1
