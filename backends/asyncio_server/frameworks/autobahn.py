"""
Autobahn: its WebSocket on Twisted, as :mod:`.twisted` mends it.

Autobahn is no web server: pages and refusals are answered here.
"""

import asyncio
import socket
from typing import Any

from autobahn.exception import Disconnected
from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from shared.server.gate import Gate, Seat
from shared.wire.errors import ProtocolError
from shared.wire.frames import Opcode
from shared.wire.parser import Message

from ..host import ConnectionEndedError, Host
from .base import BaseSocket, UpgradingFramework
from .doorkeeper import Doorkeeper
from .twisted import MendedProtocol, Transport, install_reactor, make_transport, wake


class AutobahnSocket(BaseSocket, MendedProtocol):  # type: ignore[misc] # its bases differ
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    def __init__(self, seat: Seat, *, compresses: bool) -> None:
        MendedProtocol.__init__(self, seat, compresses=compresses)
        self._message: Message | None = None  # that came, and is not taken yet
        self._fault: ProtocolError | None = None
        self._has_ended = False
        self._waiter: asyncio.Future[None] | None = None  # for a message
        self._writes: Transport

    def begin(self, door: Doorkeeper, transport: Any) -> None:
        """Take messages: the upgrade is made."""
        self.pass_door(door, self, self.seat, deflate=self._perMessageCompress is not None)
        self.transport = self._writes = transport

    def put(self, opcode: Opcode, data: bytes) -> None:
        """Have whoever waits for a message find one."""
        match opcode:
            case Opcode.TEXT:
                self._message = opcode, data.decode()
            case Opcode.CLOSE:
                self._message = opcode, int.from_bytes(data)
            case _:
                self._message = opcode, data
        wake(self._waiter)

    # What the doorkeeper tells

    def fail(self, error: ProtocolError) -> None:
        """Have whoever waits for a message find the error."""
        self._fault = error
        self.end()

    def end(self) -> None:
        """Have whoever waits for a message find the end."""
        self._has_ended = True
        wake(self._waiter)

    # What Autobahn tells

    def onConnect(self, request: Any) -> tuple[None, dict[str, str]]:  # noqa: ARG002, N802 # Autobahn's name
        """Accept, as the gate does."""
        return None, self.seat.extensions

    # What a connection does

    async def receive_message(self) -> Message:
        """Wait for the next message, and for a turn to handle it."""
        self.door.ask_for_message()
        if self._message is None and not self._has_ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message, self._message = self._message, None
        if message is None:
            raise self._take_fault()
        return message

    async def send_text(self, text: str) -> None:
        """Send a text message the library's own way."""
        try:
            self.sendMessage(text.encode())
        except Disconnected as error:
            raise ConnectionResetError from error

    async def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        if self.is_lost:
            raise ConnectionResetError
        self.write_frame(opcode, payload)
        await self.wait_for_peer(self._writes)

    @staticmethod
    async def broadcast(sockets: "list[AutobahnSocket]", text: str) -> None:
        """Send a text to all: it is framed once, and written to one after the other."""
        message = sockets[0].factory.prepareMessage(text.encode())
        for each in sockets:
            each.sendPreparedMessage(message)

    # Private methods

    def _take_fault(self) -> Exception:
        """Return why nothing more comes; to keep it would be a circle, as its traceback keeps this socket."""
        fault, self._fault = self._fault, None
        return fault or ConnectionEndedError()


class Connection(asyncio.Protocol):
    """What the doorkeeper has of a WebSocket."""

    def __init__(self, ws: AutobahnSocket, writes: Transport, door: Doorkeeper, protocols: set[Any]) -> None:
        self._ws = ws
        self._writes = writes
        self._protocols = protocols
        self.transport = door.transport
        protocols.add(self)

    def data_received(self, data: bytes) -> None:
        """Take a message."""
        self._ws.dataReceived(data)

    def resume_writing(self) -> None:
        """Tell who waits for that."""
        self._ws.drained()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the transport's signature
        """End it on Twisted, too."""
        lost = Failure(ConnectionDone())
        self._writes.connectionLost(lost)
        self._ws.connectionLost(lost)
        self._protocols.discard(self)


class Framework(UpgradingFramework):
    """Autobahn as it serves a gate."""

    _factory: Any

    def __init__(self, gate: Gate[Host]) -> None:
        super().__init__(gate)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        install_reactor()
        self._factory = WebSocketServerFactory(server="")
        self._factory.setProtocolOptions(openHandshakeTimeout=0)  # the doorkeeper has its own
        await super().start(listener)

    def upgrade(self, door: Doorkeeper, seat: Seat, head: bytes) -> None:
        """Begin a task that plays."""
        task = asyncio.create_task(self._play(door, seat, head))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Private methods

    async def _play(self, door: Doorkeeper, seat: Seat, head: bytes) -> None:
        """Make the upgrade, and run the seat to its end."""
        try:
            if not door.is_lost:
                await self._run(door, seat, head)
        finally:
            self._gate.release(seat)

    async def _run(self, door: Doorkeeper, seat: Seat, head: bytes) -> None:
        """Have Autobahn answer the head of the upgrade request, and run the seat if it agrees."""
        ws = AutobahnSocket(seat, compresses=self._gate.compresses)
        transport = make_transport(door, seat, self._factory.reactor, self._gate.host.config.fanout)
        self.protocols.discard(door.library)
        door.library = Connection(ws, transport, door, self.protocols)
        ws.factory = self._factory
        ws.makeConnection(transport)
        try:
            ws.dataReceived(head)
            if ws.state == ws.STATE_OPEN:
                ws.begin(door, transport)
                await self._gate.run(seat, ws)
        finally:
            transport.close()
