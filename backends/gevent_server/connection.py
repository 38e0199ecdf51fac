"""
One connection: it reads for its session and room, and says what its writer is to send.

What may be said, and what is answered, is the session's to decide (:mod:`shared.wire.session`).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import gevent

from backends.gevent_server.websocket import ConnectionEndedError, GameWebSocket
from backends.gevent_server.writer import WRITERS, Writer
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode, Opcode
from shared.wire.outbox import SlowConsumerError
from shared.wire.session import CLOSING, CLOSING_PAUSE_S, ENDED, STOPPING, TOO_SLOW, Outgoing, Session

if TYPE_CHECKING:
    from backends.gevent_server.loops import RoomLoop
    from backends.gevent_server.server import Server


class Connection:
    """
    A member of a room, or on its way to become one; with no loop, one of ``/echo``.

    :meth:`run` is its life. ``fd`` is its descriptor while a tick's frame may be written to it, else -1.
    """

    __slots__ = ("fd", "loop", "serial", "server", "session", "wakes_us", "writer", "ws")

    def __init__(self, server: "Server", ws: GameWebSocket, session: Session, loop: "RoomLoop | None") -> None:
        self.fd = -1
        self.serial = server.next_serial()
        self.wakes_us = 0  # when the server is to wake it
        self.server = server
        self.ws = ws
        self.session = session
        self.loop = loop
        self.writer: Writer = WRITERS["naive" if ws.waits_for_peer else server.config.fanout](self)

    def run(self) -> None:
        """Read until the connection has ended."""
        session, server = self.session, self.server
        server.add(self)
        if not server.core.lobby.open:  # it came in while the others were being sent away
            session.close(CloseCode.GOING_AWAY, STOPPING, server.clock.now_us())
        try:
            while session.state is not ENDED:
                self._receive()
                self.flush()
                if session.state is CLOSING:
                    gevent.sleep(CLOSING_PAUSE_S)
        finally:
            self.offer(-1)
            server.remove(self)
            server.core.counters.count_end(session.close_code, dead=session.dead)
            if self.loop:
                self.loop.ticker.room.leave(self)
                self.loop.update()
            if session.aborted:
                self.ws.abort()
            self.writer.finish(0 if session.aborted else server.config.limits.close_limit_s)

    def flush(self) -> None:
        """Send what the session has for this connection alone."""
        waiting = self.session.take_outgoing()
        if self.session.deadline_us < self.wakes_us:
            self.server.wake_at_deadline(self)
        try:
            for outgoing in waiting:
                self.writer.send(outgoing)
        except SlowConsumerError:
            self.end_slow(waiting)

    def wake(self, now_us: int) -> None:
        """Do what is due."""
        session = self.session
        session.wake(now_us)
        self.flush()
        if session.state is ENDED:
            self.ws.abort()  # which ends the reader, too
        else:
            self.server.wake_at_deadline(self)

    def offer(self, fd: int) -> None:
        """Let ticks' frames be written to ``fd``, or, if that is -1, none."""
        if fd != self.fd:
            self.fd = fd
            if self.loop:
                self.loop.ticker.audience.is_stale = True

    def abort(self) -> None:
        """End it at once."""
        self.session.receive_eof()
        self.ws.abort()

    # While it does not take its frames

    def skip(self, now_us: int) -> None:
        """Take note that a tick was skipped for it."""
        self.writer.outbox.note_skip(self.writer.unsent_bytes(), now_us)
        self.server.slow.add(self)

    def catch_up(self) -> None:
        """Send what it has missed, if the kernel has taken all before."""
        if self.loop and self.session.is_open and self.writer.outbox.is_behind and self.writer.is_drained():
            self.writer.outbox.note_catch_up()
            self.server.slow.discard(self)
            self.writer.send(Outgoing(Opcode.TEXT, self.loop.ticker.room.catch_up(self)))

    def watch(self, now_us: int) -> None:
        """End it as a slow consumer if its time is up."""
        stalled_us = self.writer.outbox.stalled_us(self.writer.unsent_bytes(), now_us)
        if not self.session.is_open:
            if now_us >= self.session.deadline_us:
                self.abort()
        elif stalled_us >= self.server.config.limits.slow_limit_s * 1_000_000 or (
            self.loop and self.loop.ticker.room.owes_too_much(self)
        ):
            self.end_slow()

    def end_slow(self, waiting: Iterable[Outgoing] = ()) -> None:
        """End it: it gets the rest of its frame, a close frame, and no more of what is ``waiting``."""
        server, session = self.server, self.session
        server.core.counters.slow_closed += 1
        server.slow.add(self)  # which aborts it when it does not even take that
        session.close(CloseCode.TRY_AGAIN_LATER, TOO_SLOW, server.clock.now_us())
        last = [outgoing for outgoing in (*waiting, *session.take_outgoing()) if outgoing.opcode is Opcode.CLOSE]
        self.writer.cut_off(last)

    # Private methods

    def _receive(self) -> None:
        session, clock = self.session, self.server.clock
        try:
            opcode, data = self.ws.receive_message()
        except ConnectionEndedError:
            session.receive_eof()
        except ProtocolError as error:
            session.close(error.code, str(error), clock.now_us())
            self.flush()
            self.writer.finish(self.server.config.limits.close_limit_s)
            self.ws.linger(self.server.config.limits.close_limit_s)
            session.receive_eof()
        else:
            message = session.receive(opcode, data, clock.now_us())
            if message is not None and self.loop:
                self.loop.ticker.room.receive(self, message, clock.now_us())
                self.loop.update()
