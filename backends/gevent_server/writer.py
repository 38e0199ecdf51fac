"""
Writes to one connection's socket: everything for its peer goes through one writer, in order.

:class:`WaitingWriter` is the tutorials' way: it waits for its peer. The other two never do: while the kernel has not
taken all, messages wait in the outbox and ``connection.fd``, by which a fan-out knows who takes a frame, is -1.
Each holds its connection weakly: in a circle, one that has ended would stay until the garbage is collected.
"""

from collections.abc import Callable
from weakref import proxy

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from shared.server.pipe import Pipe, pauses
from shared.wire.frames import Opcode
from shared.wire.outbox import FRAME_TURN
from shared.wire.session import Outgoing

from .connection import Connection
from .host import Soon, Writer

ABORT_LIMIT_S = 1.0
"""The time that greenlets in a send have to notice that the socket is shut down."""


class SocketPipe(Pipe):
    """
    A greenlet writes what the kernel does not take at once, and ends when it has.

    The library's writer has its own greenlet here, which lives as long as the connection.
    """

    __slots__ = ("_rest", "greenlet")

    def __init__(self, connection: Connection) -> None:
        self.greenlet: gevent.Greenlet[..., None] | None = None
        self._rest = memoryview(b"")
        super().__init__(connection, connection.ws.socket)

    def unsent_bytes(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return len(self._rest) or int(self.ws.unsent_bytes())

    def keep(self, rest: bytes) -> None:
        """Have a greenlet write what the kernel did not take."""
        self.is_free = False
        self.connection().offer(-1)
        self._rest = memoryview(rest)
        self.greenlet = gevent.spawn(self._write_rest)

    def end_with(self, last: list[Outgoing]) -> None:
        """Have the writer write them behind what is on its way, and hang up when it has."""
        connection = self.connection()
        for outgoing in last:
            connection.put(outgoing)
        connection.writer.go_on(connection)
        connection.host.own(self._hang_up, connection)

    def close(self) -> None:
        """End a greenlet that is in a send: if its descriptor is closed, the whole process ends (libev asserts)."""
        if self.greenlet and not self.is_free:
            self.greenlet.kill()
        self.greenlet = None

    def _write_rest(self) -> None:
        try:
            while self._rest:
                self._rest = self._rest[self.socket.send(self._rest) :]
        except OSError:
            self._rest = memoryview(b"")
            self.connection().outbox.clear()
            self.connection().abort()
        self.greenlet, self.is_free = None, True
        connection = self.connection()
        connection.writer.go_on(connection)

    def _hang_up(self, connection: Connection) -> None:
        limit_s = connection.host.config.limits.close_limit_s
        connection.host.wait_for_each(pauses(lambda: connection.is_drained, limit_s, connection.abort))
        if connection.is_drained:  # who was aborted gets a reset, no end behind half a frame
            self.ws.hang_up()


class WaitingWriter:
    """Writes with the library's own send and its defaults, and waits for each."""

    awaits_turn = False  # the caller's greenlet sends

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = proxy(connection)
        self._lock = BoundedSemaphore(1)  # or two greenlets would send at once, which a socket does not take
        self._has_closed = False  # nothing follows a close frame

    def send(self, outgoing: Outgoing) -> None:
        """Hand a message to the kernel; wait until it has taken it, or abort the connection."""
        connection = self._connection
        try:
            with gevent.Timeout(connection.host.config.limits.silence_limit_s, TimeoutError), self._lock:
                if not self._has_closed:
                    self._has_closed = outgoing.opcode is Opcode.CLOSE
                    connection.ws.send_message(outgoing.opcode, outgoing.payload)
        except OSError:  # as a TimeoutError is
            connection.abort()

    def send_text(self, text: str) -> None:
        """Hand a tick's frame to the kernel; wait until it has taken it."""
        with self._lock:
            if not self._has_closed:
                send_frame(self._connection, text)

    def go_on(self, connection: Connection) -> None:
        """Do nothing: nothing waits in the outbox."""

    def finish(self, limit_s: float) -> Soon[None]:
        """Wait until nobody is in a send, at most ``limit_s``; what is left then is dropped."""
        for patience_s in (limit_s, ABORT_LIMIT_S):
            if self._lock.acquire(timeout=patience_s):
                self._has_closed = True
                self._lock.release()
                return
            self._connection.abort()


class LibraryWriter:
    """Writes with the library's own send in a greenlet, as that waits, and holds at most one tick's frame."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = proxy(connection)
        self._pipe = connection.pipe = SocketPipe(connection)
        self._text: str | None = None  # the tick's frame, until it is written
        self._wake = Event()
        self._is_over = False
        self._pipe.greenlet = gevent.spawn(self._send_waiting)
        connection.update(takes_frame=True)

    def send(self, outgoing: Outgoing) -> None:
        """Send a message of the connection's own as soon as the kernel has taken all before."""
        self._connection.put(outgoing)
        self.go_on(self._connection)

    def send_text(self, text: str) -> Soon[None]:
        """Send a tick's frame; only while ``connection.fd`` is not -1, so it never waits."""
        self._text = text
        self.send(FRAME_TURN)

    def go_on(self, connection: Connection) -> None:
        """Send what waits in the outbox."""
        self._wake.set()
        connection.update(takes_frame=self._text is None)

    def finish(self, limit_s: float) -> Soon[None]:
        """Wait until all is handed to the kernel, at most ``limit_s``; what is left then is dropped."""
        self._connection.host.wait_for_each(self._pipe.finishing(limit_s))
        self._is_over = True  # so its greenlet ends by itself: one that is killed is left in a reference cycle
        self._wake.set()

    @property
    def awaits_turn(self) -> bool:
        """Whether its greenlet has yet to begin to send a tick's frame."""
        return self._text is not None and self._pipe.is_free

    def _send_waiting(self) -> None:
        while not self._is_over:
            self._wake.wait()
            self._wake.clear()
            while not self._is_over and self._connection.outbox:
                self._pipe.is_free = False
                self._send_now(self._connection, self._connection.outbox.take())
                self._pipe.is_free = True
                self._connection.update(takes_frame=self._text is None)

    def _send_now(self, connection: Connection, outgoing: Outgoing) -> None:
        if outgoing is FRAME_TURN and self._text is not None:
            send_frame(connection, self._text)
            self._text = None
            return
        try:
            connection.ws.send_message(outgoing.opcode, outgoing.payload)
        except OSError:
            connection.abort()


class FrameWriter:
    """Writes frames that are already built: to the descriptor at once, and what that does not take by the pipe."""

    awaits_turn = False  # the caller's greenlet writes

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = proxy(connection)
        self._pipe = connection.pipe = SocketPipe(connection)
        connection.update(takes_frame=True)

    def send(self, outgoing: Outgoing) -> None:
        """Send a message of the connection's own as soon as the kernel has taken all before."""
        self._connection.put(outgoing)
        self.go_on(self._connection)

    def send_text(self, text: str) -> Soon[None]:
        """Send a tick's frame with the library's own send; only while ``connection.fd`` is not -1."""
        return send_frame(self._connection, text)

    def go_on(self, connection: Connection) -> None:
        """Write what waits in the outbox."""
        while self._pipe.is_free and connection.outbox:
            outgoing = connection.outbox.take()
            self._pipe.write(connection.frame_of(outgoing))
        connection.update(takes_frame=connection.is_drained)

    def finish(self, limit_s: float) -> Soon[None]:
        """Wait until all is handed to the kernel, at most ``limit_s``; what is left then is dropped."""
        return self._connection.host.wait_for_each(self._pipe.finishing(limit_s))


WRITERS: dict[str, Callable[[Connection], Writer]] = {
    "naive": WaitingWriter,
    "library": LibraryWriter,
    "frame-once": FrameWriter,
}


def new_writer(connection: Connection) -> Writer:
    """Return a connection's writer: that of ``--fanout``, but one that waits if the connection's WebSocket does."""
    return WRITERS["naive" if connection.ws.waits_for_peer else connection.host.config.fanout](connection)


def send_frame(connection: Connection, text: str) -> None:
    """Send a tick's frame with the library's own send; a lost peer must not end a tick: its reader ends it."""
    try:
        connection.ws.send_text(text)
    except OSError:
        connection.session.receive_eof()
