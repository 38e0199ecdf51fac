"""Starts, runs and stops a server, which owns every connection, every room's loop and the listening socket."""

import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from shared.edges.owner import Owner
from shared.edges.posts import HERE_S, NEW_OWNER, group_of
from shared.loops.schedule import TickSchedule
from shared.relay.bus import RelayError
from shared.rooms.room import Room
from shared.server.base_server import BaseServer
from shared.server.children import GameChildren
from shared.server.config import ServerConfig, fail_usage, prepare_process
from shared.server.gate import Gate, Seat, load_framework
from shared.system.heap import settle_heap
from shared.system.listener import families, listen, stop_signals
from shared.system.packages import needed_by
from shared.wire.frames import CloseCode
from shared.wire.messages import NewPlayer
from shared.wire.session import Session

from .blocking import watch_blocking
from .children import GameChild
from .clock import Clock
from .connection import Connection
from .fanout import FANOUTS
from .host import PlayerSocket, Soon, Writer
from .loops import load_loop_mode
from .loops.edge import EdgeLoop
from .loops.managed import ManagedLoop
from .relay.bus import Bus
from .relay.groups import Groups
from .relay.tenancy import Tenancy
from .ticker import Ticker
from .turns import Turns
from .writer import new_writer

EVENT_LOOPS = {"libev": "libev-cext", "libuv": "libuv-cffi"}
"""For each ``--loop`` gevent's name of it."""

NETWORK_AT_ONCE = 6
"""As many greenlets as asyncio has threads on two cores."""

SETTLE_TRIES = 3
"""How often somebody waits for what part this process has in a room, where rooms end meanwhile."""


class Server(BaseServer):
    """One server process, with everything in it."""

    def __init__(self, config: ServerConfig) -> None:
        self._framework = load_framework(config)  # before all that has a time: to import it takes a while
        self.clock = Clock(config.clock)
        start_child = partial(GameChild, config.worker_nice, config.worker_limit_s, self.running_s)
        super().__init__(config, self.clock, GameChildren(config.workers, start_child))
        self.new_writer: Callable[[Connection], Writer] = new_writer
        self.turns = Turns(self.clock, self.core.stalls)
        self._fanout = FANOUTS[config.fanout]()
        self._loop_mode = load_loop_mode(config.mode)
        self.gate = Gate(self)
        self.stopping = Event()
        self.bus = Bus(config.relay) if config.relay else None
        self.groups: Groups[Any] | None = Groups(self.bus, self.announce) if self.bus else None
        self._network = BoundedSemaphore(NETWORK_AT_ONCE)

    # Life

    def run(self, listener: socket.socket) -> None:
        """Serve until told to stop."""
        for number in stop_signals():
            gevent.signal_handler(number, self.handle_signal, number)
        self.core.listens_at(listener.getsockname()[0])
        framework = self._framework(self.gate)
        self.clock.open()
        self.turns.open()
        try:
            framework.start(listener)
            if self.bus:
                self.bus.open()
            self.own(self.wait_for_each, self.keep_house())
            if self.config.mode == "process":
                self.children.open()
            settle_heap()
            if self.config.debug_blocking:
                self.own(watch_blocking)  # only now: to settle the heap blocks the loop, too
            self.config.announce(*listener.getsockname()[:2], families=families(listener))
            self.stopping.wait()
            self.wait_for_each(self.drain())
            framework.close()
            self._stop()
            framework.stop()
        finally:
            self.clock.close()
            self.turns.close()
            self.core.close()

    def _stop(self) -> None:
        """Close all connections, wait until they have ended, then end everything that runs."""
        self.wait_for_each(self.see_off())
        gevent.joinall([gevent.spawn(loop.stop) for loop in self.loops.values()])
        gevent.joinall([gevent.spawn(tenancy.close) for tenancy in self.tenancies.values()])
        if self.bus and self.groups:
            self.groups.close()
            self.bus.close()
        gevent.joinall([gevent.spawn(child.close) for child in self.children.all()])
        gevent.killall(list(self.owned))

    # What a backend adds

    def own(self, act: Callable[..., Soon[object]], *arguments: Any) -> None:
        """Run something in the background, which the server ends if it has not ended before."""
        greenlet: gevent.Greenlet[..., Any] = gevent.spawn(act, *arguments)
        self.owned.add(greenlet)
        greenlet.link(self.owned.discard)

    def run_in_thread(self, act: Callable[[], None]) -> Soon[None]:
        """Run something in a thread, and wait until it has ended."""
        gevent.get_hub().threadpool.apply(act)

    def run_on_network(self, act: Callable[[], None]) -> Soon[None]:
        """Run something that has sockets of its own and waits for them, and wait until it has ended."""
        with self._network:
            act()

    def wait_for_each(self, pauses: Iterator[float]) -> None:
        """Sleep for each of so many seconds."""
        for pause_s in pauses:
            gevent.sleep(pause_s)

    def settle(self, room_name: str | None) -> None:
        """Find out what part this process has in a room of several, and wait until that is known, or can't be."""
        for _ in range(SETTLE_TRIES):
            if self.bus is None or room_name is None or room_name in self.loops:
                return
            tenancy: Tenancy = self.tenancies.setdefault(room_name, Tenancy(self.bus, room_name))
            try:
                tenancy.settle()
            except RelayError:
                if self.tenancies.get(room_name) is tenancy:
                    del self.tenancies[room_name]
                    tenancy.close()
                return
            if self.tenancies.get(room_name) is tenancy:
                return  # else its room was opened, and has ended, while others waited

    def make_loop(self, room: Room[Connection], schedule: TickSchedule) -> ManagedLoop | EdgeLoop:
        """Return the loop of a new room."""
        tenancy: Tenancy | None = self.tenancy_of(room)
        if tenancy is None:
            return self._loop_mode(self, Ticker(self, room, schedule, self._fanout))
        loop: ManagedLoop | EdgeLoop
        if tenancy.is_owner:
            owner = self.owners[room.name] = Owner(room, tenancy.current_number, tenancy.publish)
            loop = owner.loop = self._loop_mode(self, Ticker(self, room, schedule, self._fanout, owner))
            self.own(self._hear_edges, tenancy, owner)
        else:
            loop = EdgeLoop(self, Ticker(self, room, schedule, self._fanout), tenancy)
        self.own(self._watch, tenancy, loop)
        self.own(self._join_group, loop)
        return loop

    def run_seat(self, seat: Seat, session: Session, socket: PlayerSocket) -> None:
        """Run a connection to its end, and give the seat back."""
        try:
            if fetch := self.fetch_of(seat.room):
                self.run_on_network(fetch)
            self.settle(seat.room)
            Connection(self, socket, session, self.find_loop(seat.room, session), seat.form).run()
        finally:
            self.gate.release(seat)

    # Private methods

    def _watch(self, tenancy: Tenancy, loop: ManagedLoop | EdgeLoop) -> None:
        """End a room here as soon as it has, or may have, another owner."""
        tenancy.wait_until_lost()
        if self.groups:
            self.groups.discard(group_of(loop.room.name), loop)
        self.room_lost(loop, CloseCode.SERVICE_RESTART, NEW_OWNER)

    def _join_group(self, loop: ManagedLoop | EdgeLoop) -> None:
        """Have what is announced to a room told to those who are in it here."""
        if self.groups and self.loops.get(loop.room.name) is loop:
            with suppress(RelayError):  # it is there, and does not answer: then there is nothing to be told
                self.groups.add(group_of(loop.room.name), loop)

    def _hear_edges(self, tenancy: Tenancy, owner: Owner) -> None:
        """Have a room's loop take what its edges say."""
        while not tenancy.is_over:
            event = tenancy.next(HERE_S)
            for guest, message in self.hear(owner, event):
                if isinstance(message, NewPlayer):
                    self.own(owner.loop.take, guest, message)  # which may wait for the game
                else:
                    owner.loop.take(guest, message)


def choose_event_loop(config: ServerConfig) -> None:
    """Set the event loop that the hub makes when it is created."""
    warnings.filterwarnings("ignore", "libuv only supports millisecond timer resolution")  # so it waits a little longer
    with needed_by(f"--loop {config.loop}", "server"):
        gevent.config.loop = EVENT_LOOPS[config.loop]  # this imports it


def serve(config: ServerConfig) -> int:
    """Run a server; return the exit status."""
    prepare_process(config)
    choose_event_loop(config)
    load_framework(config)  # before a port is taken: what it needs may be missing
    try:
        listener = listen(config.host, config.port, config.backlog)
        server = Server(config)
    except (OSError, ValueError) as error:
        fail_usage(f"can't serve on {config.place}: {error}")
    server.run(listener)
    return 0
