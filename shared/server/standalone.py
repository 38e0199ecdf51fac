"""
All of a server that does not wait, for servers that are written elsewhere: :mod:`tickbench.core` hands it out.

Whoever serves brings sockets, tasks and waiting, on one thread: ask :meth:`StandaloneServer.answer` for each request,
have each WebSocket that is open a :class:`Player`, and run a room's ticks from when :meth:`Player.hear` says so.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.loops.schedule import TickSchedule
from shared.rooms.game import Game
from shared.rooms.room import Room
from shared.server.config import ServerConfig, fail_usage, parse_arguments
from shared.server.core import ServerCore
from shared.server.door import CONNECT, NOT_ALLOWED, NOT_FOUND, NOT_OURS
from shared.server.gate import Gate, Page, Seat, plain_page
from shared.system.clock import DueClock
from shared.wire.frames import CloseCode, Opcode
from shared.wire.handshake import Refusal
from shared.wire.messages import NewPlayer
from shared.wire.session import CONNECTED, Outgoing, Session

P = TypeVar("P")
"""What a server sends to a player with: a connection as its library has it."""

BACKEND = "asyncio"
"""Whose flags are read; those that say how it is built are refused."""


@dataclass(slots=True)
class Closing:
    """How a connection is to be closed."""

    code: int
    reason: str


class Player(Generic[P]):
    """
    One connection, whose ``peer`` its server sends with.

    After each call, and behind a tick for those whom that names, send its :meth:`texts`; once it is :attr:`closing`,
    send that close code, and :meth:`leave` when the connection has ended, however it did.
    """

    is_here = True

    def __init__(self, server: "StandaloneServer[P]", table: "Table[P]", peer: P) -> None:
        self.peer = peer
        self.table = table
        self.session = Session(server.config.limits, server.now_us())
        self.closing: Closing | None = None
        self._server = server
        self._behind_since_us: int | None = None

    @property
    def patience_s(self) -> float | None:
        """For how long its next message is waited for, then :meth:`tire`; None: for as long as the peer is there."""
        if self.session.state is not CONNECTED:
            return None
        return max(0.0, (self.session.deadline_us - self._server.now_us()) / 1_000_000)

    def hear(self, message: str | bytes) -> bool:
        """Take a message; return whether a task, or whatever there is, has to begin with the ticks of its table."""
        server, room = self._server, self.table.room
        now_us = server.now_us()
        opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
        heard = self.session.receive(opcode, message, now_us)
        if heard is None:
            return False
        if isinstance(heard, NewPlayer) and (why := server.core.refuse_entry(now_us)):
            server.core.counters.busy_closed += 1
            self.session.close(CloseCode.TRY_AGAIN_LATER, why, now_us)
            return False
        newcomer = room.receive(self, heard)
        if newcomer is None:
            return False
        room.enter(self, newcomer, self.table.game.welcome(newcomer), now_us)
        return self.table.wake()

    def tire(self) -> None:
        """Take note that its patience is over."""
        self.session.wake(self._server.now_us())

    def texts(self) -> list[str]:
        """Return what is to be sent to it alone, in order, and forget it."""
        waiting = self.session.take_outgoing()
        for outgoing in waiting:
            if outgoing.opcode is Opcode.CLOSE:
                self.closing = _closing(outgoing)
        return [outgoing.payload.decode() for outgoing in waiting if outgoing.opcode is Opcode.TEXT]

    def leave(self) -> None:
        """Leave the room: the connection has ended."""
        self.session.receive_eof()
        self.table.room.leave(self)

    # What a tick asks of it

    def skip(self, now_us: int) -> None:
        """Note that it did not take a tick's frame; it has ended where it has taken none for too long."""
        since_us = self._behind_since_us = self._behind_since_us or now_us
        is_late = now_us - since_us > self._server.config.limits.slow_limit_s * 1_000_000
        if is_late or self.table.room.owes_too_much(self):
            self._server.core.counters.slow_closed += 1
            self.session.abort()

    def catch_up(self) -> None:
        """Have its texts begin with what it has missed."""
        self._behind_since_us = None
        self.session.send(self.table.room.catch_up(self, self.table.game.look()))


class Table(Generic[P]):
    """
    A room, its game and its due times.

    While :meth:`goes_on`, wait for :attr:`wait_s`, :meth:`step`, send what that returns, and call :meth:`sent`.
    """

    def __init__(self, server: "StandaloneServer[P]", room: Room[Player[P]], schedule: TickSchedule) -> None:
        self.room = room
        self.game = Game(room.setup)
        self._server = server
        self._schedule = schedule
        self._is_awake = False

    @property
    def wait_s(self) -> float:
        """How long it is until the next tick is due; wait again while this is above 0, as timers may be early."""
        return (self._schedule.next_due_us - self._server.now_us()) / 1_000_000

    def wake(self) -> bool:
        """Go on with the first due time from now on; return whether it stood still."""
        if self._is_awake:
            return False
        self._is_awake = True
        self._schedule.resume(self._server.now_us())
        return True

    def goes_on(self) -> bool:
        """Whether anybody is in the room; if not it stands still from now on."""
        self._is_awake = bool(self.room.members)
        return self._is_awake

    def step(self, is_ready: Callable[[P], bool]) -> "Ticked[P]":
        """
        Begin a tick and apply the rules.

        Who is not ready is skipped: a tick waits for nobody. As soon as it is, its texts are what it has missed.
        """
        server, room = self._server, self.room
        due = self._schedule.begin(server.now_us())
        caught_up = [player for player in room.behind() if is_ready(player.peer)]
        for player in caught_up:
            player.catch_up()
        refused = room.apply(self.game.step(room.take_inputs()))
        players = room.recipients()
        takers = [player for player in players if is_ready(player.peer)]
        sent_us = server.now_us()
        frame = room.frame(due.n, due.due_us, sent_us).decode()

        def note() -> list[P]:
            skipped = [] if len(takers) == len(players) else room.skip({*players} - {*takers})
            server.core.note_tick(due, sent_us, server.now_us(), self._schedule.period_us, len(players), skipped)
            return [player.peer for player in skipped if player.session.aborted]

        return Ticked(frame, [player.peer for player in takers], [*caught_up, *refused], note)


@dataclass(frozen=True, slots=True)
class Ticked(Generic[P]):
    """
    What is to be sent at a tick.

    First the texts of those who are ``told``, then the same ``frame`` to all ``takers``. Then call :attr:`sent`, and
    abort whom it returns: they have read nothing for too long.
    """

    frame: str
    takers: list[P]
    told: list[Player[P]]
    sent: Callable[[], list[P]]


class StandaloneServer(Generic[P]):
    """
    A server called ``name`` without its sockets; its settings are the flags of ``tickbench serve``.

    ``packages`` are those whose versions its ``/stats`` names; the flags are those of the command line, or ``argv``. On
    bad input it says so in one line and exits.
    """

    def __init__(
        self,
        name: str,
        packages: Sequence[str] = (),
        argv: Sequence[str] | None = None,
        clock: DueClock[Any] | None = None,
    ) -> None:
        self.name = name
        self.config: ServerConfig = parse_arguments(BACKEND, argv, program=name)
        if self.config.arm != BACKEND or self.config.echo:
            what = "--echo" if self.config.echo else self.config.arm.partition(":")[2]
            fail_usage(f"{what} is for tickbench's own servers; leave it out")
        self.clock: DueClock[Any] = clock or DueClock("loop")
        self.core: ServerCore[Any] = ServerCore(self.config, self.now_us(), self.clock.offset_us)
        self.core.reporter.speak_for(name, packages, self.config.settings_of_any_stack())
        self.core.listens_at(self.config.host)
        self.tables: dict[str, Table[P]] = {}
        self._gate: Gate[StandaloneServer[P]] = Gate(self)

    def now_us(self) -> int:
        """Return microseconds since the epoch."""
        return self.clock.now_us()

    def run_seat(self, seat: Seat, session: Session, socket: Any) -> None:
        """Do nothing: whoever serves runs it."""

    # Requests

    def answer(self, target: str, headers: Iterable[tuple[str, str]], address: str, method: str = "GET") -> Seat | Page:
        """
        Return the seat for an upgrade to a WebSocket, or the page that answers a request from ``address``.

        A seat is given back by :meth:`release` when its connection has ended, also where the upgrade fails.
        """
        path, _, query = target.partition("?")
        fields = {name.lower(): value for name, value in headers}
        asks = "upgrade" in fields.get("connection", "").lower() and fields.get("upgrade", "").lower() == "websocket"
        fields["upgrade"] = "websocket" if asks else ""
        is_websocket = path == CONNECT
        if not self.core.goes_by(fields.get("host", "")):
            return _page(NOT_OURS)
        if not is_websocket and path not in self._gate.paths:
            return _page(NOT_FOUND)
        if method != "GET":
            return _page(NOT_ALLOWED)
        return self._gate.admit(path, query, fields, address) if is_websocket else self._gate.page(path)

    def release(self, seat: Seat) -> None:
        """Give a seat back; do nothing if it has been."""
        self._gate.release(seat)

    # Connections

    def connect(self, seat: Seat, peer: P) -> Player[P]:
        """Return the player of a connection whose upgrade is made."""
        name = seat.room or ""
        for room in self.core.lobby.idle_rooms(self.now_us()):
            self.core.forget_room(room)
            self.tables.pop(room.name, None)
        if name not in self.tables:
            self.tables[name] = Table(self, *self.core.open_room(name, self.now_us()))
        return Player(self, self.tables[name], peer)

    def announce(self, address: str, port: int) -> None:
        """Print the line that tells where it listens."""
        line = self.config.ready_line(address, port).replace(f"tickbench {BACKEND}", self.name, 1)
        print(line, flush=True)  # noqa: T201 # whoever starts a server waits for it


def _closing(outgoing: Outgoing) -> Closing:
    return Closing(int.from_bytes(outgoing.payload[:2]), outgoing.payload[2:].decode())


def _page(refusal: Refusal) -> Page:
    return plain_page(refusal.status, refusal.text, refusal.headers)
