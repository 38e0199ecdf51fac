"""What is not a WebSocket: the page, the figures, and how a path is refused."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from shared.server.frameworks import FANOUTS
from tests.conftest import Serve
from tests.support.bystander import undisturbed
from tests.support.client import BINARY, Wire, parse_head, request_bytes
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs()

PAGE = {
    "/": ("index.html", "text/html"),
    "/client.js": ("client.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
}

PATHS = [*PAGE, "/healthz", "/metrics", "/stats", "/scores", "/connect", "/echo"]

BAD_REQUESTS = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "another version": b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "half a version": b"GET /healthz HTTP/1\r\nHost: localhost\r\n\r\n",
    "a version that is none": b"GET /healthz HTTP/x\r\nHost: localhost\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a target that is no URL": b"GET http://[::1/connect HTTP/1.1\r\nHost: [\r\n\r\n",
    "a long target": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a long header": b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "some more headers": b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 101 + b"\r\n",
    "a header that is none": b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
    "a header with a zero byte": b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
    "a length that is none": b"POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    "a length below zero": b"POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "a body that does not come": b"POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx",
    "a chunk that is none": b"POST /stats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "not ASCII": "GET /connect?room=ä HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
}

HISTOGRAM = {"count", "mean", "p50", "p90", "p99", "p999", "max", "early", "clipped", "hdr"}

WEB = Path(__file__).parents[2] / "shared" / "web"


@pytest.mark.framework
@pytest.mark.parametrize("path", PAGE)
def test_the_page_is_sent_unchanged(server: RunningServer, path: str) -> None:
    name, kind = PAGE[path]
    answer = server.request(path)
    assert answer.status == 200
    assert answer.body == (WEB / name).read_bytes()
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert set(answer.headers["content-security-policy"].split("; ")) == {
        "default-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    }
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


def test_healthz(server: RunningServer) -> None:
    answer = server.request("/healthz")
    assert (answer.status, answer.body) == (200, b"ok\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.framework
@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_head_of_get(server: RunningServer, path: str) -> None:
    got, told = server.keep_alive(), server.keep_alive()
    for wire, method in ((got, "GET"), (told, "HEAD")):
        wire.send_raw(request_bytes(method, path, {"Host": "localhost"}))
    of_get, of_head = got.read_response(), told.read_response(has_body=False)
    assert of_head.status == of_get.status == (426 if path in {"/connect", "/echo"} else 200)
    changing = {"date"} | ({"content-length"} if path in {"/stats", "/metrics", "/scores"} else set())
    assert of_head.headers.keys() == of_get.headers.keys()
    assert without(of_head.headers, changing) == without(of_get.headers, changing)
    assert int(of_head.headers["content-length"]) > 0
    told.send_raw(request_bytes("GET", "/healthz", {"Host": "localhost"}))
    assert told.read_response().body == b"ok\n", "no body came, and the connection is as good as before"


def without(headers: dict[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


@pytest.mark.framework
@pytest.mark.parametrize("path", ["/connect", "/connect?room=.", "/nowhere", "/healthz"])
def test_head_never_upgrades(server: RunningServer, path: str) -> None:
    answer = server.upgrade(path, method="HEAD")
    assert answer.status == {"/connect": 426, "/healthz": 200}.get(path, 404)
    with Wire(server.dial()) as wire:
        headers = {"Host": "localhost", "Connection": "close"}
        wire.send_raw(request_bytes("HEAD", path, headers))
        assert wire.read_to_eof().endswith(b"\r\n\r\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_not_allowed(server: RunningServer, path: str, method: str) -> None:
    for answer in (server.request(path, method), server.upgrade(path, method=method)):
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_its_peers_fault(server: RunningServer, room: str, name: str) -> None:
    before = server.log
    with undisturbed(server, room), Wire(server.dial()) as wire:
        wire.send_raw(BAD_REQUESTS[name])
        assert 400 <= wire.read_response().status < 500
    assert server.log == before, "it is not worth a word in the log, let alone a traceback"


@pytest.mark.framework
def test_a_subprotocol_that_nobody_speaks_is_not_worth_a_word(server: RunningServer) -> None:
    before = server.log
    answer = server.upgrade("/connect", {"Sec-WebSocket-Protocol": "chat, superchat"})
    assert answer.status == 101
    assert "sec-websocket-protocol" not in answer.headers
    assert server.log == before


@pytest.mark.framework
def test_no_extension_is_agreed_on(server: RunningServer) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    assert server.upgrade("/connect", offer).status == 101  # which checks that none is in the answer


@pytest.mark.framework
def test_no_answer_says_what_it_is_made_by(server: RunningServer, room: str) -> None:
    answers = [server.request(path) for path in (*PATHS, "/nowhere")]
    answers += [server.upgrade(target) for target in ("/nowhere", "/connect?room=.", f"/connect?room={room}")]
    assert {answer.status for answer in answers} == {101, 200, 404, 426}
    for answer in answers:
        assert "server" not in answer.headers


@pytest.mark.framework
def test_an_answer_comes_in_one_piece(server: RunningServer) -> None:
    # The second of two small packets would wait until the first one is acknowledged.
    sock = server.dial()
    for path in ("/healthz", "/scores", "/connect", "/healthz"):
        sock.sendall(request_bytes("GET", path, {"Host": "localhost"}))
        head, _, body = sock.recv(65536).partition(b"\r\n\r\n")
        assert len(body) == int(parse_head(head).headers["content-length"])


def test_a_request_that_came_while_the_server_stood_still_is_answered(serve: Serve) -> None:
    with serve("--handshake-limit", "0.5") as server:
        waiting, half = server.dial(), server.dial()
        request = request_bytes("GET", "/healthz", {"Host": "localhost"})
        half.sendall(request[:9])
        server.stats()  # by now it has read that
        server.signal(signal.SIGSTOP)
        try:
            waiting.sendall(request)
            half.sendall(request[9:])
            time.sleep(1)
        finally:
            server.signal(signal.SIGCONT)
        for sock in (waiting, half):
            assert Wire(sock).read_response().status == 200


@pytest.mark.framework
def test_plain_requests_to_a_websocket_are_told_to_upgrade(server: RunningServer) -> None:
    for path in ("/connect", "/echo"):
        answer = server.request(path)
        assert answer.status == 426
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.framework
def test_an_upgrade_of_a_plain_path_is_a_plain_request(server: RunningServer) -> None:
    for path in (*PAGE, "/healthz", "/metrics", "/stats", "/scores"):
        assert server.upgrade(path).status == 200


def test_stats(server: RunningServer, room: str) -> None:
    with undisturbed(server, room) as player:
        player.join()
        stats = server.stats()
    assert stats["backend"] == server.backend
    assert stats["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert stats["started_us"] < stats["now_us"]
    assert stats["tick_rate_hz"] == 50
    assert stats["settings"]["mode"]
    assert stats["settings"]["fanout"] in FANOUTS
    assert stats["connections"] == 1
    assert {
        "version",
        "clock_offset_us",
        "accepted",
        "frames_sent",
        "slow_skips",
        "dropped",
        "slow_closed",
        "busy_closed",
        "dead",
        "refused",
        "closed",
    } <= stats.keys()
    ours = next(other for other in stats["rooms"] if other["name"] == room)
    assert ours.keys() >= {"n", "members", "alive", "ticks", "skipped_ticks"}
    assert (ours["members"], ours["alive"]) == (1, 1)
    assert 0 < ours["ticks"] <= ours["n"]
    assert_ticks(stats["ticks"])
    process = psutil.Process(server.process.pid)
    assert stats["process"]["pid"] == process.pid
    # A thread may come or go between the two looks: they need to agree once.
    assert any(server.stats()["process"]["threads"] == process.num_threads() for _ in range(20))
    assert {"cpu_s", "rss_bytes", "fds"} <= stats["process"].keys()


def assert_ticks(ticks: dict[str, Any]) -> None:
    assert ticks["count"] > 0
    assert {"skipped_ticks", "overruns"} <= ticks.keys()
    for name in ("start_lateness_ms", "compute_ms", "fanout_ms"):
        assert ticks[name].keys() >= HISTOGRAM
        assert ticks[name]["count"] == ticks["count"]
    assert ticks["start_lateness_ms"]["early"] == 0, "no tick starts before its due time"


@pytest.mark.framework
def test_stats_count_closes_and_refusals(server: RunningServer, room: str) -> None:
    before = server.stats()
    player = server.enter(room)
    player.send_frame(BINARY, b"x")
    assert player.expect_close() == 1003
    server.upgrade("/connect", {"Origin": "http://evil.example"})
    server.request("/nowhere")
    wait_until(lambda: server.stats()["connections"] == 0)
    stats = server.stats()
    assert stats["closed"] == {**before["closed"], "1003": before["closed"].get("1003", 0) + 1}
    assert stats["turned_away"] == {**before["turned_away"], "404": before["turned_away"].get("404", 0) + 1}
    assert stats["refused"] == {**before["refused"], "403": before["refused"].get("403", 0) + 1}


def test_stats_count_a_frame_to_each_connection(server: RunningServer, room: str) -> None:
    before = server.stats()["frames_sent"]
    players = [server.enter(room, f"p{number}") for number in range(3)]
    for player in players:
        for _ in range(5):
            player.next_tick()
    wait_until(lambda: server.stats()["frames_sent"] >= before + 15)


def test_metrics(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        answer = server.request("/metrics")
        stats = server.stats()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert all(family.name.startswith("tickbench_") for family in families.values())
    assert all(family.documentation for family in families.values())
    (connections,) = families["tickbench_connections"].samples
    (ticks,) = families["tickbench_ticks"].samples
    assert connections.value == 1
    assert 0 < ticks.value <= stats["ticks"]["count"]
    for name in ("start_lateness", "compute", "fanout"):
        assert_histogram(families[f"tickbench_{name}_seconds"], int(ticks.value))


def assert_histogram(family: Metric, count: int) -> None:
    assert family.type == "histogram"
    buckets = [(sample.labels["le"], sample.value) for sample in family.samples if sample.name.endswith("_bucket")]
    assert [bound for bound, _ in buckets[-2:]] == ["1.0", "+Inf"]
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    rest = {sample.name: sample.value for sample in family.samples if not sample.name.endswith("_bucket")}
    assert rest[f"{family.name}_count"] == buckets[-1][1] == count
    assert rest[f"{family.name}_sum"] > 0


def test_scores(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        answer = server.request("/scores")
        assert answer.headers["content-type"].startswith("application/json")
        assert json.loads(answer.body)["rooms"][room] == []


@pytest.mark.framework
def test_requests_in_a_row_share_a_connection_with_an_upgrade(server: RunningServer, room: str) -> None:
    player = server.keep_alive()
    for target, status in (("/healthz", 200), ("/connect?room=.", 404), ("/stats", 200), ("/connect", 403)):
        headers = {"Origin": "http://evil.example"} if status == 403 else {}
        assert player.upgrade(target, headers).status == status
    assert player.upgrade(f"/connect?room={room}", {}).status == 101
    player.enter()
    player.next_tick()
