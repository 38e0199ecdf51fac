"""
Writes to one connection's socket: everything for its peer goes through one writer, in order.

:class:`WaitingWriter` is the tutorials' way: it waits for its peer. The other two never do: while the kernel has not
taken all, messages wait in the outbox and ``connection.fd``, by which a fan-out knows who takes a frame, is -1.
"""

import asyncio
import os
import socket
import weakref
from contextlib import suppress

from shared.wire.errors import InvariantError
from shared.wire.frames import Opcode, TickFrame, server_frame
from shared.wire.outbox import LOW_WATER_BYTES, NO_LOW_WATER_BYTES, Outbox
from shared.wire.session import Outgoing

from .connection import Connection
from .host import Writer

STEP_S = 0.02
"""How often a closing connection is checked."""

NO_POLICY = "a writer that waits skips nobody"


class WaitingWriter:
    """Writes with the library's own send and its defaults, and waits for each."""

    def __init__(self, connection: Connection) -> None:
        self.outbox = Outbox()  # always empty
        self._weak_connection = weakref.ref(connection)
        self._transport = connection.ws.transport
        # The library compresses a long text in a thread, and lets a close frame overtake it.
        self._lock = asyncio.Lock() if connection.ws.waits_for_peer else None
        self._has_closed = False

    async def send(self, outgoing: Outgoing) -> None:
        """Hand a message to the kernel; wait until it has taken it, or abort the connection."""
        connection = self._connection
        assert self._lock  # noqa: S101 # it waits
        try:
            async with asyncio.timeout(connection.host.config.limits.silence_limit_s), self._lock:
                if not self._has_closed:
                    self._has_closed = outgoing.opcode is Opcode.CLOSE
                    await connection.ws.send_message(outgoing.opcode, outgoing.payload)
        except (ConnectionError, TimeoutError):
            connection.abort()

    async def send_text(self, text: str) -> None:
        """Hand a tick's frame to the kernel; wait until it has taken it."""
        assert self._lock  # noqa: S101 # it waits
        async with self._lock:
            if not self._has_closed:
                await self._send_text(text)

    async def send_tick(self, frame: TickFrame) -> None:
        """Send a tick's frame as text."""
        await self.send_text(frame.text)

    def is_drained(self) -> bool:
        """Whether the kernel has taken all."""
        return not self.unsent_bytes()

    def unsent_bytes(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def keep(self, rest: bytes) -> None:  # noqa: ARG002 # there is no rest
        """Raise: there is never a rest."""
        raise InvariantError(NO_POLICY)

    def cut_off(self, last: list[Outgoing]) -> None:  # noqa: ARG002 # nobody is cut off
        """Raise: nobody is too slow."""
        raise InvariantError(NO_POLICY)

    async def finish(self, limit_s: float) -> None:
        """Wait until all is handed to the kernel, at most ``limit_s``; what is left then is dropped."""
        for _ in range(int(limit_s / STEP_S)):
            if self._is_finished():
                return
            await asyncio.sleep(STEP_S)
        self._connection.abort()

    # Private methods

    @property
    def _connection(self) -> Connection:
        """The writer's connection; held weakly, as a reference cycle would leave both to the garbage collector."""
        connection = self._weak_connection()
        if connection is None:
            raise ReferenceError("the connection has ended")
        return connection

    async def _send_text(self, text: str) -> None:
        try:
            await self._connection.ws.send_text(text)
        except ConnectionError:
            self._connection.session.receive_eof()  # its reader ends it: a lost peer must not end a tick

    def _is_finished(self) -> bool:
        return self.is_drained()


class LibraryWriter(WaitingWriter):
    """
    Writes with the library's own send, but only when the transport has handed all before to the kernel.

    The doorkeeper tells it, instead of the library, when the kernel has taken all, and when the connection is lost,
    before the descriptor is closed.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        transport = self._transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._is_free = True  # the kernel has taken all
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, LOW_WATER_BYTES)
        transport.set_write_buffer_limits(high=0)  # so that pause and resume say when all is handed over
        connection.ws.tell(self)
        self._update()

    # What the transport tells

    def pause_writing(self) -> None:
        """Note that the kernel has not taken all."""
        # The library isn't told: once in a GiB it would have a send wait.
        self._is_free = False
        self._connection.offer(-1)

    def resume_writing(self) -> None:
        """Note that the kernel has taken all; go on with what waits."""
        self._is_free = True
        if self.outbox:
            # Not now: a transport that is aborted from in here reports its loss twice.
            asyncio.get_running_loop().call_soon(self._go_on_if_open)
        else:
            self._update()

    def connection_lost(self) -> None:
        """Write no more: the descriptor is closed next, and may then belong to another connection."""
        self._is_free = False
        self._connection.offer(-1)
        self.outbox.clear()

    # What is to be sent

    async def send(self, outgoing: Outgoing) -> None:
        """
        Send a message of the connection's own as soon as the kernel has taken all before.

        Raises:
            SlowConsumerError: too many wait.

        """
        self.outbox.put(outgoing, is_stuck=self.unsent_bytes() > 0)
        await self._send_waiting(self._connection)

    async def send_text(self, text: str) -> None:
        """Hand a tick's frame over; only while ``connection.fd`` is not -1, so it never waits."""
        await self._send_text(text)

    def keep(self, rest: bytes) -> None:
        """Let the transport write what the kernel did not take."""
        self._transport.write(rest)

    def is_drained(self) -> bool:
        """Whether the kernel has taken all, and nothing waits."""
        return self._is_free and not self.outbox

    def cut_off(self, last: list[Outgoing]) -> None:
        """Drop what waits, hand over the rest of the current frame and ``last``, the close frame, and hang up."""
        self._connection.offer(-1)
        self.outbox.clear()
        if self._connection.ws.is_lost:
            return
        with suppress(OSError):  # its peer may have ended it already
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NO_LOW_WATER_BYTES)
        for outgoing in last:
            self._transport.write(server_frame(outgoing.opcode, outgoing.payload))
        self._transport.close()

    async def finish(self, limit_s: float) -> None:
        """Wait until all is handed to the kernel, at most ``limit_s``; what is left then is dropped."""
        self._connection.offer(-1)
        if not self._connection.ws.is_lost:
            await super().finish(limit_s)
        self._connection.ws.tell(None)

    # Private methods

    def _is_finished(self) -> bool:
        return self._connection.ws.is_lost or self.is_drained()

    def _go_on_if_open(self) -> None:
        with suppress(ReferenceError):
            self._go_on()

    def _go_on(self) -> None:
        connection = self._connection
        connection.host.own(self._send_waiting, connection)

    async def _send_waiting(self, connection: Connection) -> None:  # noqa: ARG002 # it is held until this is done
        while self._is_free and self.outbox:
            await self._send_now(self.outbox.take())
        self._update()

    async def _send_now(self, outgoing: Outgoing) -> None:
        try:
            await self._connection.ws.send_message(outgoing.opcode, outgoing.payload)  # NEVER_WAIT_BYTES
        except ConnectionError:
            self._connection.abort()

    def _update(self) -> None:
        """Say whether a tick's frame may be written now."""
        may_write = self.is_drained() and not self.outbox.is_behind and self._connection.session.is_open
        self._connection.offer(self._socket.fileno() if may_write else -1)


class FrameWriter(LibraryWriter):
    """Writes frames that are already built: to the descriptor at once, and what that does not take by the transport."""

    async def send(self, outgoing: Outgoing) -> None:
        """
        Send a message of the connection's own as soon as the kernel has taken all before.

        Raises:
            SlowConsumerError: too many wait.

        """
        self.outbox.put(outgoing, is_stuck=self.unsent_bytes() > 0)
        self._go_on()

    async def send_tick(self, frame: TickFrame) -> None:
        """Write a tick's frame to the descriptor."""
        self._write(frame.data)

    # Private methods

    def _go_on(self) -> None:
        while self._is_free and self.outbox:
            outgoing = self.outbox.take()
            self._write(server_frame(outgoing.opcode, outgoing.payload))
        self._update()

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
