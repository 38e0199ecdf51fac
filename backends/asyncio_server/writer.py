"""
Writes to one connection's socket: everything for its peer goes through one writer, in order.

:class:`WaitingWriter` is the tutorials' way: it waits for its peer. The other two never do: while the kernel has not
taken all, messages wait in the outbox and ``connection.fd``, by which a fan-out knows who takes a frame, is -1.
Each holds its connection weakly: in a circle, one that has ended would stay until the garbage is collected.
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from weakref import proxy

from shared.server.pipe import Pipe, pauses
from shared.wire.frames import Opcode, server_frame
from shared.wire.session import Outgoing

from .connection import Connection
from .host import Soon, Writer


class SocketPipe(Pipe, asyncio.BaseProtocol):
    """
    What the kernel does not take is the transport's to write.

    The doorkeeper tells it, instead of the library, when the kernel has taken all, and when the connection is lost,
    before the descriptor is closed.
    """

    __slots__ = ("_transport",)

    def __init__(self, connection: Connection) -> None:
        self._transport = connection.ws.transport
        super().__init__(connection, self._transport.get_extra_info("socket"))
        self._transport.set_write_buffer_limits(high=0)  # so that pause and resume say when all is handed over
        self.ws.tell(self)

    @property
    def is_lost(self) -> bool:
        """Whether the descriptor may belong to another connection by now."""
        return bool(self.ws.is_lost)

    def unsent_bytes(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return int(self.ws.unsent_bytes())

    def keep(self, rest: bytes) -> None:
        """Have the transport write what the kernel did not take."""
        self._transport.write(rest)

    def end_with(self, last: list[Outgoing]) -> None:
        """Have the transport write them behind what is on its way, and then hang up."""
        for outgoing in last:
            self._transport.write(server_frame(outgoing.opcode, outgoing.payload))
        self._transport.close()

    def close(self) -> None:
        """Hear nothing more."""
        self.ws.tell(None)

    # What the transport tells

    def pause_writing(self) -> None:
        """Note that the kernel has not taken all."""
        # The library isn't told: once in a GiB it would have a send wait.
        self.is_free = False
        if connection := self.connection():
            connection.offer(-1)

    def resume_writing(self) -> None:
        """Note that the kernel has taken all; go on with what waits."""
        self.is_free = True
        if (connection := self.connection()) and not connection.outbox:
            connection.update(takes_frame=True)
        else:  # not now: a transport that is aborted from in here reports its loss twice
            asyncio.get_running_loop().call_soon(self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the transport's signature
        """Have nothing more written: the descriptor is closed next, and may then belong to another connection."""
        self.is_free = False
        if connection := self.connection():
            connection.offer(-1)
            connection.outbox.clear()

    def _go_on(self) -> None:
        if connection := self.connection():
            connection.writer.go_on(connection)


class WaitingWriter:
    """Writes with the library's own send and its defaults, and waits for each."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = proxy(connection)
        self._lock = asyncio.Lock()  # or a close frame would overtake a text, which may be compressed in a thread
        self._has_closed = False  # nothing follows a close frame

    async def send(self, outgoing: Outgoing) -> None:
        """Hand a message to the kernel; wait until it has taken it, or abort the connection."""
        connection = self._connection
        try:
            async with asyncio.timeout(connection.host.config.limits.silence_limit_s), self._lock:
                if not self._has_closed:
                    self._has_closed = outgoing.opcode is Opcode.CLOSE
                    await connection.ws.send_message(outgoing.opcode, outgoing.payload)
        except OSError:  # as a TimeoutError is
            connection.abort()

    async def send_text(self, text: str) -> None:
        """Hand a tick's frame to the kernel; wait until it has taken it."""
        async with self._lock:
            if not self._has_closed:
                await send_frame(self._connection, text)

    def go_on(self, connection: Connection) -> None:
        """Do nothing: nothing waits in the outbox."""

    def finish(self, limit_s: float) -> Soon[None]:
        """Wait until all is handed to the kernel, at most ``limit_s``; what is left then is dropped."""
        connection, ws = self._connection, self._connection.ws
        return connection.host.wait_for_each(pauses(lambda: not ws.unsent_bytes(), limit_s, connection.abort))


class LibraryWriter:
    """Writes with the library's own send, but only when the transport has handed all before to the kernel."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = proxy(connection)
        self._pipe = connection.pipe = SocketPipe(connection)
        # Where the framework compresses a long text in a thread, what is sent meanwhile must not overtake it.
        self._lock = asyncio.Lock() if connection.host.config.deflate == "on" else None
        connection.update(takes_frame=True)

    async def send(self, outgoing: Outgoing) -> None:
        """Send a message of the connection's own as soon as the kernel has taken all before."""
        self._connection.put(outgoing)
        await self._send_waiting(self._connection)

    def send_text(self, text: str) -> Soon[None]:
        """Send a tick's frame; only while ``connection.fd`` is not -1, so it never waits for its peer."""
        return self._send_in_order(text, self._lock) if self._lock else send_frame(self._connection, text)

    def go_on(self, connection: Connection) -> None:
        """Send what waits in the outbox."""
        connection.host.own(self._send_waiting, connection)

    def finish(self, limit_s: float) -> Soon[None]:
        """Wait until all is handed to the kernel, at most ``limit_s``; what is left then is dropped."""
        return self._connection.host.wait_for_each(self._pipe.finishing(limit_s))

    async def _send_waiting(self, connection: Connection) -> None:
        async with self._lock or nullcontext():
            while self._pipe.is_free and connection.outbox:
                outgoing = connection.outbox.take()
                try:
                    await connection.ws.send_message(outgoing.opcode, outgoing.payload)  # it waits for no peer here
                except OSError:
                    connection.abort()
        connection.update(takes_frame=connection.is_drained)

    async def _send_in_order(self, text: str, lock: asyncio.Lock) -> None:
        async with lock:
            if self._connection.session.is_open:  # nothing follows a close frame
                await send_frame(self._connection, text)


class FrameWriter:
    """Writes frames that are already built: to the descriptor at once, and what that does not take by the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection = proxy(connection)
        self._pipe = connection.pipe = SocketPipe(connection)
        connection.update(takes_frame=True)

    async def send(self, outgoing: Outgoing) -> None:
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


async def send_frame(connection: Connection, text: str) -> None:
    """Send a tick's frame with the library's own send; a lost peer must not end a tick: its reader ends it."""
    try:
        await connection.ws.send_text(text)
    except OSError:
        connection.session.receive_eof()
