"""
Edge: what has a room's members where another process has its game. Not one of the designs of the articles.

It hands the owner's frames on, one after the other, with the welcomes between them, so that nobody is told of a step
twice or misses one.
"""

import gevent
import msgspec
from gevent.event import Event

from shared.edges.edge import Edge
from shared.edges.posts import (
    HERE_S,
    NEW_OWNER,
    NO_RELAY,
    NOT_KNOWN,
    SILENCE_S,
    Frame,
    FromOwner,
    Owned,
    State,
    Told,
    Welcomed,
    open_at_edge,
)
from shared.loops.schedule import DueTick
from shared.relay.bus import Down, Lagged, Message, Up
from shared.wire.frames import CloseCode
from shared.wire.messages import ClientMessage, NewPlayer
from shared.wire.parser import Message as Received
from shared.wire.session import CANT_OPEN

from ..connection import Connection
from ..host import Host, Soon
from ..relay.tenancy import Tenancy
from ..ticker import Ticker


class EdgeLoop:
    """Owns what hands one room on."""

    def __init__(self, host: Host, ticker: Ticker, tenancy: Tenancy) -> None:
        self.ticker = ticker
        self.room = ticker.room
        self.audience = ticker.audience
        self.edge: Edge[Connection] = Edge(self.room, tenancy.me, tenancy.number, tenancy.publish)
        self._host = host
        self._tenancy = tenancy
        self._welcomes: dict[Connection, Event] = {}
        self._running = gevent.spawn(self._run)

    def receive(self, connection: Connection) -> Soon[Received]:
        """Wait for a connection's next message."""
        return connection.ws.receive_message()

    def take(self, connection: Connection, message: ClientMessage) -> None:
        """Pass on what a connection says; if it is a newcomer's, return when it is in the room."""
        if not isinstance(message, NewPlayer):
            self.edge.say(connection, message)
            return
        welcome = self._welcomes[connection] = Event()
        try:
            self.edge.say(connection, message)
            if not welcome.wait(SILENCE_S):
                connection.session.close(CloseCode.TRY_AGAIN_LATER, CANT_OPEN, self._host.clock.now_us())
        finally:
            del self._welcomes[connection]

    def leave(self, connection: Connection) -> None:
        """Remove a member."""
        self.edge.leave(connection)
        self.room.leave(connection)

    def stop(self) -> None:
        """End it, and wait until it has ended; who waits for a welcome gets none."""
        for welcome in self._welcomes.values():
            welcome.set()
        self._running.kill()

    # Private methods

    def _run(self) -> None:
        try:
            self._hand_on()
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._host.room_crashed(self, error)

    def _hand_on(self) -> None:
        """Take what comes from the owner until there is a new one, or the relay is gone for too long."""
        clock, stalls, edge = self._host.clock, self._host.core.stalls, self.edge
        here_at_us, gone_at_us = 0, None
        while not self._tenancy.is_over:
            event = self._tenancy.next(HERE_S / 2)
            now_us = clock.now_us()
            running_us = stalls.running_us(now_us)
            match event:
                case Message(payload):
                    if not self._take(payload):
                        self._host.room_lost(self, CloseCode.SERVICE_RESTART, NEW_OWNER)
                        return
                case Lagged() | Up():
                    gone_at_us = None
                    edge.miss(now_us)
                case Down() if gone_at_us is None:
                    gone_at_us = running_us
            if gone_at_us is not None and running_us - gone_at_us > SILENCE_S * 1_000_000:
                self._host.room_lost(self, CloseCode.TRY_AGAIN_LATER, NO_RELAY)
                return
            if running_us >= here_at_us:
                here_at_us = running_us + round(HERE_S * 1_000_000)
                edge.say_who_is_here()

    def _take(self, payload: bytes) -> bool:
        """Take what has come; say whether the owner is still the same."""
        try:
            number, post = open_at_edge(payload)
        except (ValueError, msgspec.MsgspecError):
            return True  # it is nothing of ours
        if self.edge.has_new_owner(number):
            return False
        if self.edge.is_of_owner(number):
            self._take_from_owner(post)
        return True

    def _take_from_owner(self, post: FromOwner) -> None:
        edge, now_us = self.edge, self._host.clock.now_us()
        match post:
            case Frame():
                self._host.core.hops.record(max(0, now_us - post.sent_us))
                if edge.take_frame(post):
                    self.ticker.hand_on(DueTick(post.n, post.due_us, max(0, now_us - post.due_us), 0), post.text)
                    if self.ticker.is_waited_for():
                        edge.ask_for_state()
            case State():
                edge.take_state(post)
                self.ticker.catch_up(post.field)
            case Welcomed():
                self._welcome(edge.take_welcome(post, now_us))
            case Told(of, serial, text) if (member := edge.member(of, serial)) is not None:
                member.session.send(text)
                member.flush()
            case Owned():
                for member in list(edge.strangers(post)):
                    member.session.close(CloseCode.SERVICE_RESTART, NOT_KNOWN, now_us)
                    member.flush()

    def _welcome(self, member: Connection | None) -> None:
        if member is not None:
            member.flush()
            if welcome := self._welcomes.get(member):
                welcome.set()
