"""What a framework may ask of a server: pages, seats, and to run them."""

import json
from http import HTTPStatus
from typing import Any

import pytest

from shared.server.config import parse_arguments
from shared.server.core import ServerCore
from shared.server.gate import Gate, Page, Seat
from shared.system.clock import DueClock
from shared.wire.deflate import Deflater, InflateError
from shared.wire.forms import PLAIN
from shared.wire.session import ECHO_LIMIT_BYTES, EchoSession, Session
from tests.shared.wire.test_handshake import GOOD


class Clock(DueClock[Any]):
    """A clock that stands still."""

    def now_us(self) -> int:
        return 1_000_000

    def cpu_us(self) -> int:
        return 0


class Host:
    """As much of a server; it notes what it is to run."""

    def __init__(self, *flags: str) -> None:
        self.config = parse_arguments("asyncio", flags)
        self.clock = Clock("loop")
        self.core: ServerCore[Any] = ServerCore(self.config, self.clock.now_us(), 0)
        self.ran: list[tuple[Seat, Session, Any]] = []

    def run_seat(self, seat: Seat, session: Session, socket: Any) -> str:
        self.ran.append((seat, session, socket))
        return "to be awaited"


def admitted(gate: Gate[Host], path: str = "/connect", query: str = "") -> Seat:
    seat = gate.admit(path, query, GOOD, "::1")
    assert isinstance(seat, Seat)
    return seat


def test_every_path_has_its_page_and_its_type() -> None:
    gate = Gate(Host())
    types = {path: dict(gate.page(path).headers)["Content-Type"] for path in gate.paths}
    assert {path: types[path] for path in ("/", "/healthz", "/stats", "/scores")} == {
        "/": "text/html; charset=utf-8",
        "/healthz": "text/plain; charset=utf-8",
        "/stats": "application/json",
        "/scores": "application/json",
    }
    assert types["/metrics"].startswith("text/plain; version=")
    assert json.loads(gate.page("/stats").body)["backend"] == "asyncio"


def test_the_page_for_operators_is_served_where_it_is_asked_for() -> None:
    assert "/monitor" not in Gate(Host()).paths
    gate = Gate(Host("--monitor"))
    assert {"/monitor", "/monitor.js", "/monitor.css"} <= {*gate.paths}
    page = gate.page("/monitor")
    assert page.headers == gate.page("/").headers
    assert b"monitor.js" in page.body


def test_a_stopping_server_says_so() -> None:
    gate = Gate(Host())
    assert gate.page("/healthz")[::2] == (HTTPStatus.OK, b"ok\n")
    gate.host.core.lobby.open = False
    assert gate.page("/healthz")[::2] == (HTTPStatus.SERVICE_UNAVAILABLE, b"stopping\n")


def test_only_who_serves_echoes_is_asked_for_one() -> None:
    assert Gate(Host()).upgrades == ("/connect",)
    assert Gate(Host("--echo")).upgrades == ("/connect", "/echo")


@pytest.mark.parametrize(
    ("flags", "path", "query", "seat"),
    [
        ([], "/connect", "", Seat("main", "::1", 4096, waits_for_peer=False)),
        ([], "/connect", "room=den", Seat("den", "::1", 4096, waits_for_peer=False)),
        (["--fanout", "naive"], "/connect", "", Seat("main", "::1", 4096, waits_for_peer=True)),
        (["--echo"], "/echo", "room=den", Seat(None, "::1", ECHO_LIMIT_BYTES, waits_for_peer=True)),
    ],
)
def test_who_is_admitted_has_a_seat_until_it_is_given_back(flags: list[str], path: str, query: str, seat: Seat) -> None:
    gate = Gate(Host(*flags))
    assert admitted(gate, path, query) == seat
    assert gate.host.core.lobby.connections == 1
    gate.release(seat)
    assert gate.host.core.lobby.connections == 0


@pytest.mark.parametrize(("path", "most"), [("/connect", 4096), ("/echo", ECHO_LIMIT_BYTES)])
def test_once_a_seat_has_what_its_peer_agreed_on(path: str, most: int) -> None:
    gate = Gate(Host("--deflate", "once", "--echo"))
    assert not gate.compresses
    offers = {"sec-websocket-extensions": "permessage-deflate; server_max_window_bits=12"}
    seat = gate.admit(path, "", {**GOOD, **offers}, "::1")
    assert isinstance(seat, Seat)
    assert seat.form == 12
    answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"
    assert seat.extensions == {"Sec-WebSocket-Extensions": answer}
    assert seat.inflater
    assert seat.inflater.inflate(Deflater(15, takes_over=False).deflate(b"x" * most)) == b"x" * most
    with pytest.raises(InflateError):
        seat.inflater.inflate(Deflater(15, takes_over=False).deflate(b"x" * (most + 1)))


@pytest.mark.parametrize(
    "flags", [["--deflate", "off"], ["--deflate", "on"], ["--fanout", "naive"], ["--deflate", "once"]]
)
def test_else_it_has_agreed_on_nothing_with_us(flags: list[str]) -> None:
    gate = Gate(Host(*flags))
    offers = {} if "once" in flags else {"sec-websocket-extensions": "permessage-deflate"}
    seat = gate.admit("/connect", "", {**GOOD, **offers}, "::1")
    assert isinstance(seat, Seat)
    assert (seat.form, seat.extensions, seat.inflater) == (PLAIN, {}, None)
    assert gate.compresses == ("on" in flags or "naive" in flags)


def test_who_is_refused_has_none() -> None:
    gate = Gate(Host())
    refusal = gate.admit("/connect", "room=not+this", GOOD, "::1")
    assert isinstance(refusal, Page)
    assert refusal.status == HTTPStatus.NOT_FOUND
    assert refusal.body.endswith(b"\n")
    assert gate.host.core.lobby.connections == 0


def test_a_seat_is_run_with_a_session_of_its_kind() -> None:
    gate = Gate(Host("--echo"))
    assert gate.run(admitted(gate), "a socket") == "to be awaited"
    gate.run(admitted(gate, "/echo"), "another")
    (_, player, socket), (_, echo, _) = gate.host.ran
    assert (type(player), socket, type(echo)) == (Session, "a socket", EchoSession)


def test_a_seat_is_given_back_once() -> None:
    gate = Gate(Host())
    seat, _ = admitted(gate), admitted(gate)
    for _ in range(2):
        gate.release(seat)
        assert gate.host.core.lobby.connections == 1
