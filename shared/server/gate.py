"""
All that a framework may ask of a server: a page for a path, a seat or a refusal, and to run a seat to its end.

Nothing here waits: a framework reads and writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib import import_module
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from shared.measure.prometheus import CONTENT_TYPE
from shared.server.config import ServerConfig, fail_usage
from shared.server.core import ServerCore
from shared.server.door import CONNECT, ECHO
from shared.server.frameworks import LAYERS, framework_of, module_of
from shared.system.clock import DueClock
from shared.system.packages import needed_by
from shared.system.programs import find_program
from shared.system.redis_server import PROGRAM
from shared.web import HEADERS, load_monitor_files, load_web_files
from shared.wire.deflate import Agreement, Inflater, choose
from shared.wire.forms import PLAIN
from shared.wire.handshake import room_name
from shared.wire.session import ECHO_LIMIT_BYTES, EchoSession, Session


class Page(NamedTuple):
    """An answer to a request."""

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...]
    body: bytes


def plain_page(status: HTTPStatus, text: str, headers: tuple[tuple[str, str], ...] = ()) -> Page:
    """Return a line of text as a page."""
    return Page(status, (*headers, ("Content-Type", "text/plain; charset=utf-8")), f"{text}\n".encode())


@dataclass(slots=True)
class Seat:
    """A place for one connection that was admitted, until it is given back."""

    room: str | None
    """The name of its room; None for ``/echo``, which has none."""
    address: str
    max_message_bytes: int
    waits_for_peer: bool
    """Whether what is sent waits for a peer that does not read, as libraries do by default."""
    agreement: Agreement | None = None
    """What its peer may compress, and is sent compressed, by us and not by the framework."""
    is_taken: bool = True

    @property
    def extensions(self) -> dict[str, str]:
        """The header that the answer to its upgrade has for that, if any."""
        return {"Sec-WebSocket-Extensions": self.agreement.text} if self.agreement else {}

    @property
    def inflater(self) -> Inflater | None:
        """What its messages are inflated with, if its peer may compress them."""
        return self.agreement.server_inflater(self.max_message_bytes) if self.agreement else None

    @property
    def form(self) -> int:
        """The form in which it takes frames."""
        return self.agreement.server_window_bits if self.agreement else PLAIN


class GateHost(Protocol):
    """What a gate asks of its server."""

    config: ServerConfig
    core: ServerCore[Any]

    @property
    def clock(self) -> DueClock[Any]:
        """The server's clock."""

    def run_seat(self, seat: Seat, session: Session, socket: Any) -> Any:
        """Run a connection to its end and give the seat back, or return what is to be awaited for that."""


H = TypeVar("H", bound=GateHost)


class Gate(Generic[H]):
    """The gate of one server, ``host``."""

    def __init__(self, host: H) -> None:
        self.host = host
        files = load_web_files() | (load_monitor_files() if host.config.monitor else {})
        self._files = {
            path: Page(HTTPStatus.OK, (*HEADERS, ("Content-Type", f"{file.content_type}; charset=utf-8")), file.body)
            for path, file in files.items()
        }
        data = {"/stats": "application/json", "/metrics": CONTENT_TYPE, "/scores": "application/json"}
        self._kinds = {path: (("Content-Type", kind),) for path, kind in data.items()}
        self.paths = (*files, "/healthz", *data)
        """The paths of pages; :meth:`page` answers them."""
        self.compresses = host.config.deflate == "on"
        """Whether the framework may compress messages."""
        self.upgrades = (CONNECT, ECHO) if host.config.echo else (CONNECT,)
        """The paths of WebSockets; :meth:`admit` answers them."""

    def page(self, path: str) -> Page:
        """Return the page of one of :attr:`paths`."""
        if path in self._files:
            return self._files[path]
        host = self.host
        if path in self._kinds:
            return Page(HTTPStatus.OK, self._kinds[path], host.core.reporter.page(path, host.clock))
        if host.core.lobby.open:
            return plain_page(HTTPStatus.OK, "ok")
        return plain_page(HTTPStatus.SERVICE_UNAVAILABLE, "stopping")

    def admit(
        self, path: str, query: str, headers: Mapping[str, str], address: str, descriptor: int = -1
    ) -> Seat | Page:
        """
        Take a seat for an upgrade request, or return the page that refuses it.

        Header names are in lower case; ``address`` is the peer's, ``descriptor`` its socket's. A
        seat is :meth:`run`, or given back by :meth:`release` if the upgrade fails.
        """
        host, limits = self.host, self.host.config.limits
        is_echo = path == ECHO
        room = None if is_echo else room_name(query)
        if refusal := host.core.admit(headers, room, address, host.clock.now_us(), descriptor):
            return plain_page(refusal.status, refusal.text, refusal.headers)
        waits_for_peer = is_echo or host.config.fanout == "naive"
        agreement = choose(headers.get("sec-websocket-extensions", "")) if host.config.deflate == "once" else None
        limit_bytes = ECHO_LIMIT_BYTES if is_echo else limits.max_message_bytes
        return Seat(room, address, limit_bytes, waits_for_peer, agreement)

    def run(self, seat: Seat, socket: Any) -> Any:
        """Run a seat whose upgrade is made, to its end, and give it back; on asyncio, await what is returned."""
        host = self.host
        kind = EchoSession if seat.room is None else Session
        return host.run_seat(seat, kind(host.config.limits, host.clock.now_us(), host.core.stalls), socket)

    def release(self, seat: Seat) -> None:
        """Give a seat back; do nothing if it has been."""
        if seat.is_taken:
            seat.is_taken = False
            self.host.core.release(seat.room, seat.address, self.host.clock.now_us())


def load_framework(config: ServerConfig) -> Any:
    """Return the class of the framework that is chosen; exit if what it needs, or its layer, is missing."""
    extra = framework_of(config.backend, config.framework).extra
    with needed_by(f"--framework {config.framework}", extra):
        framework = import_module(module_of(config.backend, config.framework)).Framework
    if config.layer and (module := LAYERS[config.layer].module):
        with needed_by(f"--layer {config.layer}", extra):
            import_module(module)
        if find_program(PROGRAM) is None:
            fail_usage(
                f"--layer {config.layer} needs {PROGRAM}, which is not installed; "
                f"apt-get install {PROGRAM} would add it"
            )
    return framework
