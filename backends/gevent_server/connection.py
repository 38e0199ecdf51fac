"""
One connection: it reads for its session and room, and is the only one that writes.

What may be said, and what is answered, is the session's to decide (:mod:`shared.wire.session`).
"""

from collections import deque
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event
from geventwebsocket.exceptions import WebSocketError

from backends.gevent_server.websocket import STEP_S, ConnectionEndedError, GameWebSocket
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode
from shared.wire.session import CLOSING, CLOSING_PAUSE_S, ENDED, MAX_OWED_MESSAGES, STOPPING, Outgoing, Session

if TYPE_CHECKING:
    from backends.gevent_server.loops import RoomLoop
    from backends.gevent_server.server import Server


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
        self._writer = None if ws.waits_for_peer else Writer(self)

    def run(self) -> None:
        """Read until the connection has ended."""
        session, server = self.session, self.server
        server.connections.add(self)
        if not server.core.lobby.open:  # it came in while the others were being sent away
            session.close(CloseCode.GOING_AWAY, STOPPING, server.clock.now_us())
        try:
            while session.state is not ENDED:
                if time_left_s := session.time_left_s(server.clock.now_us()):
                    self._receive(time_left_s)
                else:  # also while a peer leaves us no moment without a message
                    session.wake(server.clock.now_us())
                self.flush()
                if session.state is CLOSING:
                    gevent.sleep(CLOSING_PAUSE_S)
        finally:
            server.connections.discard(self)
            server.core.counters.count_end(session.close_code, dead=session.dead)
            if self.loop:
                self.loop.ticker.room.leave(self)
                self.loop.update()
            if self._writer:
                self._writer.stop(0 if session.aborted else server.config.limits.close_limit_s)
        if session.aborted:
            self.ws.abort()

    def flush(self) -> None:
        """Send what the session has for this connection alone."""
        for outgoing in self.session.take_outgoing():
            if self._writer is None:
                self._send(outgoing)
                continue
            if self._writer.owed() >= MAX_OWED_MESSAGES:
                gevent.sleep(0)  # they may have come faster than the writer had its turn
            if self._writer.owed() >= MAX_OWED_MESSAGES:
                self.server.core.counters.slow_closed += 1
                self.abort()
                return
            self._writer.put(outgoing)

    def send_frame(self, text: str) -> None:
        """Send a tick's frame with the library's own send."""
        if self._writer:
            self._writer.put_frame(text)
        else:
            self.write_frame(text)

    def write_frame(self, text: str) -> None:
        """Hand a tick's frame to the kernel; wait until it has taken it."""
        try:
            self.ws.send(text)
        except (OSError, WebSocketError):
            self.session.receive_eof()  # its reader ends it: one leaver never ends a tick

    def takes_frames(self) -> bool:
        """Whether the last frame has been handed to the kernel."""
        return self._writer is None or not self._writer.has_frame

    def abort(self) -> None:
        """End it at once."""
        self.session.receive_eof()
        self.ws.abort()

    # Private methods

    def _receive(self, timeout_s: float) -> None:
        session, clock = self.session, self.server.clock
        try:
            opcode, data = self.ws.receive_message(timeout_s)
        except TimeoutError:
            return  # something is due
        except ConnectionEndedError:
            session.receive_eof()
        except ProtocolError as error:
            session.close(error.code, str(error), clock.now_us())
            self.flush()
            if self._writer:
                self._writer.drain(self.server.config.limits.close_limit_s)
            self.ws.linger(self.server.config.limits.close_limit_s)
            session.receive_eof()
        else:
            message = session.receive(opcode, data, clock.now_us())
            if message is not None and self.loop:
                self.loop.ticker.room.receive(self, message, clock.now_us())
                self.loop.update()

    def _send(self, outgoing: Outgoing) -> None:
        """Hand a message to the kernel; wait until it has taken it, but not for ever."""
        try:
            with gevent.Timeout(self.server.config.limits.silence_limit_s, TimeoutError):
                self.ws.send_message(outgoing.opcode, outgoing.payload)
        except (OSError, TimeoutError):
            self.abort()


class Writer:
    """The one greenlet that writes to a connection's socket: messages in order, with room for one tick's frame."""

    def __init__(self, connection: Connection) -> None:
        self.has_frame = False  # one that is not fully handed to the kernel
        self._connection = connection
        self._queue: deque[Outgoing | str] = deque()  # a str is a tick's frame
        self._wake = Event()
        self._greenlet = gevent.spawn(self._run)

    def owed(self) -> int:
        """Count the messages that wait, the tick's frame apart."""
        return len(self._queue) - self.has_frame

    def put(self, outgoing: Outgoing) -> None:
        """Let a message wait for its turn."""
        self._queue.append(outgoing)
        self._wake.set()

    def put_frame(self, text: str) -> None:
        """Let a tick's frame wait for its turn; only while there is no other."""
        self.has_frame = True
        self._queue.append(text)
        self._wake.set()

    def drain(self, limit_s: float) -> None:
        """Wait until all is handed to the kernel, at most ``limit_s``."""
        for _ in range(int(limit_s / STEP_S)):
            if not self._queue:
                return
            gevent.sleep(STEP_S)

    def stop(self, limit_s: float) -> None:
        """Wait at most ``limit_s`` for what waits, and end; what is left then is dropped."""
        self.drain(limit_s)
        self._greenlet.kill()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                item = self._queue[0]  # it waits until it is written: owed() counts it
                self._write(item)
                self._queue.popleft()
                if isinstance(item, str):
                    self.has_frame = False

    def _write(self, item: Outgoing | str) -> None:
        if isinstance(item, str):
            self._connection.write_frame(item)
            return
        try:
            self._connection.ws.send_message(item.opcode, item.payload)
        except OSError:
            self._connection.session.receive_eof()
