"""
The server under test: connections to it, what it says of itself, and what was learnt of it so far.

Connections are ended after the check that opened them.
"""

import http.client
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from websocket import WebSocket, WebSocketBadStatusException, WebSocketException, WebSocketTimeoutException

from shared.system.boot import boot_id
from shared.wire.target import Target
from tickbench.conformance.asking import Headers, HttpAnswer, ask, upgrade_headers
from tickbench.conformance.first_offenders import FirstOffenders
from tickbench.conformance.peer import NoMessageError, Peer, PeerMessage
from tickbench.conformance.ticks import SeenTick, rate_of
from tickbench.conformance.verdict import FaultError, NotTriedError
from tickbench.target import connect

PATIENCE_S = 3.0
"""How long an immediate answer is waited for; one that comes with a tick, some periods longer."""
PATIENCE_TICKS = 4
BUSY_PAUSE_S = 2.5
"""Pause after the first 503: its Retry-After is two seconds, and the server may be busy rather than full."""
SHORT_PAUSE_S = 0.1
"""Pause after a later 503, where there was a place before: the server has to notice that others hung up."""
DYING_LOOKS, DYING_PAUSE_S = 20, 0.05
MOST_UNANSWERED = 3
DEFAULT_RATE_HZ = 20.0

Kept = Peer | socket.socket
KeptT = TypeVar("KeptT", bound=Kept)
SampleT = TypeVar("SampleT")


class ServerUnderTest:
    """The server behind ``target``."""

    def __init__(self, target: Target, *, patience_s: float = PATIENCE_S) -> None:
        self.target = target
        self.offenders = FirstOffenders()
        self.rate_hz: float | None = None
        self.told_rate_hz: Fraction | None = None
        """As ``/stats`` has it; rate_hz may be an estimate."""
        self.busy: HttpAnswer | None = None
        """The first 503."""
        self.gone = ""
        """Why nothing can be tried any more."""
        self._patience_s = patience_s
        self._prefix = f"c{secrets.token_hex(4)}"
        self._rooms = 0
        self._peers: list[Peer] = []
        self._samples: dict[Any, Any] = {}
        self._kept: dict[Any, tuple[Any, float]] = {}
        self._unanswered = 0
        self._shut_out = 0
        self._failed_upgrades = 0
        self._pause_s = BUSY_PAUSE_S
        """How long to wait at the next 503; 0 where there was no place behind the last pause."""
        self._offset_us: int | None = None

    # What is known of it

    @property
    def period_s(self) -> float:
        """The time from one tick to the next."""
        return 1 / (self.rate_hz or DEFAULT_RATE_HZ)

    @property
    def patience_s(self) -> float:
        """How long anything is waited for, in seconds."""
        return self._patience_s + PATIENCE_TICKS * self.period_s

    @property
    def is_on_this_host(self) -> bool:
        """Whether its clock should be ours."""
        return self.target.host in {"localhost", "::1"} or self.target.host.startswith("127.")

    def now_us(self) -> int:
        """Return what the server's clock should be: our monotonic one plus the offset it tells, else our wall clock."""
        return time.time_ns() // 1000 if self._offset_us is None else time.monotonic_ns() // 1000 + self._offset_us

    def learn(self, stats: Mapping[str, Any]) -> None:
        """Take from ``/stats`` the clock and the rate of ticks, where it tells them."""
        offset_us, our_boot = stats.get("clock_offset_us"), boot_id()
        if isinstance(offset_us, int) and our_boot and stats.get("boot_id") == our_boot:
            self._offset_us = offset_us
        rate = stats.get("tick_rate_hz")
        if isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0:
            self.rate_hz, self.told_rate_hz = float(rate), Fraction(str(rate))

    def learn_rate(self, ticks: list[SeenTick]) -> None:
        """Estimate the rate of its ticks, if it has not told."""
        if self.rate_hz is None and ticks and (rate_hz := rate_of(ticks)):
            self.rate_hz = float(rate_hz)

    def once(self, take: Callable[["ServerUnderTest"], SampleT]) -> SampleT:
        """Return the sample that was taken of it; several checks judge the same one."""
        if take not in self._samples:
            self._samples[take] = take(self)
        sample: SampleT = self._samples[take]
        return sample

    # HTTP

    def request(self, target: str, headers: Headers | None = None, method: str = "GET") -> HttpAnswer:
        """Make a request; return the answer. NotTriedError if nobody listens, FaultError if no HTTP comes in time."""
        try:
            answer = ask(self.target, method, target, headers or {}, self._patience_s)
        except ConnectionRefusedError as error:
            raise self._is_gone("nobody listens any more") from error
        except TimeoutError as error:
            raise self._is_unanswered(f"{method} {target}") from error
        except (OSError, http.client.HTTPException) as error:
            raise FaultError(f"{method} {target} was answered by no HTTP: {error!r}") from error
        self._unanswered = 0
        return self._note_busy(answer)

    def upgrade(self, target: str, headers: Headers | None = None, method: str = "GET") -> HttpAnswer:
        """Ask for an upgrade with ``headers`` changed (None leaves one out) and hang up; return the answer."""
        return self.request(target, {**upgrade_headers(), **(headers or {})}, method)

    def stats(self) -> dict[str, Any] | None:
        """Return ``/stats``, None if there is none."""
        answer = self.request(self.target.beside("stats"))
        try:
            page = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return page if answer.status == HTTPStatus.OK and isinstance(page, dict) else None

    # Connections

    def fresh_room(self) -> str:
        """Return the name of a room that nobody knows."""
        self._rooms += 1
        return f"{self._prefix}-{self._rooms}"

    def dial(self) -> socket.socket:
        """Return a TCP connection on which nothing was sent yet; raise NotTriedError if there is none to be had."""
        try:
            return connect(self.target, self._patience_s)
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            why = "nobody listens any more" if refused else f"it can't be reached any more ({error})"
            raise self._is_gone(why) from error

    def connect(self, room: str | None = None) -> Peer:
        """Return a WebSocket as :meth:`connect_to` does, in a room of its own if none is given."""
        return self.connect_to(self.target.in_room(room or self.fresh_room()).resource)

    def connect_to(self, resource: str) -> Peer:
        """
        Return a WebSocket on which nothing was sent yet, with a pause and another try behind a 503.

        NotTriedError if the server has no place, or is gone; FaultError if the upgrade is not as RFC 6455 has it.
        """
        if self.gone:
            raise NotTriedError(self.gone)
        if self._failed_upgrades > 1:
            raise NotTriedError("no upgrade succeeds; see upgrade")
        self._failed_upgrades += 1
        ws = self._upgraded(resource)
        if isinstance(ws, HttpAnswer) and self._pause_s:
            self._let_go()
            time.sleep(self._pause_s)
            self._pause_s = 0.0
            ws = self._upgraded(resource)
        self._failed_upgrades = 0
        if isinstance(ws, HttpAnswer):
            raise NotTriedError(f"the server has no place: {ws}")
        self._pause_s = self._pause_s or SHORT_PAUSE_S
        self._peers.append(Peer(ws, self.offenders, self.now_us, self.patience_s))
        return self._peers[-1]

    def opened(self, connect: Callable[["ServerUnderTest"], KeptT]) -> tuple[KeptT, float]:
        """
        Return a connection that is kept open when a check is over, and since when it is open, on the monotonic clock.

        It is closed if the server has no place left, and opened anew by the next call.
        """
        if connect not in self._kept:
            connection = connect(self)
            self._peers = [peer for peer in self._peers if peer is not connection]
            self._kept[connect] = connection, time.monotonic()
        return self._kept[connect]

    def enter(self, room: str | None = None, name: str = "conformance") -> Peer:
        """Return a client that has read the welcome of the room; NotTriedError if none came: one check reports that."""
        if self._shut_out > 1:
            raise NotTriedError("no new_player was answered by a handshake")
        peer = self.connect(room)
        try:
            read_welcome(peer, name)
        except NoMessageError as error:
            self._shut_out += 1
            raise NotTriedError(f"new_player was not answered by a handshake: {error}") from error
        self._shut_out = 0
        return peer

    def hang_up(self) -> None:
        """End every connection."""
        for peer in self._peers:
            peer.hang_up()
        self._peers.clear()

    def close(self) -> None:
        """End every connection, those that were kept as well."""
        self.hang_up()
        self._let_go()

    def is_there(self) -> bool:
        """Whether the server still answers; one that is about to die resets connections, and is asked again."""
        for _ in range(DYING_LOOKS):
            try:
                ask(self.target, "GET", self.target.beside("healthz"), {}, self._patience_s)
            except ConnectionRefusedError:
                self._is_gone("nobody listens any more")
                return False
            except ConnectionError:
                time.sleep(DYING_PAUSE_S)
            except (OSError, http.client.HTTPException):
                break  # whatever it answers, it is there
            else:
                break
        return True

    # Private methods

    def _let_go(self) -> None:
        for connection, _ in self._kept.values():
            connection.close() if isinstance(connection, socket.socket) else connection.hang_up()
        self._kept.clear()

    def _upgraded(self, resource: str) -> Any:
        """Return the library's WebSocket, or the answer if that is 503."""
        what = f"GET {resource} with upgrade headers"
        sock = self.dial()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ws: Any = WebSocket()
        try:
            url = f"ws://{self.target.authority}{resource}"  # what it is connected to is the socket's
            ws.connect(
                url,
                socket=sock,
                header=self.target.fields,
                suppress_origin=True,
                redirect_limit=0,
                timeout=self._patience_s,
            )
        except (OSError, WebSocketException) as error:
            sock.close()
            if isinstance(error, TimeoutError | WebSocketTimeoutException):
                raise self._is_unanswered(what) from error
            if not isinstance(error, WebSocketBadStatusException):
                raise FaultError(f"{what}: {error}", "HTTP 101 as RFC 6455 has it") from error
            headers = {str(name).lower(): str(value) for name, value in (error.resp_headers or {}).items()}
            answer = self._note_busy(HttpAnswer(error.status_code, headers, error.resp_body or b""))
            if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise FaultError(f"{what}: {answer}", "HTTP 101") from error
            return answer
        self._unanswered = 0
        if ws.status != HTTPStatus.SWITCHING_PROTOCOLS:
            ws.shutdown()
            raise FaultError(f"{what}: HTTP {ws.status}", "HTTP 101")
        return ws

    def _is_unanswered(self, what: str) -> Exception:
        self._unanswered += 1
        if self._unanswered >= MOST_UNANSWERED:
            return self._is_gone("it does not answer any more")
        return FaultError(f"{what} was not answered in {self._patience_s:g} s")

    def _note_busy(self, answer: HttpAnswer) -> HttpAnswer:
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.busy = self.busy or answer
        return answer

    def _is_gone(self, why: str) -> NotTriedError:
        self.gone = why
        return NotTriedError(why)


def read_welcome(peer: Peer, name: str) -> None:
    """Send ``new_player`` and read the whole welcome, in however many messages it comes."""
    peer.send(["new_player", name])
    missing = {"handshake", "world", "top_scores"}

    def ends_it(message: PeerMessage) -> object:
        missing.difference_update(command[0] for command in message.commands)
        return not missing or (message.ticks and "handshake" not in missing)

    peer.until(ends_it, "a handshake")
    peer.has_entered = True
    peer.player_id = next((shake[2] for message in peer.heard for shake in message.named("handshake")), 0)
