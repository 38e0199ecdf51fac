"""
The part of a server that is the same on both backends: its rooms' loops, and what is done for all of its connections.

A backend's server adds the waiting.
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from shared.edges.owner import Guest, Owner
from shared.loops.schedule import TickSchedule
from shared.relay.bus import Event, Message
from shared.rooms.room import Room
from shared.server.children import GameChildren
from shared.server.config import ServerConfig
from shared.server.core import ServerCore
from shared.system.clock import DueClock
from shared.system.logs import SparingLog
from shared.wire.close_wait import Patience
from shared.wire.errors import ClientError
from shared.wire.frames import CloseCode
from shared.wire.messages import Announcement, ClientMessage, encode_commands
from shared.wire.names import clean_announcement
from shared.wire.session import CANT_OPEN, STOPPING, Session

logger = logging.getLogger("tickbench")

HOUSEKEEPING_S = 0.1
STEP_S = 0.02
"""How often a stopping server checks which connections have ended."""

CRASHED = "the room crashed"

GONE_LIMIT_S = 1.5
"""For connections that were closed or aborted to give their seats back: 8,000 take half of it."""


class BaseServer(ABC):
    """
    All of a server that does not wait; a backend adds its tasks, or greenlets.

    Raises:
        ValueError: the scores file can't be used.

    """

    def __init__(self, config: ServerConfig, clock: DueClock[Any], children: GameChildren[Any]) -> None:
        self.config = config
        self.children = children
        self.log = SparingLog(logger)
        self.core: ServerCore[Any] = ServerCore(
            config, clock.now_us(), clock.offset_us, children.pids, clock.process_cpu_us
        )
        self.loops: dict[str, Any] = {}  # by room
        self.bus: Any = None  # to the processes that have the same rooms, if any have
        self.tenancies: dict[str, Any] = {}  # by room
        self.owners: dict[str, Owner] = {}  # by room, where edges have it, too
        self.owned: set[Any] = set()  # its tasks or greenlets
        self._now_us = clock.now_us
        if config.relay:
            self.core.reporter.relay = self._report_relay
        if self.core.redis:
            self.core.redis.on_loss = self.layer_lost

    # What a backend adds

    stopping: Any
    """An event."""

    @abstractmethod
    def own(self, act: Callable[..., Any], *arguments: Any) -> None:
        """Run something in the background, which the server ends if it has not ended before."""

    @abstractmethod
    def run_in_thread(self, act: Callable[[], None]) -> Any:
        """Run something in a thread, and wait until it has ended."""

    @abstractmethod
    def run_on_network(self, act: Callable[[], None]) -> Any:
        """Run something that has sockets of its own and waits for them, and wait until it has ended."""

    @abstractmethod
    def wait_for_each(self, pauses: Iterator[float]) -> Any:
        """Sleep for each of so many seconds."""

    @abstractmethod
    def make_loop(self, room: Room[Any], schedule: TickSchedule) -> Any:
        """Return the loop of a new room."""

    @abstractmethod
    def settle(self, room_name: str) -> Any:
        """Find out what part this process has in a room of several, and wait until that is known, or can't be."""

    def running_s(self) -> float:
        """Return the seconds in which this process ran, by a clock of its own: what children answer is judged by it."""
        return self._running_us() / 1_000_000

    def handle_signal(self, number: int) -> None:
        """Stop; the second time at once."""
        if self.stopping.is_set():
            os._exit(128 + number)
        self.stopping.set()

    # Rooms

    def room_loop(self, name: str) -> Any:
        """Return the loop of the room of that name; open the room if there is none."""
        if name not in self.loops:
            room, schedule = self.core.open_room(name, self._now_us())
            try:
                self.loops[name] = self.make_loop(room, schedule)
            except Exception:
                self.core.forget_room(room)  # half a room would stay for ever
                raise
        return self.loops[name]

    def fetch_of(self, room_name: str | None) -> Callable[[], None] | None:
        """Return what is to be run on the network before a room is opened: it reads the scores; None: nothing is."""
        remote = self.core.remote
        if remote is None or room_name is None or room_name in self.loops:
            return None
        return partial(remote.fetch, room_name)

    def find_loop(self, room_name: str | None, session: Session) -> Any:
        """Return the loop of a connection's room, None without one; close the session where it can't be opened."""
        if room_name is None:
            return None
        try:
            return self.room_loop(room_name)
        except OSError as error:  # there is no descriptor, or no process, for a child
            self.log.say("newcomers are sent away: a room can't be opened (%s)", error)
            session.close(CloseCode.TRY_AGAIN_LATER, CANT_OPEN, self._now_us())
            return None

    def room_crashed(self, loop: Any, error: BaseException | None) -> None:
        """End the room of a loop that raised, and nothing else; log the error (None: that is logged already)."""
        if error:
            logger.error("room %s crashed", loop.room.name, exc_info=error)
        self.core.counters.crashed_rooms += 1
        self._forget(loop)
        self._close_members(loop, CloseCode.INTERNAL_ERROR, CRASHED)

    def room_lost(self, loop: Any, code: int, reason: str) -> None:
        """End a room here that has another owner, or none that is heard; its members may come again."""
        if loop in self.loops.values():
            self._forget(loop)
            self.own(loop.stop)
            self._close_members(loop, code, reason)

    def layer_lost(self) -> None:
        """End all rooms that somebody is in, as what their frames went through is gone with all that was in it."""
        for loop in [loop for loop in self.loops.values() if loop.room.members]:
            self.core.counters.crashed_rooms += 1
            self.room_lost(loop, CloseCode.INTERNAL_ERROR, CRASHED)

    def hear(self, owner: Owner, event: Event | None) -> list[tuple[Guest, ClientMessage]]:
        """Take what has come from a room's edges; return who says what to its loop."""
        if isinstance(event, Message):
            with suppress(ValueError, msgspec.MsgspecError):  # it is nothing of ours
                return owner.receive(event.publisher, event.payload, self._running_us())
        elif event is not None:
            owner.bear_with(self._running_us())
        return []

    def announce(self, loop: Any, event: Event) -> None:
        """Tell all who are in a room here what its operator says."""
        if not isinstance(event, Message):
            return
        try:
            text = clean_announcement(event.payload.decode())
        except (ValueError, ClientError):
            return  # whoever sends may send anything
        payload = encode_commands([Announcement(text)])
        for member in loop.room.recipients():
            member.session.send(payload)
            self.own(member.flush)

    def tenancy_of(self, room: Room[Any]) -> Any:
        """Return this process's part in a room, None where rooms are of one process; OSError if it is not known."""
        if self.config.relay is None:
            return None
        tenancy = self.tenancies.get(room.name)
        if tenancy is None or not tenancy.number:
            raise OSError(f"the relay {self.config.relay.shown} does not say whose it is")
        return tenancy

    def note_relay(self) -> None:
        """Log that the relay is gone, if it is."""
        if self.bus and self.config.relay and not self.bus.core.is_up and not self.stopping.is_set():
            self.log.say(
                "the relay %s is gone (%s): rooms of one process go on", self.config.relay.shown, self.bus.core.why
            )

    # All connections

    def keep_house(self) -> Iterator[float]:
        """Look around again and again; yield for how many seconds to wait each time."""
        while True:
            yield HOUSEKEEPING_S
            try:
                self._look_around(self._now_us())
            except Exception as error:  # noqa: BLE001 # whatever it is, the next round must come
                self.log.say("a fault while keeping house", exc_info=error)

    def drain(self) -> Iterator[float]:
        """
        Take nobody any more, close connections evenly over ``drain_s``; yield for how many seconds to wait each time.

        All of a room are closed one after the other, room by room: who comes back to it at another server meets the
        others there. Whoever is left in the end is seen off.
        """
        self.core.lobby.open = False
        places = {name: place for place, name in enumerate(self.loops)}
        connections = self.core.roster.connections
        leaving = sorted(
            connections.values(), key=lambda each: places.get(each.loop.room.name, -1) if each.loop else -1
        )
        drain_us, began_us, told = round(self.config.drain_s * 1_000_000), self._running_us(), 0
        while connections and (passed_us := self._running_us() - began_us) < drain_us:
            due = len(leaving) * passed_us // drain_us
            for connection in leaving[told:due]:
                self._tell(connection, CloseCode.GOING_AWAY, STOPPING)
            told = due
            yield STEP_S

    def see_off(self) -> Iterator[float]:
        """
        Close all connections, and see that they end; yield for how many seconds to wait each time.

        In the end all seats have been given back, which takes a turn of the event loop for each.
        """
        yield from self._close(self.core.roster.connections.values(), CloseCode.GOING_AWAY, STOPPING)
        until_us = self._running_us() + round(GONE_LIMIT_S * 1_000_000)
        while self.core.lobby.connections and self._running_us() < until_us:  # a step of a busy server takes longer
            yield STEP_S

    # Private methods

    def _look_around(self, now_us: int) -> None:
        """Wake connections for which something is due; end slow consumers; close empty rooms; tidy up."""
        core = self.core
        core.stalls.note_turn(now_us)
        running_us = core.stalls.running_us(now_us)
        for connection in core.roster.pop_due(running_us):
            self.own(connection.wake, now_us)
        for connection in core.crowd_out(now_us):
            connection.abort()
        for connection in list(core.roster.slow):
            connection.watch(now_us)
        self.children.watch()
        if core.redis:
            core.redis.look()
        core.heap.tidy(core.lobby.connections, len(core.lobby.rooms), now_us)
        for name, rows in core.remote.take_recalled() if core.remote else ():
            if loop := self.loops.get(name):
                loop.room.recall(rows)
        if core.scores.look(now_us):
            self.own(self.run_on_network if core.remote else self.run_in_thread, core.scores.write_back)
        self.note_relay()
        for owner in self.owners.values():
            owner.end_silent(running_us)
        for loop in [self.loops[room.name] for room in core.lobby.idle_rooms(running_us)]:
            self._forget(loop)  # whoever comes now opens a new room
            self.own(loop.stop)

    def _running_us(self) -> int:
        return self.core.stalls.running_us(self._now_us())

    def _forget(self, loop: Any) -> None:
        room = loop.room
        if self.loops.get(room.name) is loop:
            del self.loops[room.name]
            self.core.forget_room(room)
            self.owners.pop(room.name, None)
            if tenancy := self.tenancies.pop(room.name, None):
                self.own(tenancy.close)

    def _report_relay(self) -> dict[str, object]:
        edges = [loop.edge for name, loop in self.loops.items() if name in self.tenancies and name not in self.owners]
        return {
            "url": self.config.relay.shown if self.config.relay else None,
            "is_up": self.bus.core.is_up,
            "lost": self.bus.core.lost,
            "owned_rooms": len(self.owners),
            "edge_rooms": len(edges),
            "guests": sum(len(owner.guests) for owner in self.owners.values()),
            "resyncs": sum(edge.resyncs for edge in edges),
            "hop": self.core.hops.summary(),
        }

    def _close_members(self, loop: Any, code: int, reason: str) -> None:
        members = [connection for connection in self.core.roster.connections.values() if connection.loop is loop]
        self.own(self.wait_for_each, self._close(members, code, reason))

    def _tell(self, connection: Any, code: int, reason: str) -> None:
        """Close a connection from our side, unless it is closed already."""
        connection.session.close(code, reason, self._now_us())
        self.own(connection.flush)

    def _close(self, connections: Iterable[Any], code: int, reason: str) -> Iterator[float]:
        """Close connections from our side; wait, as above, until they have ended, then abort those that have not."""
        closing = set(connections)
        for connection in closing:
            self._tell(connection, code, reason)
        yield 0  # they are flushed now
        patience = Patience(self.config.limits.close_limit_s, self.config.stop_limit_s, self._running_us())
        while not closing.isdisjoint(self.core.roster.connections.values()):
            left = len(closing) - sum(connection.session.has_gone for connection in closing)
            if not patience.lasts(left, self._running_us()):
                break
            yield STEP_S
        for connection in closing.intersection(self.core.roster.connections.values()):
            connection.abort()
