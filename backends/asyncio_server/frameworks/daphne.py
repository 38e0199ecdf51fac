"""
Django Channels, as :mod:`.channels` has it, on daphne: its WebSocket, which is Autobahn's as :mod:`.twisted` mends it.

Pages and refusals are answered here, and so is the part of daphne's server that gives a WebSocket its application: that
server makes an event loop of its own, and looks at all connections every second.

Mended here:

- daphne refuses an upgrade with 403 only: the gate is asked before daphne makes a WebSocket of it.
- The headers that an application accepts with are not sent, and an empty message is not, either.
- A subprotocol that is not ASCII is answered with 500: none reaches daphne, as nobody speaks any.
- A send is over at once, whatever its peer has taken: an echo waits until the kernel has taken it.
- It pings for itself: that is the session's.
"""

import asyncio
import socket
from contextlib import suppress
from functools import partial
from typing import Any

from autobahn.exception import Disconnected
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from uvicorn.protocols.utils import ClientDisconnected

from shared.server.gate import Gate, Seat
from shared.wire.errors import ProtocolError
from shared.wire.frames import Opcode

from ..host import Host
from .asgi import ENDED, RECEIVED, EventQueue
from .base import UpgradingFramework
from .channels import application, end_layer, prepare
from .doorkeeper import Doorkeeper
from .twisted import MendedProtocol, Transport, install_reactor, make_transport


class DaphneProtocol(MendedProtocol, WebSocketProtocol, asyncio.Protocol):  # type: ignore[misc] # its bases differ
    """One WebSocket: whatever comes is queued for the application, which alone answers."""

    application_queue: EventQueue
    transport: Transport  # type: ignore[assignment] # it is one
    __repr__ = object.__repr__  # daphne's is of no use before the upgrade, when Autobahn asks for it

    def __init__(self, seat: Seat, door: Doorkeeper, *, compresses: bool) -> None:
        MendedProtocol.__init__(self, seat, compresses=compresses)
        self.state_of_scope = {"seat": seat, "door": door}
        self.has_application = False

    def put(self, opcode: Opcode, data: bytes) -> None:
        """Queue a message."""
        self.application_queue.put_nowait({"type": RECEIVED, "opcode": opcode, "bytes": data})

    # What the doorkeeper tells

    def fail(self, error: ProtocolError) -> None:
        """Have whoever waits for a message find the error."""
        self.application_queue.put_nowait({"type": ENDED, "fault": error.code})

    def end(self) -> None:
        """Have whoever waits for a message find the end."""
        self.application_queue.put_nowait({"type": ENDED})

    def data_received(self, data: bytes) -> None:
        """Take the request, or a message."""
        self.dataReceived(data)

    def resume_writing(self) -> None:
        """Tell who waits for that."""
        self.drained()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the transport's signature
        """End it on Twisted, too."""
        lost = Failure(ConnectionDone())
        self.transport.connectionLost(lost)
        self.connectionLost(lost)

    # What Autobahn tells

    def onConnect(self, request: Any) -> Any:  # noqa: N802 # Autobahn's name
        """Have an application decide."""
        request.headers.pop("sec-websocket-protocol", None)
        return super().onConnect(request)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: ARG002, N802, N803 # Autobahn's name
        """Tell the application, if there is one."""
        if self.has_application:
            self.factory.server_class.protocol_disconnected(self)
            self.end()

    # What the application has done

    @property
    def inflates(self) -> bool:
        """Whether Autobahn inflates messages."""
        return self._perMessageCompress is not None

    def begin(self, seat: Seat, transport: asyncio.Transport) -> Any:  # noqa: ARG002 # it has its own
        """Take messages: the upgrade is made; return what is written to: Twisted's transport."""
        # To save memory, as there are thousands of connections:
        del self.request, self.clean_headers, self.application_deferred, self.http_headers
        self.state_of_scope.clear()
        return self.transport

    async def wait_for_peer(self) -> None:  # type: ignore[override] # there is one transport
        """Wait for a peer that has its messages sent back to take them."""
        await super().wait_for_peer(self.transport)

    def serverAccept(self, subprotocol: str | None = None) -> None:  # noqa: N802 # daphne's name
        """Make the upgrade, with the gate's headers."""
        self.handshake_deferred.callback((subprotocol, self.seat.extensions))
        del self.handshake_deferred


class Applications:
    """What a WebSocket asks of daphne's server: an application of its own."""

    root_path = ""
    proxy_forwarded_address_header = None

    def __init__(self, gate: Gate[Host]) -> None:
        self._application = application(gate)
        self.protocols: set[DaphneProtocol] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def protocol_connected(self, protocol: DaphneProtocol) -> None:
        """Note a connection."""
        self.protocols.add(protocol)

    def protocol_disconnected(self, protocol: DaphneProtocol) -> None:
        """Forget a connection."""
        self.protocols.discard(protocol)

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """Do nothing."""

    def create_application(self, protocol: DaphneProtocol, scope: dict[str, Any]) -> EventQueue:
        """Run an application; return its queue."""
        queue = EventQueue()
        scope["state"] = protocol.state_of_scope
        protocol.has_application = True
        task = asyncio.create_task(self._run(protocol, scope, queue))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return queue

    # Private methods

    async def _run(self, protocol: DaphneProtocol, scope: dict[str, Any], queue: EventQueue) -> None:
        try:
            with suppress(ClientDisconnected):
                await self._application(scope, queue.get, partial(self._reply, protocol))
        finally:
            protocol.transport.close()

    @staticmethod
    async def _reply(protocol: DaphneProtocol, message: dict[str, Any]) -> None:
        """Do what an application says; daphne says nothing of a connection that is gone."""
        await protocol.wait_for_peer()
        try:
            if message.get("text") == "":  # daphne would send nothing
                protocol.serverSend("")
            else:
                protocol.handle_reply(message)
        except Disconnected as error:
            raise ClientDisconnected from error


class Framework(UpgradingFramework):
    """Channels on daphne as it serves a gate."""

    _factory: Any

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        install_reactor()
        await prepare(self._gate)
        self._factory = WebSocketFactory(Applications(self._gate), server="")
        self._factory.setProtocolOptions(openHandshakeTimeout=0)  # the doorkeeper has its own
        await super().start(listener)

    async def stop(self) -> None:
        """End every request."""
        await self._end_requests(lambda: [*self.protocols, *self._factory.server_class.protocols])
        await end_layer()

    def upgrade(self, door: Doorkeeper, seat: Seat, head: bytes) -> None:
        """Have daphne answer the head of the upgrade request, and run its application."""
        ws = DaphneProtocol(seat, door, compresses=self._gate.compresses)
        ws.factory = self._factory
        ws._raw_query_string = b""  # noqa: SLF001 # daphne's request sets it; the gate has read it
        self.protocols.discard(door.library)
        door.library = ws
        transport = make_transport(door, seat, self._factory.reactor, self._gate.host.config.fanout)
        ws.makeConnection(transport)
        ws.dataReceived(head)
        if not ws.has_application:
            self._gate.release(seat)
            transport.close()
