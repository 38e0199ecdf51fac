"""
One connection: it reads for its session and room, and says what its writer is to send.

What may be said, and what is answered, is the session's to decide (:mod:`shared.wire.session`).
"""

import asyncio
from typing import TYPE_CHECKING

from backends.asyncio_server.websocket import ConnectionEndedError, GameWebSocket
from backends.asyncio_server.writer import WRITERS, Writer
from shared.server.consumer import Consumer
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode
from shared.wire.outbox import SlowConsumerError
from shared.wire.session import CLOSING, CLOSING_PAUSE_S, ENDED, STOPPING, Session

if TYPE_CHECKING:
    from backends.asyncio_server.loops import RoomLoop
    from backends.asyncio_server.server import Server


class Connection(Consumer):
    """A consumer that reads, too; :meth:`run` is its life. ``loop`` is that of its room."""

    __slots__ = ("__weakref__", "loop", "server", "ws")

    writer: Writer

    def __init__(self, server: "Server", ws: GameWebSocket, session: Session, loop: "RoomLoop | None") -> None:
        room, audience = (loop.ticker.room, loop.ticker.audience) if loop else (None, None)
        super().__init__(server.core, session, room, audience)
        self.server = server
        self.ws = ws
        self.loop = loop
        self.writer = WRITERS["naive" if ws.waits_for_peer else server.config.fanout](self)

    async def run(self) -> None:
        """Read until the connection has ended."""
        session, server = self.session, self.server
        server.core.roster.add(self, server.clock.now_us())
        if not server.core.lobby.open:  # it came in while the others were being sent away
            session.close(CloseCode.GOING_AWAY, STOPPING, server.clock.now_us())
        try:
            while session.state is not ENDED:
                await self._receive()
                await self.flush()
                if session.state is CLOSING:
                    await asyncio.sleep(CLOSING_PAUSE_S)
                    if self.ws.has_ended():  # what it still holds would be thrown away, too
                        session.receive_eof()
        finally:
            self.offer(-1)
            server.core.roster.remove(self)
            server.core.counters.count_end(session.close_label, dead=session.dead)
            if self.loop:
                self.loop.leave(self)
                self.let_go()
            if session.aborted:
                self.ws.abort()
            await self.writer.finish(0 if session.aborted else server.config.limits.close_limit_s)

    async def flush(self) -> None:
        """Send what the session has for this connection alone."""
        waiting = self.session.take_outgoing()
        if self.session.deadline_us < self.wakes_us:
            self.core.roster.wake_at_deadline(self)
        try:
            for outgoing in waiting:
                await self.writer.send(outgoing)
        except SlowConsumerError:
            self.end_slow(waiting, self.server.clock.now_us())

    async def wake(self, now_us: int) -> None:
        """Do what is due."""
        session = self.session
        session.wake(now_us)
        await self.flush()
        if session.state is ENDED:
            self.ws.abort()  # which ends the reader, too
        else:
            self.core.roster.wake_at_deadline(self)

    def abort(self) -> None:
        """End it at once."""
        self.session.abort()
        self.ws.abort()

    async def catch_up(self, field: bytes) -> None:
        """Send what it has missed; ``field`` is that after the last step."""
        await self.writer.send(self.take_missed(field))

    # Private methods

    async def _receive(self) -> None:
        session, clock = self.session, self.server.clock
        try:
            opcode, data = await (self.loop.receive(self) if self.loop else self.ws.receive_message())
        except ConnectionEndedError:
            await self.server.turns.take()  # thousands may go at once
            session.receive_eof()
        except ProtocolError as error:
            session.close(error.code, str(error), clock.now_us())
        else:
            message = self.hear(opcode, data, clock.now_us())
            if message is not None and self.loop:
                await self.loop.take(self, message)
            return
        if session.state is not ENDED:  # not where the error is caught: it holds every frame that it went through
            await self._see_off()

    async def _see_off(self) -> None:
        """Wait until a peer that can't be read any more has taken our close frame, or has had time to."""
        await self.flush()
        await self.writer.finish(self.server.config.limits.close_limit_s)
        await self.ws.linger(self.server.config.limits.close_limit_s)
        self.session.receive_eof()
