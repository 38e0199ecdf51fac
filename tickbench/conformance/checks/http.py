"""Checks of HTTP before there is a WebSocket: pages, and upgrades that are refused."""

import base64
from collections.abc import Mapping
from urllib.parse import quote as quote_url

from tickbench.conformance.asking import Headers, HttpAnswer
from tickbench.conformance.check import check, raise_flaws
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import NotTriedError

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
BAD_REQUESTS: dict[str, Headers] = {"no Host": {"Host": None}, "a declared body": {"Content-Length": "2"}}
METHODS = ("POST", "PUT", "DELETE", "OPTIONS")
FOREIGN_ORIGINS = ("http://evil.example", "null", "http://{host}:1")
BAD_ROOMS = ("", "x" * 33, "a%20b", "a.b", "%C3%A4")


@check("/healthz says that the server is well: HTTP 200.", "HTTP 200", grade="interoperability")
def healthz(server: ServerUnderTest) -> None:
    raise_flaws([_flaw("GET /healthz", server.request(server.target.beside("healthz")), 200)])


@check("/stats is everything that the server knows of itself, as JSON (optional).", grade="interoperability")
def stats(server: ServerUnderTest) -> str | None:
    page = server.stats()
    if page is None:
        raise NotTriedError(f"there is no /stats of ours, which is allowed: {LOST_WITHOUT_STATS}")
    missing = [word for word in STATS_WORDS if word not in page]
    return f"/stats lacks {', '.join(missing)}: {LOST_WITHOUT_STATS}" if missing else None


@check("An unknown path is HTTP 404.", "HTTP 404", grade="hardening")
def unknown_path(server: ServerUnderTest) -> None:
    paths = (server.target.beside("nowhere"), f"{server.target.path}/nowhere")
    raise_flaws(_flaw(f"GET {path}", server.request(path), 404) for path in paths)


@check("An unknown path is HTTP 404 with upgrade headers, too.", "HTTP 404", grade="hardening")
def unknown_path_upgrade(server: ServerUnderTest) -> None:
    paths = (server.target.beside("nowhere"), f"{server.target.path}/nowhere")
    raise_flaws(_flaw(f"GET {path} with upgrade headers", server.upgrade(path), 404) for path in paths)


@check("Another method than GET is HTTP 405.", "HTTP 405", grade="hardening")
def method(server: ServerUnderTest) -> None:
    path = server.target.path
    flaws = [_flaw(f"{name} {path}", server.request(path, method=name), 405) for name in METHODS]
    raise_flaws([*flaws, _flaw(f"POST {path} with upgrade headers", server.upgrade(path, method="POST"), 405)])


@check(
    "No Upgrade: websocket, or another version than 13, is HTTP 426 with Sec-WebSocket-Version: 13.",
    "HTTP 426 with Sec-WebSocket-Version: 13",
    grade="hardening",
)
def upgrade_required(server: ServerUnderTest) -> None:
    flaws = []
    for what, headers in NOT_UPGRADES.items():
        answer = server.upgrade(server.target.resource, headers)
        flaws.append(_flaw(what, answer, 426))
        if answer.status == 426 and answer.headers.get("sec-websocket-version") != "13":
            flaws.append(f"{what}: HTTP 426 without Sec-WebSocket-Version: 13")
    raise_flaws(flaws)


@check("A key that is missing or is not 16 bytes in base64 is HTTP 400.", "HTTP 400", grade="hardening")
def websocket_key(server: ServerUnderTest) -> None:
    _need_status(server, 400, BAD_KEYS)


@check("No Host, or a request body, is HTTP 400.", "HTTP 400", grade="hardening")
def bad_request(server: ServerUnderTest) -> None:
    _need_status(server, 400, BAD_REQUESTS)


@check(
    "An origin that is neither the server's host nor allowed is HTTP 403.",
    "HTTP 403, unless the server is told to allow all origins",
    grade="hardening",
)
def foreign_origin(server: ServerUnderTest) -> None:
    origins = {f"Origin: {origin}": origin.format(host=server.target.host) for origin in FOREIGN_ORIGINS}
    _need_status(server, 403, {what: {"Origin": origin} for what, origin in origins.items()})


@check("The server's own host is a good origin.", "HTTP 101: it is the server's own host", grade="interoperability")
def own_origin(server: ServerUnderTest) -> None:
    origin = f"{'https' if server.target.secure else 'http'}://{server.target.authority}"
    _need_status(server, 101, {f"Origin: {origin}": {"Origin": origin}})


@check(
    "A room's name is 1 to 32 of A-Za-z0-9_-; a bad one is HTTP 404.",
    "HTTP 404 unless the name is 1 to 32 of A-Za-z0-9_-",
    grade="hardening",
)
def room_name(server: ServerUnderTest) -> None:
    mine = server.fresh_room()
    good = (f"A-Z_a-z_0-9-{mine}"[:32], mine.ljust(32, "x"), quote_url(mine).replace("c", "%63", 1))
    cases = {**dict.fromkeys(BAD_ROOMS, 404), **dict.fromkeys(good, 101)}
    answers = {name: server.upgrade(f"{server.target.path}?room={name}") for name in cases}
    raise_flaws(_flaw(f"?room={name}", answers[name], status) for name, status in cases.items())


@check(
    "Refused is in this order: path, method, room name, upgrade headers, key, origin.",
    "path (404), method (405), room name (404), upgrade headers (426), key (400), origin (403)",
    grade="hardening",
)
def refusal_order(server: ServerUnderTest) -> None:
    path = server.target.path
    bad_key, foreign = {"Sec-WebSocket-Key": SHORT_KEY}, {"Origin": "http://evil.example"}
    raise_flaws(
        [
            _flaw("POST on an unknown path", server.request(server.target.beside("nowhere"), method="POST"), 404),
            _flaw("POST with a bad room name", server.request(f"{path}?room=a.b", method="POST"), 405),
            _flaw("a bad room name without upgrade headers", server.request(f"{path}?room=a.b"), 404),
            _flaw("version 8 with a bad key", server.upgrade(path, {"Sec-WebSocket-Version": "8", **bad_key}), 426),
            _flaw("a bad key from a foreign origin", server.upgrade(path, {**bad_key, **foreign}), 400),
        ]
    )


def _need_status(server: ServerUnderTest, status: int, cases: Mapping[str, Headers]) -> None:
    resource = server.target.in_room(server.fresh_room()).resource
    raise_flaws([_flaw(what, server.upgrade(resource, headers), status) for what, headers in cases.items()])


def _flaw(what: str, answer: HttpAnswer, status: int) -> str | None:
    if status == 101 and answer.status == 503:
        raise NotTriedError(f"the server has no place: {answer}")
    return None if answer.status == status else f"{what}: {answer}"
