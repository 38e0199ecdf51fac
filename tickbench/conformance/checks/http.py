"""Checks of HTTP before there is a WebSocket: pages, and upgrades that are refused."""

import base64
import socket
import time
from collections.abc import Mapping
from urllib.parse import quote as quote_url

from tickbench.conformance.asking import HttpAnswer
from tickbench.conformance.check import Check, raise_flaws
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError, NotTriedError

Headers = Mapping[str, str | None]

LOST_WITHOUT_STATS = "the load test then knows neither its clock nor its CPU, memory, lateness and skipped ticks"
STATS_WORDS = ("boot_id", "clock_offset_us", "now_us", "tick_rate_hz", "connections", "ticks", "process")
"""Parts of /stats that the load test uses, see loadtests/surroundings/server_stats.py."""

NOT_UPGRADES: dict[str, Headers] = {
    "no Upgrade": {"Upgrade": None, "Connection": None},
    "Upgrade: h2c": {"Upgrade": "h2c"},
    "version 8": {"Sec-WebSocket-Version": "8"},
    "version 14": {"Sec-WebSocket-Version": "14"},
    "no version": {"Sec-WebSocket-Version": None},
}
SHORT_KEY = base64.b64encode(b"x" * 15).decode()
BAD_KEYS: dict[str, Headers] = {
    "no key": {"Sec-WebSocket-Key": None},
    "an empty key": {"Sec-WebSocket-Key": ""},
    "a key of 15 bytes": {"Sec-WebSocket-Key": SHORT_KEY},
    "a key of 17 bytes": {"Sec-WebSocket-Key": base64.b64encode(b"x" * 17).decode()},
    "a key that is no base64": {"Sec-WebSocket-Key": "!" * 24},
}
BAD_REQUESTS: dict[str, Headers] = {
    "no Host": {"Host": None},
    "a declared body": {"Content-Length": "2"},
}
METHODS = ("POST", "PUT", "DELETE", "OPTIONS")
FOREIGN_ORIGINS = ("http://evil.example", "null", "http://{host}:1")
BAD_ROOMS = ("", "x" * 33, "a%20b", "a.b", "%C3%A4")
HALF_HANDSHAKE_S = 5.0
HALF_HANDSHAKE_SLACK_S = 3.0


def check_healthz(subject: ServerUnderTest) -> str | None:
    """Ask for /healthz."""
    answer = subject.request("/healthz")
    if answer.status != 200:
        raise FaultError(f"GET /healthz: {answer}", "HTTP 200")
    return None


def check_stats(subject: ServerUnderTest) -> str | None:
    """Ask for /stats, which a server may do without."""
    stats = subject.stats()
    if stats is None:
        raise NotTriedError(f"there is no /stats of ours, which is allowed: {LOST_WITHOUT_STATS}")
    missing = [word for word in STATS_WORDS if word not in stats]
    return f"/stats lacks {', '.join(missing)}: {LOST_WITHOUT_STATS}" if missing else None


def check_unknown_path(subject: ServerUnderTest) -> str | None:
    """Ask for paths that do not exist."""
    paths = ("/nowhere", f"{subject.target.path}/nowhere")
    raise_flaws((_flaw(f"GET {path}", subject.request(path), 404) for path in paths), "HTTP 404")
    return None


def check_unknown_path_upgrade(subject: ServerUnderTest) -> str | None:
    """Ask for an upgrade where there is no WebSocket."""
    paths = ("/nowhere", f"{subject.target.path}/nowhere")
    flaws = (_flaw(f"GET {path} with upgrade headers", subject.upgrade(path), 404) for path in paths)
    raise_flaws(flaws, "HTTP 404")
    return None


def check_method(subject: ServerUnderTest) -> str | None:
    """Use other methods than GET."""
    path = subject.target.path
    flaws = [_flaw(f"{method} {path}", subject.request(path, method=method), 405) for method in METHODS]
    flaws.append(_flaw(f"POST {path} with upgrade headers", subject.upgrade(path, method="POST"), 405))
    raise_flaws(flaws, "HTTP 405")
    return None


def check_upgrade_required(subject: ServerUnderTest) -> str | None:
    """Ask without upgrade headers, or in another version."""
    flaws = []
    for what, headers in NOT_UPGRADES.items():
        answer = subject.upgrade(subject.target.resource, headers)
        flaws.append(_flaw(what, answer, 426))
        if answer.status == 426 and answer.headers.get("sec-websocket-version") != "13":
            flaws.append(f"{what}: HTTP 426 without Sec-WebSocket-Version: 13")
    raise_flaws(flaws, "HTTP 426 with Sec-WebSocket-Version: 13")
    return None


def check_key(subject: ServerUnderTest) -> str | None:
    """Ask with keys that are not valid."""
    raise_flaws(_refusals(subject, BAD_KEYS, 400), "HTTP 400")
    return None


def check_bad_request(subject: ServerUnderTest) -> str | None:
    """Ask without a Host, or with a body."""
    raise_flaws(_refusals(subject, BAD_REQUESTS, 400), "HTTP 400")
    return None


def check_foreign_origin(subject: ServerUnderTest) -> str | None:
    """Ask as pages of other sites do."""
    origins = {f"Origin: {origin}": origin.format(host=subject.target.host) for origin in FOREIGN_ORIGINS}
    cases: dict[str, Headers] = {what: {"Origin": origin} for what, origin in origins.items()}
    raise_flaws(_refusals(subject, cases, 403), "HTTP 403, unless the server is told to allow all origins")
    return None


def check_own_origin(subject: ServerUnderTest) -> str | None:
    """Ask as the server's own page does."""
    origin = f"http://{subject.target.authority}"
    answer = subject.upgrade(subject.target.in_room(subject.fresh_room()).resource, {"Origin": origin})
    _need_place(answer)
    raise_flaws([_flaw(f"Origin: {origin}", answer, 101)], "HTTP 101: it is the server's own host")
    return None


def check_room_name(subject: ServerUnderTest) -> str | None:
    """Ask for rooms by names that are not valid, and by unusual ones that are."""
    path = subject.target.path
    flaws = [_flaw(f"?room={name}", subject.upgrade(f"{path}?room={name}"), 404) for name in BAD_ROOMS]
    mine = subject.fresh_room()
    for name in (f"A-Z_a-z_0-9-{mine}"[:32], mine.ljust(32, "x"), quote_url(mine).replace("c", "%63", 1)):
        answer = subject.upgrade(f"{path}?room={name}")
        _need_place(answer)
        flaws.append(_flaw(f"?room={name}", answer, 101))
    raise_flaws(flaws, "HTTP 404 unless the name is 1 to 32 of A-Za-z0-9_-")
    return None


def check_refusal_order(subject: ServerUnderTest) -> str | None:
    """Do several things wrong at once: the first in the protocol's order is answered."""
    path = subject.target.path
    bad_key, foreign = {"Sec-WebSocket-Key": SHORT_KEY}, {"Origin": "http://evil.example"}
    flaws = [
        _flaw("POST on an unknown path", subject.request("/nowhere", method="POST"), 404),
        _flaw("POST with a bad room name", subject.request(f"{path}?room=a.b", method="POST"), 405),
        _flaw("a bad room name without upgrade headers", subject.request(f"{path}?room=a.b"), 404),
        _flaw("version 8 with a bad key", subject.upgrade(path, {"Sec-WebSocket-Version": "8", **bad_key}), 426),
        _flaw("a bad key from a foreign origin", subject.upgrade(path, {**bad_key, **foreign}), 400),
    ]
    raise_flaws(flaws, "path (404), method (405), room name (404), upgrade headers (426), key (400), origin (403)")
    return None


def check_half_handshake(subject: ServerUnderTest) -> str | None:
    """Send half a request and wait for the end; in a whole run it was sent at its start."""
    sock, since = open_half_handshake(subject)
    limit_s = HALF_HANDSHAKE_S + HALF_HANDSHAKE_SLACK_S
    sock.settimeout(max(0.01, since + limit_s - time.monotonic()))
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        raise FaultError(f"half a request was still waited for after {limit_s:g} s", "an end after 5 s") from None
    except OSError:
        pass  # a reset is an end as well
    return None


def open_half_handshake(subject: ServerUnderTest) -> tuple[socket.socket, float]:
    """Return a connection on which half a request was sent, and when (monotonic); an open one is reused."""
    if "half" in subject.samples:
        opened: tuple[socket.socket, float] = subject.samples["half"]
        return opened
    sock, since = subject.dial(), time.monotonic()
    sock.sendall(f"GET {subject.target.resource} HTTP/1.1\r\nHost: {subject.target.authority}\r\n".encode())
    subject.samples["half"] = (sock, since)
    subject.keep("half", sock)
    return sock, since


def check_busy(subject: ServerUnderTest) -> str | None:
    """Look at the first 503 of the run, if there was one."""
    if subject.busy is None:
        raise NotTriedError("the server had room for everybody")
    if "retry-after" not in subject.busy.headers:
        raise FaultError(f"{subject.busy} without Retry-After", "HTTP 503 with Retry-After")
    return None


def _refusals(subject: ServerUnderTest, cases: Mapping[str, Headers], status: int) -> list[str | None]:
    resource = subject.target.in_room(subject.fresh_room()).resource
    return [_flaw(what, subject.upgrade(resource, headers), status) for what, headers in cases.items()]


def _flaw(what: str, answer: HttpAnswer, status: int) -> str | None:
    return None if answer.status == status else f"{what}: {answer}"


def _need_place(answer: HttpAnswer) -> None:
    if answer.status == 503:
        raise NotTriedError(f"the server has no place: {answer}")


EARLY_CHECKS = (
    Check("healthz", "/healthz says that the server is well: HTTP 200.", check_healthz),
    Check("stats", "/stats is everything that the server knows of itself, as JSON (optional).", check_stats),
    Check("unknown-path", "An unknown path is HTTP 404.", check_unknown_path),
    Check("unknown-path-upgrade", "An unknown path is HTTP 404 with upgrade headers, too.", check_unknown_path_upgrade),
    Check("method", "Another method than GET is HTTP 405.", check_method),
    Check(
        "upgrade-required",
        "No Upgrade: websocket, or another version than 13, is HTTP 426 with Sec-WebSocket-Version: 13.",
        check_upgrade_required,
    ),
    Check("websocket-key", "A key that is missing or is not 16 bytes in base64 is HTTP 400.", check_key),
    Check("bad-request", "No Host, or a request body, is HTTP 400.", check_bad_request),
    Check(
        "foreign-origin",
        "An origin that is neither the server's host nor allowed is HTTP 403.",
        check_foreign_origin,
    ),
    Check("own-origin", "The server's own host is a good origin.", check_own_origin),
    Check("room-name", "A room's name is 1 to 32 of A-Za-z0-9_-; a bad one is HTTP 404.", check_room_name),
    Check(
        "refusal-order",
        "Refused is in this order: path, method, room name, upgrade headers, key, origin.",
        check_refusal_order,
    ),
)
LATE_CHECKS = (
    Check("half-handshake", "Half a handshake for 5 s: the connection is closed.", check_half_handshake),
    Check("busy", "Who is refused for lack of room gets HTTP 503 with Retry-After.", check_busy),
)
