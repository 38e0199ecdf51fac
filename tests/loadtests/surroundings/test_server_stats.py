import base64
import errno
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from loadtests.account.server_figures import Frames, figures_between
from loadtests.receive.stamps import now_us
from loadtests.surroundings import server_stats as stats_module
from loadtests.surroundings.reachability import NoServerError, check_server
from loadtests.surroundings.server_stats import NotOursError, ServerStats, fetch_stats, find_server
from shared.measure.histogram import Histogram
from shared.wire.target import parse_target

PATIENCE_S = 10.0


def histogram(*values_us: int) -> Any:
    recorded = Histogram()
    for value_us in values_us:
        recorded.record(value_us)
    return msgspec.to_builtins(recorded.summary())


def stats(**changes: Any) -> dict[str, Any]:
    """Return what a server says of itself that had one tick."""
    return {
        "backend": "asyncio",
        "boot_id": "b",
        "clock_offset_us": 5,
        "now_us": 1_000_000,
        "tick_rate_hz": 20.0,
        "connections": 0,
        "rooms": [{"name": "main", "n": 1, "skipped_ticks": 0}],
        "ticks": {
            "count": 1,
            "skipped_ticks": 0,
            "overruns": 0,
            "start_lateness_ms": histogram(100),
            "compute_ms": histogram(50),
            "fanout_ms": histogram(10),
        },
        "slow_skips": 0,
        "slow_closed": 0,
        "accepted": 1,
        "frames_sent": 3,
        "process": {"pid": 1, "cpu_s": 1.0, "rss_bytes": 1000, "cpus": [0]},
    } | changes


def decoded(**changes: Any) -> ServerStats:
    """Return what was answered at once by a server whose clock goes as ours does."""
    found = msgspec.convert(stats(**changes), ServerStats)
    at_s = found.now_us / 1e6
    return msgspec.structs.replace(found, asked_s=at_s, answered_s=at_s)


def fetched(url: str) -> ServerStats:
    target = parse_target(url)
    return fetch_stats(target, (socket.AF_INET, (target.host, target.port)))


@contextmanager
def page(status: int, body: bytes) -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/stats" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_the_server_says() -> None:
    with page(200, json.dumps(stats()).encode()) as url:
        started_us = now_us()
        found = fetched(url)
    assert started_us <= found.asked_us <= found.answered_us <= now_us()
    assert found.asked_s <= found.answered_s
    moments = dict.fromkeys(("asked_us", "answered_us", "asked_s", "answered_s"), 0)
    assert msgspec.structs.replace(found, **moments) == msgspec.structs.replace(decoded(), **moments)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b"", "HTTP status 404"),
        (301, b"", "HTTP status 301"),
        (200, b"hello", "malformed"),
        (200, b"{}", "missing required field `boot_id`"),
        (200, b"\xff", "malformed"),
        (200, b'{"x":' + b"[" * 100_000, "recursion"),
        (200, b" " * (stats_module.MAX_BYTES + 1), "more than 4 MiB"),
        (200, json.dumps(stats(tick_rate_hz=0)).encode(), "tick_rate_hz"),
        (200, json.dumps(stats(tick_rate_hz=-20)).encode(), "tick_rate_hz"),
        (200, json.dumps(stats(tick_rate_hz=float("nan"))).encode(), "malformed"),
        (200, json.dumps(stats(tick_rate_hz=1e-300)).encode(), "tick_rate_hz"),
        (200, json.dumps(stats(now_us=-1)).encode(), "now_us"),
        (200, json.dumps(stats(now_us=10**30)).encode(), "now_us"),
        (200, json.dumps(stats(clock_offset_us=-(10**17))).encode(), "clock_offset_us"),
        (200, json.dumps(stats(connections="many")).encode(), "connections"),
        (200, json.dumps(stats(slow_skips=-1)).encode(), "slow_skips"),
        (200, json.dumps(stats(boot_id="x" * 201)).encode(), "boot_id"),
        (200, json.dumps(stats(rooms=[{"name": "main", "n": -1}])).encode(), "rooms[0].n"),
        (200, json.dumps(stats(process=stats()["process"] | {"cpu_s": -1.0})).encode(), "process.cpu_s"),
        (200, json.dumps(stats(process=stats()["process"] | {"cpus": [-1]})).encode(), "process.cpus"),
        (200, json.dumps(stats(ticks=stats()["ticks"] | {"count": -3})).encode(), "ticks.count"),
    ],
    ids=range(21),
)
def test_what_is_no_stats_of_ours_is_named(status: int, body: bytes, words: str) -> None:
    with page(status, body) as url, pytest.raises(NotOursError, match=re.escape(words)) as raised:
        fetched(url)
    assert len(str(raised.value)) <= stats_module.MAX_WORDS


def test_figures_are_those_between_two_moments() -> None:
    before = decoded(connections=10, process={"pid": 1, "cpu_s": 1.0, "rss_bytes": 21_000})
    ticks = {
        "count": 4,
        "skipped_ticks": 2,
        "overruns": 1,
        "start_lateness_ms": histogram(100, 200, 300, 400),
        "compute_ms": histogram(50, 60, 70, 80),
        "fanout_ms": histogram(10, 11, 12, 13),
    }
    process = {"pid": 1, "cpu_s": 1.5, "rss_bytes": 22_000}
    after = decoded(now_us=6_000_000, ticks=ticks, slow_skips=3, slow_closed=1, process=process, frames_sent=4003)
    figures, doubts = figures_between(before, after, Frames(1000))
    assert doubts == []
    assert figures.cpu_percent == pytest.approx(10)
    assert figures.cpu_us_per_frame == pytest.approx(500_000 / 4000), "over all the frames that it sent"
    assert figures.frames_sent == 4000
    assert figures.rss_bytes == 22_000
    assert (figures.skipped_ticks, figures.slow_skips, figures.slow_closed) == (2, 3, 1)
    assert figures.ticks is not None
    assert (figures.ticks.count, figures.ticks.overruns) == (3, 1)
    assert Histogram.from_summary(figures.ticks.start_lateness_ms).percentile_us(1) == 200
    assert figures.ticks.fanout_ms.count == 3


def test_what_cannot_be_known_is_left_open() -> None:
    same = decoded()
    figures, _ = figures_between(same, same, Frames(0))
    assert (figures.cpu_percent, figures.cpu_us_per_frame) == (None, None)
    later = decoded(now_us=2_000_000)
    assert figures_between(same, later, Frames(0))[0].cpu_us_per_frame is None
    assert figures_between(same, later, Frames(0))[0].cpu_percent == 0


# Before the load


def test_nobody_is_there() -> None:
    with page(404, b"") as url:
        pass
    with pytest.raises(NoServerError, match=r"no server at 127\.0\.0\.1:.*: connection refused"):
        check_server(parse_target(url))


def test_a_web_server_is_no_game() -> None:
    with page(200, b"") as url, pytest.raises(NoServerError, match=r"no WebSocket at ws://.*/connect: HTTP status 404"):
        check_server(parse_target(url))


def test_no_such_host() -> None:
    with pytest.raises(NoServerError, match="no such host: a"):
        check_server(parse_target("ws://a.invalid"))


# Whom the load is for


@contextmanager
def game(stats_body: bytes | None) -> Iterator[str]:
    """Serve a WebSocket endpoint and, unless it is None, a page of stats; else never answer for it."""

    class Game(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/stats":
                if stats_body is None:
                    over.wait(PATIENCE_S)
                    return
                self.send_response(200 if stats_body else 404)
                self.send_header("Content-Length", str(len(stats_body)))
                self.end_headers()
                self.wfile.write(stats_body)
                return
            key = self.headers["Sec-WebSocket-Key"].encode()
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
            self.send_response(101)
            self.send_header("Sec-WebSocket-Accept", accept.decode())
            self.end_headers()
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    over = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Game) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def test_a_server_of_ours_says_who_it_is() -> None:
    with game(json.dumps(stats()).encode()) as url:
        address, found, _ = find_server(parse_target(url))
        assert address == (socket.AF_INET, ("127.0.0.1", parse_target(url).port))
    assert found is not None
    assert (found.boot_id, found.tick_rate_hz) == ("b", 20.0)


def test_a_server_that_says_nothing_is_loaded_all_the_same() -> None:
    with game(b"") as url:
        assert find_server(parse_target(url))[1:] == (None, "HTTP status 404")


def test_of_several_addresses_the_first_that_answers_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        refusing = free.getsockname()
    with game(b"") as url:
        port = parse_target(url).port
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (refusing, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert check_server(parse_target("ws://many.example:9")) == (socket.AF_INET, ("127.0.0.1", port))
        found.pop()
        with pytest.raises(NoServerError, match=r"no server at many\.example:9: connection refused"):
            check_server(parse_target("ws://many.example:9"))


def test_an_address_family_that_this_host_lacks_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket(socket.socket):
        def __init__(self, family: int = -1, *arguments: Any, **options: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *arguments, **options)

    with game(json.dumps(stats()).encode()) as url:
        port = parse_target(url).port
        found = [
            (family, socket.SOCK_STREAM, 6, "", address)
            for family, address in ((socket.AF_INET6, ("::1", port)), (socket.AF_INET, ("127.0.0.1", port)))
        ]
        monkeypatch.setattr(socket, "socket", Socket)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        address, of, _ = find_server(parse_target(url))
    assert address == (socket.AF_INET, ("127.0.0.1", port))
    assert of is not None, "it is asked at the address that answered"


def test_a_server_without_echo_is_told_apart() -> None:
    with page(404, b"") as url, pytest.raises(NoServerError, match=r"404 .*started with --echo"):
        check_server(parse_target(f"{url}/echo"))


def test_no_server_is_none_to_load() -> None:
    with page(404, b"") as url:
        pass
    with pytest.raises(NoServerError, match="connection refused"):
        find_server(parse_target(url))


def test_a_server_that_keeps_its_stats_to_itself_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_module, "TIMEOUT_S", 0.2)
    with game(None) as url, pytest.raises(NoServerError, match="does not answer GET /stats: timed out"):
        find_server(parse_target(url))
