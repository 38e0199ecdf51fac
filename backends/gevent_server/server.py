"""Starts, runs and stops a server, which owns every connection, every room's loop and the listening socket."""

import errno
import logging
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any

import gevent
from gevent.event import Event

from shared.server.config import ServerConfig, fail_usage, prepare_process
from shared.server.core import ServerCore
from shared.server.frameworks import module_of
from shared.server.gate import Gate, Seat
from shared.server.workers import Workers
from shared.system.descriptors import ShortageFilter
from shared.system.heap import settle_heap
from shared.system.logs import SparingLog
from shared.system.packages import needed_by
from shared.wire.frames import CloseCode
from shared.wire.patience import Patience
from shared.wire.session import CANT_OPEN, STOPPING, Session

from .blocking import BlockingWatch
from .clock import Clock
from .connection import Connection
from .fanout import FANOUTS
from .host import PlayerSocket, Writer
from .loops import RoomLoop, load_loop_mode
from .ticker import Ticker
from .turns import Turns
from .workers import Worker
from .writer import new_writer

logger = logging.getLogger("tickbench")

EVENT_LOOPS = {"libev": "libev-cext", "libuv": "libuv-cffi"}
"""For each ``--loop`` gevent's name of it."""

NOT_HERE = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))
"""This machine does not have the address, or its family; the name may have other addresses."""

HOUSEKEEPING_S = 0.1
STEP_S = 0.02
"""How often a stopping server checks which connections have ended."""

GONE_LIMIT_S = 1.5
"""For connections that were closed or aborted to give their seats back: 8,000 take half of it."""


class Server:
    """One server process, with everything in it."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self._framework = load_framework(config)  # before all that has a time: to import it takes a while
        self.clock = Clock(config.clock)
        self.watch = BlockingWatch()
        self.log = SparingLog(logger)
        self.workers = Workers(config.workers, partial(Worker, config.worker_nice, config.worker_limit_s))
        self.core: ServerCore[Connection] = ServerCore(
            config, self.clock.now_us(), self.clock.offset_us, self.workers.pids
        )
        self.turns = Turns(self.clock, self.core.stalls)
        self.loops: dict[str, RoomLoop] = {}  # by room
        self._fanout = FANOUTS[config.fanout]()
        self._loop_mode = load_loop_mode(config.mode)
        self._greenlets: set[gevent.Greenlet[..., None]] = set()
        self._stopping = Event()

    # What it holds

    def new_writer(self, connection: Connection) -> Writer:
        """Return the writer of a connection."""
        return new_writer(connection)

    def room_loop(self, name: str) -> RoomLoop:
        """Return the loop of the room of that name; open the room if there is none."""
        if name not in self.loops:
            room, schedule = self.core.open_room(name, self.clock.now_us())
            try:
                self.loops[name] = self._loop_mode(self, Ticker(self, room, schedule, self._fanout))
            except Exception:
                self.core.forget_room(room)  # half a room would stay for ever
                raise
        return self.loops[name]

    def find_loop(self, room_name: str | None, session: Session) -> RoomLoop | None:
        """Return the loop of a connection's room, None without one; close the session where it can't be opened."""
        if room_name is None:
            return None
        try:
            return self.room_loop(room_name)
        except OSError as error:  # there is no descriptor, or no process, for a child
            self.log.say("newcomers are sent away: a room can't be opened (%s)", error)
            session.close(CloseCode.TRY_AGAIN_LATER, CANT_OPEN, self.clock.now_us())
            return None

    def room_crashed(self, loop: RoomLoop, error: BaseException | None) -> None:
        """End the room of a loop that raised, and nothing else; log the error (None: that is logged already)."""
        if error:
            logger.error("room %s crashed", loop.ticker.room.name, exc_info=error)
        self.core.counters.crashed_rooms += 1
        self._forget(loop)
        members = [connection for connection in self.core.roster.connections.values() if connection.loop is loop]
        self.own(self._close, members, CloseCode.INTERNAL_ERROR, "the room crashed")

    def run_seat(self, seat: Seat, session: Session, socket: PlayerSocket) -> None:
        """Run a connection to its end."""
        Connection(self, socket, session, self.find_loop(seat.room, session)).run()

    # Life

    def run(self, listener: socket.socket) -> None:
        """Serve until told to stop."""
        for number in stop_signals():
            gevent.signal_handler(number, self._handle_signal, number)
        self.core.listens_at(listener.getsockname()[0])
        framework = self._framework(Gate(self))
        self.clock.open()
        self.turns.open()
        try:
            framework.start(listener)
            self.own(self._keep_house)
            if self.config.mode == "process":
                self.workers.open()
            settle_heap()
            if self.config.debug_blocking:
                self.watch.open()  # only now: to settle the heap blocks the loop, too
            self.config.announce(*listener.getsockname()[:2])
            self._stopping.wait()
            self.core.lobby.open = False
            framework.close()
            self._stop()
            framework.stop()
        finally:
            self.watch.close()
            self.turns.close()
            self.clock.close()
            self.core.scores.close()

    def _stop(self) -> None:
        """Close all connections, wait until they have ended, then end everything that runs."""
        self._close(list(self.core.roster.connections.values()), CloseCode.GOING_AWAY, STOPPING)
        self._see_gone()
        gevent.joinall([gevent.spawn(loop.stop) for loop in self.loops.values()])
        gevent.joinall([gevent.spawn(worker.close) for worker in self.workers.all()])
        gevent.killall(list(self._greenlets))

    def _handle_signal(self, number: int) -> None:
        if self._stopping.is_set():
            os._exit(128 + number)  # the second one: at once
        self._stopping.set()

    def _keep_house(self) -> None:
        while True:
            gevent.sleep(HOUSEKEEPING_S)
            try:
                self._look_around(self.clock.now_us())
            except Exception as error:  # noqa: BLE001 # whatever it is, the next round must come
                self.log.say("a fault while keeping house", exc_info=error)

    def _look_around(self, now_us: int) -> None:
        """Wake connections for which something is due; end slow consumers; close empty rooms; tidy up."""
        self.core.stalls.note_turn(now_us)
        for connection in self.core.roster.pop_due(now_us):
            self.own(connection.wake, now_us)
        for connection in self.core.crowd_out(now_us):
            connection.abort()
        for connection in list(self.core.roster.slow):
            connection.watch(now_us)
        self.workers.watch()
        self.core.heap.tidy(self.core.lobby.connections, len(self.core.lobby.rooms), now_us)
        if self.core.scores.look(now_us):
            self.own(gevent.get_hub().threadpool.apply, self.core.scores.checkpoint)
        for loop in [self.loops[room.name] for room in self.core.lobby.idle_rooms(now_us)]:
            self._forget(loop)  # whoever comes now opens a new room
            self.own(loop.stop)

    def own(self, act: Callable[..., object], *arguments: Any) -> None:
        """Run a background greenlet until it ends, or the server does."""
        greenlet: gevent.Greenlet[..., Any] = gevent.spawn(act, *arguments)
        self._greenlets.add(greenlet)
        greenlet.link(self._greenlets.discard)

    # Private methods

    def _forget(self, loop: RoomLoop) -> None:
        room = loop.ticker.room
        if self.loops.get(room.name) is loop:
            del self.loops[room.name]
            self.core.forget_room(room)

    def _close(self, connections: Iterable[Connection], code: int, reason: str) -> None:
        """Close connections from our side; wait until they have ended, then abort those that have not."""
        closing = set(connections)
        for connection in closing:
            connection.session.close(code, reason, self.clock.now_us())
        flushes = [gevent.spawn(connection.flush) for connection in closing]
        gevent.sleep(0)  # the flushes run now
        patience = Patience(self.config.limits.close_limit_s, self.config.stop_limit_s, self.clock.now_us())
        while not closing.isdisjoint(self.core.roster.connections.values()):
            left = len(closing) - sum(connection.session.has_gone for connection in closing)
            if not patience.lasts(left, self.clock.now_us()):
                break
            gevent.sleep(STEP_S)
        for connection in closing.intersection(self.core.roster.connections.values()):
            connection.abort()
        gevent.killall(flushes)

    def _see_gone(self) -> None:
        """Wait until all seats have been given back, which takes a turn of the event loop for each."""
        for _ in range(int(GONE_LIMIT_S / STEP_S)):
            if not self.core.lobby.connections:
                break
            gevent.sleep(STEP_S)


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """
    Open the listening socket, at the first of the host's addresses that this machine has; ``::`` is for IPv4, too.

    Raises:
        OSError: this machine has none of the addresses, or the port is taken.

    """
    why = OSError(f"{host} has no address")
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        takes_both = address[0] == "::" and socket.has_dualstack_ipv6()
        try:
            return socket.create_server(address, family=family, backlog=backlog, dualstack_ipv6=takes_both)
        except OSError as error:
            if error.errno not in NOT_HERE:
                raise
            why = error
    raise why


def stop_signals() -> list[int]:
    """Return the signals that stop a server; SIGHUP is not among them where nohup has us ignore it."""
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT] if is_kept else [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def load_framework(config: ServerConfig) -> Any:
    """Return the class of the framework that is chosen."""
    with needed_by(f"--framework {config.framework}", "server"):
        return import_module(module_of(config.framework), __package__).Framework


def choose_event_loop(config: ServerConfig) -> None:
    """Set the event loop that the hub makes when it is created."""
    warnings.filterwarnings("ignore", "libuv only supports millisecond timer resolution")  # so it waits a little longer
    with needed_by(f"--loop {config.loop}", "server"):
        gevent.config.loop = EVENT_LOOPS[config.loop]  # this imports it


def serve(config: ServerConfig) -> int:
    """Run a server; return the exit status."""
    prepare_process(config)
    choose_event_loop(config)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logger.addFilter(ShortageFilter())
    try:
        listener = listen(config.host, config.port, config.backlog)
        server = Server(config)
    except (OSError, ValueError) as error:
        fail_usage(f"can't serve on {config.place}: {error}")
    server.run(listener)
    return 0
