"""
Twisted, whose asyncio reactor shares the event loop that runs, and Autobahn's WebSocket on it, with what they lack.

Twisted writes, and the doorkeeper reads.

Mended here:

- Autobahn answers pings, closes and faults itself, a fault by dropping the connection: the session is to answer them.
- Its limit of a message is one of what is sent, too; only what it inflates is limited by it.
- An offer of compression that it can't take, or of another extension that it knows, ends the handshake with 400: it
  gets the first offer that it can take.
- What is written waits for the reactor's next turn, and a tick that is late may come before that: where nobody waits
  for the peer it is written at once.
- It writes for a peer that does not read, without a limit: an echo waits until the kernel has taken it.
"""

import asyncio
import os
import socket
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOfferAccept
from twisted.internet import asyncioreactor, main
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from shared.server.gate import Seat
from shared.wire.deflate import choose, parse_extensions
from shared.wire.errors import ProtocolError
from shared.wire.frames import Opcode

from .doorkeeper import Doorkeeper

AGAIN_S = 0.02
"""After which it is tried again to write what the kernel did not take, where no descriptor is left to be told by."""


class SharedLoop:
    """The event loop as Twisted's reactor gets it: descriptors of the loop's transports are written by the reactor."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        # The public ones refuse such a descriptor; uvloop has no others.
        self._add, self._remove = getattr(loop, "_add_writer", None), getattr(loop, "_remove_writer", None)
        self._soon: dict[int, asyncio.Handle] = {}  # of uvloop
        self._twins: dict[int, int] = {}  # which uvloop knows nothing of, of what the kernel did not take all for

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_writer(self, fd: int, act: Callable[..., object], *arguments: Any) -> None:
        """Have something written in the next turn, and whenever the kernel takes more, until the writer is removed."""
        if self._add:
            self._add(fd, act, *arguments)
        else:
            self._soon[fd] = self._loop.call_soon(self._write, fd, act, arguments)

    def remove_writer(self, fd: int) -> None:
        """Have nothing more written."""
        if self._remove:
            self._remove(fd)
        elif handle := self._soon.pop(fd, None):
            handle.cancel()
        elif twin := self._twins.pop(fd, None):
            self._loop.remove_writer(twin)
            os.close(twin)

    def _write(self, fd: int, act: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        handle = self._soon[fd]
        act(*arguments)
        if self._soon.get(fd) is not handle:  # all is written
            return
        try:
            twin = os.dup(fd)
        except OSError:  # too many are open
            self._soon[fd] = self._loop.call_later(AGAIN_S, self._write, fd, act, arguments)
        else:
            del self._soon[fd]
            self._twins[fd] = twin
            self._loop.add_writer(twin, act, *arguments)


class Transport(FileDescriptor):
    """
    A connection as Twisted has it, to write to; it tells the doorkeeper whether something waits to be written.

    ``at_once``: not in the reactor's next turn, as Twisted has it.
    """

    def __init__(self, door: Doorkeeper, reactor: Any, *, at_once: bool) -> None:
        super().__init__(reactor)
        self.connected = 1
        self._door = door
        self._at_once = at_once
        self._descriptor = door.transport.get_extra_info("socket").fileno()
        self._is_full = False

    # For Twisted and Autobahn

    def fileno(self) -> int:
        """Return the descriptor."""
        return int(self._descriptor)

    def write(self, data: bytes) -> None:
        """Write, or have it written."""
        super().write(data)
        if self._at_once and self.connected and self.doWrite():
            self.connectionLost(Failure(ConnectionDone()))
        if self.get_write_buffer_size() and self.connected and not self._is_full:
            self._is_full = True
            self._door.pause_writing()

    def doWrite(self) -> Any:  # noqa: N802 # Twisted's name
        """Write what waits."""
        why = super().doWrite()
        if self._is_full and not self.get_write_buffer_size():
            self._is_full = False
            self._door.resume_writing()
        return why

    def writeSomeData(self, data: bytes) -> int | BaseException:  # noqa: N802 # Twisted's name
        """Write what the kernel takes."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:
            return main.CONNECTION_LOST

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 # Twisted's name
        """Write nothing more, and close the connection."""
        super().connectionLost(reason)
        if not self._door.transport.is_closing():
            self._door.transport.close()

    def abortConnection(self) -> None:  # noqa: N802 # Twisted's name
        """End the connection at once."""
        self._door.abort()

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802 # Twisted's name
        """Turn Nagle's algorithm off or on."""
        self.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getPeer(self) -> IPv4Address:  # noqa: N802 # Twisted's name
        """Return the peer's address."""
        return IPv4Address("TCP", self._door.address, 0)

    def getHost(self) -> IPv4Address:  # noqa: N802 # Twisted's name
        """Return our own address, which nobody asks for."""
        return IPv4Address("TCP", "", 0)

    # For a writer, as asyncio's transports have it

    def get_protocol(self) -> Doorkeeper:
        """Return the doorkeeper."""
        return self._door

    def get_extra_info(self, name: str) -> Any:
        """Return what asyncio's transport knows."""
        return self._door.transport.get_extra_info(name)

    def set_write_buffer_limits(self, high: int) -> None:
        """Do nothing: it tells of each byte that waits."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return bool(self.disconnecting) or self._door.transport.is_closing()

    def close(self) -> None:
        """Close it, once all is written."""
        if self.get_write_buffer_size():
            self.loseConnection()
        elif self.connected:
            self.connectionLost(Failure(ConnectionDone()))


class MendedProtocol(WebSocketServerProtocol):
    """Autobahn's side of one WebSocket: whatever comes is left to the session to answer."""

    def __init__(self, seat: Seat, *, compresses: bool) -> None:
        WebSocketServerProtocol.__init__(self)
        self.seat = seat
        self._compresses = compresses
        self._drained: asyncio.Future[None] | None = None  # for the kernel to take what is sent back

    # What is left to one framework

    @abstractmethod
    def put(self, opcode: Opcode, data: bytes) -> None:
        """Keep a message for whoever waits for it; of a close frame, the two bytes of its code."""

    @abstractmethod
    def fail(self, error: ProtocolError) -> None:
        """Have whoever waits for a message find the error."""

    # What the doorkeeper tells

    def drained(self) -> None:
        """Have whoever waits go on: the kernel has taken all, or never will."""
        wake(self._drained)

    # What Autobahn tells

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803 # Autobahn's name
        """Keep a message."""
        self.put(Opcode.BINARY if isBinary else Opcode.TEXT, payload)

    def onPing(self, payload: bytes) -> None:  # noqa: N802 # Autobahn's name
        """Keep a ping."""
        self.put(Opcode.PING, payload)

    def onPong(self, payload: bytes) -> None:  # noqa: N802 # Autobahn's name
        """Keep a pong."""
        self.put(Opcode.PONG, payload)

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> None:  # noqa: ARG002, N802, N803 # Autobahn's name
        """Keep a close frame."""
        self.put(Opcode.CLOSE, (code or 0).to_bytes(2))

    def perMessageCompressionAccept(self, offers: list[Any]) -> PerMessageDeflateOfferAccept | None:  # noqa: N802 # Autobahn's name
        """Take an offer of compression, if Autobahn may compress."""
        if not self._compresses:
            return None
        return PerMessageDeflateOfferAccept(offers[0], max_message_size=self.seat.max_message_bytes)

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802 # Twisted's name
        """End; let go of what would be a circle."""
        super().connectionLost(reason)
        del self.is_closed
        wake(self._drained)

    # For one framework

    def write_frame(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        if opcode < Opcode.CLOSE:
            self.sendMessage(payload, isBinary=opcode is Opcode.BINARY)
        else:
            self.sendFrame(opcode=opcode, payload=payload)

    async def wait_for_peer(self, transport: Transport) -> None:
        """Wait for a peer that has its messages sent back to take them, or it could fill the memory."""
        while self.seat.room is None and transport.get_write_buffer_size() and transport.connected:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    # Private methods

    def _fail_connection(self, code: int = 0, reason: str = "") -> None:  # noqa: ARG002 # Autobahn's signature
        """Have the session answer."""
        self.fail(ProtocolError(code))

    def _parseExtensionsHeader(self, header: str, removeQuotes: bool = True) -> list[Any]:  # noqa: ARG002, N802, N803 # Autobahn's name
        agreement = choose(header, takes_over=True) if self._compresses else None
        # It has no use for the client's window, and fails at one of 8 bits.
        offered = parse_extensions(replace(agreement, client_max_window_bits=None).text) if agreement else ()
        return [(name, {key: [value or True] for key, value in given}) for name, given in offered]


def make_transport(door: Doorkeeper, seat: Seat, reactor: Any, fanout: str) -> Transport:
    """
    Return what a WebSocket writes to.

    Where nobody waits for the peer it is written at once. With ``--fanout naive`` Nagle's algorithm is on, as Twisted
    has it: Autobahn's ``tcpNoDelay``, which is to turn it off by default, is looked for before it is there.

    """
    transport = Transport(door, reactor, at_once=not seat.waits_for_peer)
    if fanout == "naive":
        transport.setTcpNoDelay(False)
    return transport


def install_reactor() -> None:
    """Have Twisted's reactor share the event loop that runs."""
    asyncioreactor.install(SharedLoop(asyncio.get_running_loop()))


def wake(waiter: "asyncio.Future[None] | None") -> None:
    """Have whoever waits go on."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
