"""
Writes to one connection's socket: everything for its peer goes through one writer, in order.

:class:`WaitingWriter` is the tutorials' way: it waits for its peer. The other two never do: while the kernel has not
taken all, messages wait in the outbox and ``connection.fd``, by which a fan-out knows who takes a frame, is -1.
"""

import os
import socket
from contextlib import suppress
from weakref import proxy

import gevent
from gevent.event import Event

from shared.wire.errors import InvariantError
from shared.wire.frames import TickFrame, server_frame
from shared.wire.outbox import FRAME_TURN, LOW_WATER_BYTES, NO_LOW_WATER_BYTES, Outbox
from shared.wire.session import Outgoing

from .connection import Connection
from .host import Writer

STEP_S = 0.02
"""How often a closing connection is checked."""

ABORT_LIMIT_S = 1.0
"""The time that greenlets in a send have to notice that the socket is shut down."""

NO_POLICY = "a writer that waits skips nobody"


class WaitingWriter:
    """Writes with the library's own send and its defaults, and waits for each."""

    def __init__(self, connection: Connection) -> None:
        self.outbox = Outbox()  # always empty
        # A weak reference: in a cycle, an ended connection would stay until the garbage is collected.
        self._connection: Connection = proxy(connection)
        self._socket: socket.socket = connection.ws.socket
        self._waiting = 0  # greenlets in a send

    def send(self, outgoing: Outgoing) -> None:
        """Hand a message to the kernel; wait until it has taken it, or abort the connection."""
        connection = self._connection
        self._waiting += 1
        try:
            with gevent.Timeout(connection.host.config.limits.silence_limit_s, TimeoutError):
                connection.ws.send_message(outgoing.opcode, outgoing.payload)
        except (OSError, TimeoutError):
            connection.abort()
        finally:
            self._waiting -= 1

    def send_text(self, text: str) -> None:
        """Hand a tick's frame to the kernel; wait until it has taken it."""
        self._waiting += 1
        try:
            self._connection.ws.send_text(text)
        except OSError:
            self._connection.session.receive_eof()  # its reader ends it: a lost peer must not end a tick
        finally:
            self._waiting -= 1

    def send_tick(self, frame: TickFrame) -> None:
        """Send a tick's frame as text."""
        self.send_text(frame.text)

    def awaits_turn(self) -> bool:
        """Whether a greenlet of its own has yet to begin to send a tick's frame."""
        return False  # the caller's greenlet sends

    def is_drained(self) -> bool:
        """Whether the kernel has taken all."""
        return True  # each send has waited for it

    def unsent_bytes(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return 0

    def keep(self, rest: bytes) -> None:  # noqa: ARG002 # there is no rest
        """Raise: there is never a rest."""
        raise InvariantError(NO_POLICY)

    def cut_off(self, last: list[Outgoing]) -> None:  # noqa: ARG002 # nobody is cut off
        """Raise: nobody is too slow."""
        raise InvariantError(NO_POLICY)

    def finish(self, limit_s: float) -> None:
        """
        Wait until no greenlet is in a send, at most ``limit_s`` seconds; then abort the connection, which ends it.

        A descriptor that is closed while a greenlet waits for it ends the whole process (libev asserts).
        """
        for _ in range(int(limit_s / STEP_S)):
            if not self._waiting:
                return
            gevent.sleep(STEP_S)
        self._connection.abort()
        for _ in range(int(ABORT_LIMIT_S / STEP_S)):
            if not self._waiting:
                return
            gevent.sleep(STEP_S)


class LibraryWriter(WaitingWriter):
    """Writes with the library's own send in a greenlet, as that waits, and holds at most one tick's frame."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._text: str | None = None  # the tick's frame, until it is written
        self._is_writing = False
        self._hangs_up = False
        self._is_over = False
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._wake = Event()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # pywsgi doesn't
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, LOW_WATER_BYTES)
        self._open()
        self._update()

    # What is to be sent

    def send(self, outgoing: Outgoing) -> None:
        """
        Send a message of the connection's own as soon as the kernel has taken all before.

        Raises:
            SlowConsumerError: too many wait.

        """
        self.outbox.put(outgoing, is_stuck=self.unsent_bytes() > 0)
        self._wake.set()
        self._update()

    def send_text(self, text: str) -> None:
        """Queue a tick's frame; only while ``connection.fd`` is not -1."""
        self._text = text
        self.send(FRAME_TURN)

    def awaits_turn(self) -> bool:
        """Whether a greenlet of its own has yet to begin to send a tick's frame."""
        return self._text is not None and not self._is_writing

    def is_drained(self) -> bool:
        """Whether the kernel has taken all, and nothing waits."""
        return not self._is_writing and not self.outbox

    def unsent_bytes(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return self._connection.ws.unsent_bytes()

    def cut_off(self, last: list[Outgoing]) -> None:
        """Drop what waits, hand over the rest of the current frame and ``last``, the close frame, and hang up."""
        self.outbox.clear()
        with suppress(OSError):  # it may be lost already
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NO_LOW_WATER_BYTES)
        self._hangs_up = True
        for outgoing in last:
            self.send(outgoing)
        self._update()

    def finish(self, limit_s: float) -> None:
        """Wait until all is handed to the kernel, at most ``limit_s``; what is left then is dropped."""
        for _ in range(int(limit_s / STEP_S)):
            if self.is_drained():
                break
            gevent.sleep(STEP_S)
        if self.is_drained():
            self._is_over = True  # it ends by itself: a greenlet that is killed is left in a reference cycle
            self._wake.set()
        else:
            self._connection.abort()
            if self._greenlet:
                self._greenlet.kill()
        self._greenlet = None

    # Private methods

    def _open(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while not self._is_over:
            self._wake.wait()
            self._wake.clear()
            while self.outbox and not self._is_over:
                self._is_writing = True
                self._send_now(self.outbox.take())
                self._is_writing = False
                self._update()

    def _send_now(self, outgoing: Outgoing) -> None:
        if outgoing is FRAME_TURN and self._text is not None:
            super().send_text(self._text)
            self._text = None
            return
        try:
            self._connection.ws.send_message(outgoing.opcode, outgoing.payload)
        except OSError:
            self._connection.abort()

    def _takes_frame(self) -> bool:
        return self._text is None

    def _update(self) -> None:
        """Say whether a tick's frame may be written now."""
        may_write = self._takes_frame() and not self.outbox.is_behind and self._connection.session.is_open
        self._connection.offer(self._socket.fileno() if may_write else -1)
        if self._hangs_up and self.is_drained():
            self._connection.ws.hang_up()


class FrameWriter(LibraryWriter):
    """Writes frames that are already built: to the descriptor at once, and what that does not take by a greenlet."""

    def __init__(self, connection: Connection) -> None:
        self._rest = memoryview(b"")
        super().__init__(connection)

    def send(self, outgoing: Outgoing) -> None:
        """
        Send a message of the connection's own as soon as the kernel has taken all before.

        Raises:
            SlowConsumerError: too many wait.

        """
        self.outbox.put(outgoing, is_stuck=self.unsent_bytes() > 0)
        while self.outbox and not self._rest:
            self._send_now(self.outbox.take())
        self._update()

    def is_drained(self) -> bool:
        """Whether the kernel has taken all, and nothing waits."""
        return not self._rest and not self.outbox

    def unsent_bytes(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return len(self._rest)

    def keep(self, rest: bytes) -> None:
        """Let a greenlet write what the kernel did not take."""
        self._connection.offer(-1)
        self._rest = memoryview(rest)
        self._greenlet = gevent.spawn(self._run)

    def send_tick(self, frame: TickFrame) -> None:
        """Write a tick's frame to the descriptor."""
        self._write(frame.data)

    # Private methods

    def _takes_frame(self) -> bool:
        return self.is_drained()

    def _open(self) -> None:
        """Do nothing: there is a greenlet only while there is a rest."""

    def _run(self) -> None:
        try:
            while self._rest:
                self._rest = self._rest[self._socket.send(self._rest) :]
                if not self._rest and self.outbox:
                    outgoing = self.outbox.take()
                    self._rest = memoryview(server_frame(outgoing.opcode, outgoing.payload))
        except OSError:
            self._rest = memoryview(b"")
            self.outbox.clear()
            self._connection.abort()
        self._greenlet = None
        self._update()

    def _send_now(self, outgoing: Outgoing) -> None:
        self._write(server_frame(outgoing.opcode, outgoing.payload))

    def _write(self, frame: bytes) -> None:
        try:
            sent = os.write(self._socket.fileno(), frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._connection.abort()
            return
        if sent < len(frame):
            self.keep(frame[sent:])


WRITERS: dict[str, type[WaitingWriter]] = {"naive": WaitingWriter, "library": LibraryWriter, "frame-once": FrameWriter}


def new_writer(connection: Connection) -> Writer:
    """Return a connection's writer: that of ``--fanout``, but one that waits if the connection's WebSocket does."""
    return WRITERS["naive" if connection.ws.waits_for_peer else connection.host.config.fanout](connection)
