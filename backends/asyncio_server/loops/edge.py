"""
Edge: what has a room's members where another process has its game. Not one of the designs of the articles.

It hands the owner's frames on, one after the other, with the welcomes between them, so that nobody is told of a step
twice or misses one.
"""

import asyncio

from shared.edges.edge import Edge, RoomLostError
from shared.edges.posts import HERE_S, SILENCE_S, Frame, FromOwner, State
from shared.relay.bus import Event
from shared.wire.frames import CloseCode
from shared.wire.messages import ClientMessage, NewPlayer
from shared.wire.parser import Message
from shared.wire.session import CANT_OPEN

from ..connection import Connection
from ..host import Host, Soon
from ..relay.bell import Bell
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
        self._welcomes: dict[Connection, Bell] = {}
        self._running = asyncio.create_task(self._run(), name=f"edge of room {self.room.name}")

    def receive(self, connection: Connection) -> Soon[Message]:
        """Wait for a connection's next message."""
        return connection.ws.receive_message()

    async def take(self, connection: Connection, message: ClientMessage) -> None:
        """Pass on what a connection says; if it is a newcomer's, return when it is in the room."""
        if not isinstance(message, NewPlayer):
            self.edge.say(connection, message)
            return
        welcome = self._welcomes[connection] = Bell()
        try:
            self.edge.say(connection, message)
            if not await welcome.rings(SILENCE_S):
                connection.session.close(CloseCode.TRY_AGAIN_LATER, CANT_OPEN, self._host.clock.now_us())
        finally:
            del self._welcomes[connection]

    def leave(self, connection: Connection) -> None:
        """Remove a member."""
        self.edge.leave(connection)
        self.room.leave(connection)

    async def stop(self) -> None:
        """End it, and wait until it has ended; who waits for a welcome gets none."""
        for welcome in self._welcomes.values():
            welcome.set()
        self._running.cancel()
        await asyncio.wait([self._running])

    # Private methods

    async def _run(self) -> None:
        """Take what comes from the owner until there is a new one, or the relay is gone for too long."""
        try:
            while not self._tenancy.is_over:
                await self._hear(await self._tenancy.next(HERE_S / 2))
        except RoomLostError as lost:
            self._host.room_lost(self, lost.code, str(lost))
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._host.room_crashed(self, error)

    async def _hear(self, event: Event | None) -> None:
        now_us = self._host.clock.now_us()
        running_us = self._host.core.stalls.running_us(now_us)
        if post := self.edge.hear(event, now_us, running_us):
            await self._take(post, now_us)
        self.edge.look(running_us)

    async def _take(self, post: FromOwner, now_us: int) -> None:
        match post:
            case Frame():
                self._host.core.hops.record(max(0, now_us - post.sent_us))
                if self.edge.take_frame(post):
                    await self.ticker.hand_on(post.due(now_us), post.text)
                    if self.ticker.is_waited_for():
                        self.edge.ask_for_state()
            case State():
                self.edge.take_state(post)
                await self.ticker.catch_up(post.field)
            case _:
                for member in self.edge.take_other(post, now_us):
                    await member.flush()
                    if welcome := self._welcomes.get(member):
                        welcome.set()
