"""Starts, runs and stops a server, which owns every connection, every room's loop and the listening socket."""

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from importlib import import_module
from typing import Any

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
from shared.wire.request import READ_BYTES
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

EVENT_LOOPS = {"asyncio": "backends.asyncio_server.turns", "uvloop": "uvloop"}
"""For each ``--loop`` the module whose ``new_event_loop`` makes it."""

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
        self.read_buffer = bytearray(READ_BYTES)  # of whoever is read from, for as long as that takes
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
        self.tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

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

    async def run_seat(self, seat: Seat, session: Session, socket: PlayerSocket) -> None:
        """Run a connection to its end."""
        await Connection(self, socket, session, self.find_loop(seat.room, session)).run()

    # Life

    async def run(self, listener: socket.socket) -> None:
        """Serve until told to stop."""
        for number in stop_signals():
            asyncio.get_running_loop().add_signal_handler(number, self._handle_signal, number)
        self.core.listens_at(listener.getsockname()[0])
        framework = self._framework(Gate(self))
        self.clock.open()
        try:
            await framework.start(listener)
            self.own(self._keep_house)
            if self.config.mode == "process":
                self.workers.open()
            settle_heap()
            if self.config.debug_blocking:
                self.watch.open()  # only now: to settle the heap blocks the loop, too
            self.config.announce(*listener.getsockname()[:2])
            await self._stopping.wait()
            self.core.lobby.open = False
            await framework.close()
            await self._stop()
            await framework.stop()
        finally:
            self.watch.close()
            self.clock.close()
            self.core.scores.close()

    async def _stop(self) -> None:
        """Close all connections, wait until they have ended, then end everything that runs."""
        await self._close(list(self.core.roster.connections.values()), CloseCode.GOING_AWAY, STOPPING)
        await self._see_gone()
        await asyncio.gather(*(loop.stop() for loop in self.loops.values()))
        await asyncio.gather(*(worker.close() for worker in self.workers.all()))
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _handle_signal(self, number: int) -> None:
        if self._stopping.is_set():
            os._exit(128 + number)  # the second one: at once
        self._stopping.set()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                await self._look_around(self.clock.now_us())
            except Exception as error:  # noqa: BLE001 # whatever it is, the next round must come
                self.log.say("a fault while keeping house", exc_info=error)

    async def _look_around(self, now_us: int) -> None:
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
            self.own(asyncio.to_thread, self.core.scores.checkpoint)
        for loop in [self.loops[room.name] for room in self.core.lobby.idle_rooms(now_us)]:
            self._forget(loop)  # whoever comes now opens a new room
            self.own(loop.stop)

    def own(self, act: Callable[..., Coroutine[None, None, None]], *arguments: Any) -> None:
        """Run a background task until it ends, or the server does."""
        task = asyncio.create_task(act(*arguments))
        self.tasks.add(task)
        task.add_done_callback(self._disown)

    # Private methods

    def _forget(self, loop: RoomLoop) -> None:
        room = loop.ticker.room
        if self.loops.get(room.name) is loop:
            del self.loops[room.name]
            self.core.forget_room(room)

    async def _close(self, connections: Iterable[Connection], code: int, reason: str) -> None:
        """Close connections from our side; wait until they have ended, then abort those that have not."""
        closing = set(connections)
        for connection in closing:
            connection.session.close(code, reason, self.clock.now_us())
        flushes = [asyncio.create_task(connection.flush()) for connection in closing]
        await asyncio.sleep(0)  # the flushes run now
        patience = Patience(self.config.limits.close_limit_s, self.config.stop_limit_s, self.clock.now_us())
        while not closing.isdisjoint(self.core.roster.connections.values()):
            left = len(closing) - sum(connection.session.has_gone for connection in closing)
            if not patience.lasts(left, self.clock.now_us()):
                break
            await asyncio.sleep(STEP_S)
        for connection in closing.intersection(self.core.roster.connections.values()):
            connection.abort()
        for flush in flushes:
            flush.cancel()
        await asyncio.gather(*flushes, return_exceptions=True)

    async def _see_gone(self) -> None:
        """Wait until all seats have been given back, which takes a turn of the event loop for each."""
        for _ in range(int(GONE_LIMIT_S / STEP_S)):
            if not self.core.lobby.connections:
                break
            await asyncio.sleep(STEP_S)

    def _disown(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.log.say("a task of the server failed", exc_info=error)


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


def choose_event_loop(config: ServerConfig) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the function that makes an event loop of the ``--loop`` that is chosen."""
    with needed_by(f"--loop {config.loop}", "server"):
        make: Callable[[], asyncio.AbstractEventLoop] = import_module(EVENT_LOOPS[config.loop]).new_event_loop
    return make


def serve(config: ServerConfig) -> int:
    """Run a server; return the exit status."""
    prepare_process(config)
    with asyncio.Runner(loop_factory=choose_event_loop(config)) as runner:
        return runner.run(_serve(config))


async def _serve(config: ServerConfig) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncio").addFilter(ShortageFilter())
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)  # it warns of subprotocols that a peer asks for
    try:
        listener = listen(config.host, config.port, config.backlog)
        server = Server(config)
    except (OSError, ValueError) as error:
        fail_usage(f"can't serve on {config.place}: {error}")
    await server.run(listener)
    return 0
