"""
uvicorn, with h11 and websockets, for every framework on ASGI, and with what they lack for a public server.

Mended here:

- uvicorn ends a connection whose upgrade is refused, and refuses a version or a key itself: the gate is asked before
  uvicorn makes a WebSocket of it, and a refusal is the answer to a plain request.
- It answers pings, closes and faults itself, and hides them from the application: they are the session's to answer.
- It reads as it sees fit, takes the transport for itself, and writes an answer in pieces: it gets a transport that
  leaves the first two to the doorkeeper, and puts the pieces together.
- Its timer for the next request, and websockets' parser, hold a connection that has ended: they are ended with it. The
  handshake is let go of when it is made, and what was inflated of a message when that is refused.
- It writes on to a peer that is gone, and asyncio logs each write from the fifth on.
"""

import asyncio
import socket
import zlib
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.protocol import State

from shared.server.gate import Gate, Seat
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode, Opcode, server_frame

from ..host import Host
from .asgi import ENDED, RECEIVED, EventQueue
from .base import BaseFramework, PacedTransport
from .doorkeeper import Doorkeeper, doorkeeper


class Transport(PacedTransport):
    """A transport as uvicorn gets it: an answer is written in one piece."""

    def __init__(self, door: Doorkeeper) -> None:
        super().__init__(door)
        self._unsent: list[bytes] | None = []  # of an answer; None after the upgrade

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """Have the doorkeeper give what comes to a protocol of uvicorn's."""
        self.flush()
        self._unsent = None
        self._door.library = protocol

    def write(self, data: bytes) -> None:
        """Write a message, none to a peer that is gone (asyncio would log each), or keep a part of an answer."""
        if self._unsent is not None:
            self._unsent.append(data)
        elif not self._door.transport.is_closing():
            self._door.transport.write(data)

    def flush(self) -> None:
        """Write an answer."""
        if self._unsent:
            self._door.transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def close(self) -> None:
        """Close it, once all is written."""
        self.flush()
        self._door.transport.close()


class HttpProtocol(H11Protocol):
    """One HTTP connection. ``state["seat"]`` is what the gate said of its last upgrade."""

    def __init__(self, gate: Gate[Host], config: Config, server_state: ServerState) -> None:
        super().__init__(config, server_state, {})
        self._gate = gate
        self._door: Doorkeeper
        self._answer: Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin."""
        self._door = self.app_state["door"] = doorkeeper(transport)
        self._answer = Transport(self._door)
        super().connection_made(cast("asyncio.Transport", self._answer))

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self._answer.flush()
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._door.answered()

    # Private methods

    def _should_upgrade(self) -> bool:
        """Ask the gate."""
        scope = self.scope
        if scope["path"] not in self._gate.upgrades:
            return False
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in self.headers}
        address, descriptor = self._door.address, self.transport.get_extra_info("socket").fileno()
        query = scope["query_string"].decode("ascii")
        seat = self._gate.admit(scope["path"], query, headers, address, descriptor)
        self.app_state["seat"] = scope["state"]["seat"] = seat
        return isinstance(seat, Seat)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Have the application run the WebSocket; end the connection if the parser refuses what the gate let pass."""
        try:
            super().handle_websocket_upgrade(event)
        finally:
            if not hasattr(self._door.library, "scope"):
                self._gate.release(self.app_state["seat"])
                self.transport.close()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket: whatever comes is queued for the application, which alone answers."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.queue = cast("Any", EventQueue())

    def connection_lost(self, exc: Exception | None) -> None:
        """End the parser, too."""
        super().connection_lost(exc)
        self.conn.parser.close()

    def fail(self, error: ProtocolError) -> None:
        """Have whoever waits for a message find the error."""
        self._put(type=ENDED, fault=error.code)

    def end(self) -> None:
        """Have whoever waits for a message find the end."""
        self._put(type=ENDED)

    @property
    def inflates(self) -> bool:
        """Whether it inflates messages."""
        return bool(self.conn.extensions)

    def begin(self, seat: Seat, transport: asyncio.Transport) -> asyncio.Transport:
        """Take messages up to the seat's limit; return what is written to: the transport."""
        self.conn.max_message_size = seat.max_message_bytes
        # To save memory, as there are thousands of connections:
        del self.request, self.response
        cast("dict[str, Any]", self.scope).clear()
        return transport

    async def wait_for_peer(self) -> None:
        """Wait until there is room for more."""
        await self.writable.wait()

    def write_frame(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind: ASGI has no control frames."""
        self.transport.write(server_frame(opcode, payload))

    def handle_events(self) -> None:
        """Queue control frames, too."""
        event: Any
        for event in self.conn.events_received():
            match getattr(event, "opcode", None):
                case None:
                    self.handle_connect(event)
                case Opcode.CONTINUATION:
                    self.handle_cont(event)
                case Opcode.TEXT:
                    self.handle_text(event)
                case Opcode.BINARY:
                    self.handle_bytes(event)
                case opcode:
                    self._leave_answer()
                    self._put(type=RECEIVED, opcode=Opcode(opcode), bytes=bytes(event.data))

    def send_receive_event_to_app(self) -> None:
        """Queue a message."""
        opcode = Opcode.TEXT if self.curr_msg_data_type == "text" else Opcode.BINARY
        self._put(type=RECEIVED, opcode=opcode, bytes=b"".join(self.frames))
        self.frames = []

    def handle_parser_exception(self) -> None:
        """Have the session answer."""
        self._leave_answer()
        close, why = self.conn.close_sent, self.conn.parser_exc
        is_corrupt = why is not None and isinstance(why.__cause__, zlib.error)
        for error in (why, why and why.__cause__):
            if error is not None:  # else what was inflated would wait for the garbage collector
                error.__traceback__ = None
        self.fail(ProtocolError(CloseCode.INVALID_TEXT if is_corrupt or not close else close.code))

    # Private methods

    def _leave_answer(self) -> None:
        """Leave it to the session to answer a control frame or a fault, when all that waits is sent."""
        self.conn.data_to_send()
        self.conn.state = State.OPEN

    def _put(self, **event: Any) -> None:
        self.queue.put_nowait(cast("Any", event))


class UvicornFramework(BaseFramework, ABC):
    """A framework on ASGI as it serves a gate: its application, served by uvicorn."""

    def __init__(self, gate: Gate[Host]) -> None:
        super().__init__(gate)
        self._state = ServerState()

    @abstractmethod
    def application(self) -> Any:
        """Return the application: an upgrade has its seat and its doorkeeper in the ``state`` of its scope."""

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        config = Config(
            self.application(),
            interface="asgi3",
            ws=WebSocketProtocol,
            ws_ping_interval=None,
            ws_per_message_deflate=self._gate.compresses,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
        )
        config.load()
        await self._open_doors(listener, partial(HttpProtocol, self._gate, config, self._state))

    async def stop(self) -> None:
        """End every request."""
        await self._end_requests(lambda: self._state.connections)
