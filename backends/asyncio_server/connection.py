"""
One connection: it reads for its session and room, and is the only one that writes.

What may be said, and what is answered, is the session's to decide (:mod:`shared.wire.session`).
"""

import asyncio
from typing import TYPE_CHECKING

from backends.asyncio_server.websocket import ConnectionEndedError, GameWebSocket
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode
from shared.wire.session import CLOSING, CLOSING_PAUSE_S, ENDED, MAX_OWED_MESSAGES, STOPPING, Session

if TYPE_CHECKING:
    from backends.asyncio_server.loops import RoomLoop
    from backends.asyncio_server.server import Server


class Connection:
    """
    A member of a room, or on its way to become one; with no loop, one of ``/echo``.

    :meth:`run` is its life.
    """

    def __init__(self, server: "Server", ws: GameWebSocket, session: Session, loop: "RoomLoop | None") -> None:
        self.server = server
        self.ws = ws
        self.session = session
        self.loop = loop
        self._owed = 0  # personal messages sent since the kernel last had taken all

    async def run(self) -> None:
        """Read until the connection has ended."""
        session, server = self.session, self.server
        server.connections.add(self)
        if not server.core.lobby.open:  # it came in while the others were being sent away
            session.close(CloseCode.GOING_AWAY, STOPPING, server.clock.now_us())
        try:
            while session.state is not ENDED:
                if time_left_s := session.time_left_s(server.clock.now_us()):
                    await self._receive(time_left_s)
                else:  # also while a peer leaves us no moment without a message
                    session.wake(server.clock.now_us())
                await self.flush()
                if session.state is CLOSING:
                    await asyncio.sleep(CLOSING_PAUSE_S)
                    if self.ws.has_ended():  # what it still holds would be thrown away, too
                        session.receive_eof()
        finally:
            server.connections.discard(self)
            server.core.counters.count_end(session.close_code, dead=session.dead)
            if self.loop:
                self.loop.ticker.room.leave(self)
                self.loop.update()
        if session.aborted:
            self.ws.abort()
        else:
            await self.ws.finish(server.config.limits.close_limit_s)

    async def flush(self) -> None:
        """Send what the session has for this connection alone."""
        for outgoing in self.session.take_outgoing():
            if self._is_slow():
                self.server.core.counters.slow_closed += 1
                self.abort()
                return
            try:
                async with asyncio.timeout(self.server.config.limits.silence_limit_s):
                    await self.ws.send_message(outgoing.opcode, outgoing.payload)
            except (ConnectionError, TimeoutError):
                self.abort()
                return

    async def send_frame(self, text: str) -> None:
        """Send a tick's frame with the library's own send."""
        try:
            await self.ws.send_str(text)
        except ConnectionError:
            self.session.receive_eof()  # its reader ends it: one leaver never ends a tick

    def takes_frames(self) -> bool:
        """Whether the last frame has been handed to the kernel."""
        return not self.ws.unsent_bytes()

    def abort(self) -> None:
        """End it at once."""
        self.session.receive_eof()
        self.ws.abort()

    # Private methods

    async def _receive(self, timeout_s: float) -> None:
        session, clock = self.session, self.server.clock
        try:
            opcode, data = await self.ws.receive_message(timeout_s)
        except TimeoutError:
            return  # something is due
        except ConnectionEndedError:
            session.receive_eof()
        except ProtocolError as error:
            session.close(error.code, str(error), clock.now_us())
            await self.flush()
            await self.ws.linger(self.server.config.limits.close_limit_s)
            session.receive_eof()
        else:
            message = session.receive(opcode, data, clock.now_us())
            if message is not None and self.loop:
                self.loop.ticker.room.receive(self, message, clock.now_us())
                self.loop.update()

    def _is_slow(self) -> bool:
        if self.ws.waits_for_peer or self.takes_frames():
            self._owed = 0
            return False
        self._owed += 1
        return self._owed > MAX_OWED_MESSAGES
