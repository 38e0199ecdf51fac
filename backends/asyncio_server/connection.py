"""
One connection's life: it reads messages for its session and room, and has its writer send the answers.

Which messages are allowed, and how they are answered, is decided by :mod:`shared.wire.session`.
"""

import asyncio

from shared.server.consumer import Consumer
from shared.wire.errors import ProtocolError
from shared.wire.forms import PLAIN, World
from shared.wire.frames import CloseCode
from shared.wire.outbox import SlowConsumerError
from shared.wire.session import CLOSING, CLOSING_PAUSE_S, ENDED, STOPPING, Session

from .host import ConnectionEndedError, Host, MembersLoop, PlayerSocket, Soon, Writer


class Connection(Consumer):
    """A consumer that reads, too, from the beginning of :meth:`run` to its end."""

    __slots__ = ("__weakref__", "host", "writer")

    loop: MembersLoop | None
    ws: PlayerSocket

    def __init__(
        self, host: Host, ws: PlayerSocket, session: Session, loop: MembersLoop | None, form: int = PLAIN
    ) -> None:
        super().__init__(host.core, session, ws, loop, form)
        self.host = host
        self.writer: Writer = host.new_writer(self)

    async def run(self) -> None:
        """Read until the connection has ended."""
        session, host = self.session, self.host
        host.core.add(self, host.clock.now_us())
        if not host.core.lobby.open:  # it connected while the server was already closing the others
            session.close(CloseCode.GOING_AWAY, STOPPING, host.clock.now_us())
        try:
            await self.flush()  # it may be closed already: its room can't be opened
            while session.state is not ENDED:
                await self._receive()
                await self.flush()
                if session.state is CLOSING:
                    await asyncio.sleep(CLOSING_PAUSE_S)
                    if self.ws.has_ended():  # messages that are left would be dropped, too
                        session.receive_eof()
        finally:
            self.leave()
            if session.aborted:
                self.ws.abort()
            await self.writer.finish(0 if session.aborted else host.config.limits.close_limit_s)

    async def flush(self) -> None:
        """Send the session's messages."""
        waiting = self.session.take_outgoing()
        if self.session.deadline_us < self.wakes_us:
            self.core.roster.wake_at_deadline(self)
        try:
            for outgoing in waiting:
                await self.writer.send(outgoing)
        except SlowConsumerError:
            self.end_slow(waiting, self.host.clock.now_us())

    def catch_up(self, world: World) -> Soon[None]:
        """Send what it has missed; ``world`` is the field after the last step."""
        return self.writer.send(self.take_missed(world))

    # Private methods

    async def _receive(self) -> None:
        session, clock = self.session, self.host.clock
        try:
            opcode, data = await (self.loop.receive(self) if self.loop else self.ws.receive_message())
        except ConnectionEndedError:
            await self.host.turns.take()  # thousands may end at once
            session.receive_eof()
        except ProtocolError as error:
            session.close(error.code, str(error), clock.now_us())
        else:
            message = self.hear(opcode, data, clock.now_us())
            if message is not None and self.loop:
                await self.loop.take(self, message)
            return
        # Its peer can't be read any more, but is to have our close frame, or time to take it.
        if session.state is not ENDED:  # not where the error is caught: its traceback keeps frames in memory
            await self.flush()
            await self.writer.finish(self.host.config.limits.close_limit_s)
            await self.ws.linger(self.host.config.limits.close_limit_s)
            session.receive_eof()
