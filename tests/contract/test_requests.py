"""What is no request, and what is an unusual one: every server answers alike, whatever library is behind its door."""

from collections.abc import Iterator

import pytest

from shared.server.config import parse_arguments
from shared.server.core import ServerCore
from shared.server.door import MAX_REQUESTS, Door, TurnedAway
from shared.wire.request import READ_BYTES
from tests.conftest import Serve
from tests.shared.rooms.visitor import Visitor
from tests.support.bystander import undisturbed
from tests.support.client import Wire, connection_options, parse_head
from tests.support.requests import MALFORMED, SPECIAL, UPGRADE, plain
from tests.support.server import RunningServer

pytestmark = pytest.mark.differs()

OWN = {"content-type": "text/plain; charset=utf-8", "connection": "close"}


@pytest.fixture(scope="module")
def core() -> Iterator[ServerCore[Visitor]]:
    core: ServerCore[Visitor] = ServerCore(parse_arguments("gevent", ["--echo"]), 0, 0)
    core.listens_at("127.0.0.1")
    yield core
    core.scores.close()


def told_by_the_door(core: ServerCore[Visitor], request: bytes) -> bytes:
    """Return what the door answers to a request, without its date; nothing if it lets it pass."""
    door = Door(core)
    try:
        for start in range(0, len(request), READ_BYTES // 2):
            door.feed(request[start : start + READ_BYTES // 2])
            if door.next_head(0):
                return b""
    except TurnedAway as turned:
        return without_date(turned.answer)
    raise AssertionError("no request, and no fault either")


def without_date(answer: bytes) -> bytes:
    lines = answer.split(b"\r\n")
    dates = [line for line in lines if line.startswith(b"Date: ")]
    assert len(dates) == 1
    return b"\r\n".join(line for line in lines if line not in dates)


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_400_and_the_end(server: RunningServer, core: ServerCore[Visitor], name: str) -> None:
    """The same bytes from every server; nothing behind it is read, so that no proxy's peer smuggles a request in."""
    before = server.log
    with Wire(server.dial()) as wire:
        wire.send_raw(MALFORMED[name] + plain(target=b"/stats"))
        answer = wire.read_to_eof()
    assert without_date(answer) == told_by_the_door(core, MALFORMED[name])
    head, _, body = answer.partition(b"\r\n\r\n")
    status, headers, _ = parse_head(head)
    assert status == 400
    assert OWN.items() <= headers.items()
    assert int(headers["content-length"]) == len(body) > 1
    assert server.log == before


@pytest.mark.framework
@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_special_is_answered_alike(server: RunningServer, core: ServerCore[Visitor], name: str) -> None:
    request, status, closes = SPECIAL[name]
    with Wire(server.dial()) as wire:
        wire.send_raw(request + plain())
        answer = wire.read_response()
        assert answer.status == status
        if not closes:
            assert "close" not in connection_options(answer)
            answer = wire.read_response()
            assert (answer.status, answer.body) == (200, b"ok\n")
            return
        assert "close" in connection_options(answer)
        assert wire.read_to_eof() == b"", "nothing behind it is read"
    if own := told_by_the_door(core, request):
        assert parse_head(own.partition(b"\r\n\r\n")[0]).headers == {
            name: value for name, value in answer.headers.items() if name != "date"
        }
        assert own.endswith(b"\r\n\r\n" + answer.body)


OTHER_VERSION = tuple(field.replace(b": 13", b": 8") for field in UPGRADE)
REFUSED: dict[str, tuple[bytes, int, set[str]]] = {
    "no upgrade": (plain(target=b"/connect"), 426, {"upgrade"}),
    "no upgrade, and the last request": (plain(b"Connection: close", target=b"/connect"), 426, {"upgrade", "close"}),
    "another version": (plain(*OTHER_VERSION, target=b"/connect"), 426, {"upgrade"}),
    "no key": (plain(*UPGRADE[:-1], target=b"/connect"), 400, set()),
    "no room": (plain(*UPGRADE, target=b"/connect?room=."), 404, set()),
    "no room, and the last request": (plain(*UPGRADE, b"Connection: close", target=b"/connect?room=."), 404, {"close"}),
    "another version, and the last request": (
        plain(*OTHER_VERSION, b"Connection: close", target=b"/connect"),
        426,
        {"upgrade", "close"},
    ),
    "another origin": (plain(*UPGRADE, b"Origin: http://evil.example", target=b"/connect"), 403, set()),
}


@pytest.mark.framework
@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_upgrade_has_the_same_headers_everywhere(server: RunningServer, name: str) -> None:
    request, status, options = REFUSED[name]
    with Wire(server.dial()) as wire:
        wire.send_raw(request)
        answer = wire.read_response()
    own = {"content-type": OWN["content-type"], "content-length": str(len(answer.body))}
    if status == 426:
        own |= {"upgrade": "websocket", "sec-websocket-version": "13"}
    assert answer.status == status
    assert connection_options(answer) == options
    assert {field: value for field, value in answer.headers.items() if field not in {"date", "connection"}} == own


@pytest.mark.framework
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_how_it_is_split_changes_nothing(server: RunningServer, size: int) -> None:
    request = plain(b"X: " + b"y" * 500) + plain(*UPGRADE, target=b"/connect?room=.") + plain(b"X : y")
    with Wire(server.dial()) as wire:
        for start in range(0, len(request), size):
            wire.send_raw(request[start : start + size])
        assert [wire.read_response().status for _ in range(3)] == [200, 404, 400]
        assert wire.read_to_eof() == b""


@pytest.mark.framework
def test_a_body_is_never_waited_for_nor_taken(server: RunningServer, room: str) -> None:
    with undisturbed(server, room), Wire(server.dial()) as wire:
        wire.send_raw(b"POST /stats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert wire.read_response().status == 405
        assert wire.read_to_eof() == b""


def test_a_connection_has_so_many_requests_a_second(server: RunningServer, room: str) -> None:
    with undisturbed(server, room), Wire(server.dial()) as wire:
        wire.send_raw(plain() * 3 * MAX_REQUESTS)
        statuses = []
        while (answer := wire.read_response()).status == 200:
            statuses.append(answer.status)
        assert MAX_REQUESTS <= len(statuses) < 3 * MAX_REQUESTS
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert wire.read_to_eof() == b""
    assert server.request("/healthz").status == 200


# By which names

REBOUND = ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "192.0.2.1")


@pytest.mark.parametrize("host", REBOUND)
def test_on_loopback_a_name_that_is_not_ours_reads_nothing(server: RunningServer, host: str) -> None:
    """A page that had its own name lead here (DNS rebinding) has the same Host and Origin: that is let in elsewhere."""
    for path in ("/", "/stats", "/scores", "/healthz", "/nowhere"):
        assert server.request(path, headers={"Host": host}).status == 403
    assert server.upgrade("/connect", {"Host": host, "Origin": f"http://{host}"}).status == 403
    assert server.upgrade("/echo", {"Host": host}).status == 403


def test_the_host_of_an_origin_that_is_allowed_is_ours(serve: Serve) -> None:
    with serve("--origin", "https://game.example") as server:
        assert server.request("/stats", headers={"Host": "game.example"}).status == 200
        own = {"Host": "game.example", "Origin": "https://game.example"}
        assert server.upgrade("/connect", own).status == 101
        assert server.request("/stats", headers={"Host": "evil.example"}).status == 403


def test_where_all_origins_are_allowed_so_is_every_host(serve: Serve) -> None:
    with serve("--origin", "*") as server:
        assert server.upgrade("/connect", {"Host": "evil.example", "Origin": "http://other.example"}).status == 101
