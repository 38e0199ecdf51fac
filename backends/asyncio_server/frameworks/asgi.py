"""What every framework on ASGI does alike, whatever serves it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from shared.server.gate import Seat
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode, Opcode
from shared.wire.parser import Message

from ..host import ConnectionEndedError
from .base import BaseSocket
from .doorkeeper import Doorkeeper, MessageSink

RECEIVED, ENDED = "websocket.receive", "websocket.disconnect"
"""Types of ASGI's events; those of ours have what ASGI has no word for in an ``opcode`` or a ``fault``."""


class Library(MessageSink, Protocol):
    """A server's side of one WebSocket, which it puts events in a queue of its application's for."""

    @property
    def inflates(self) -> bool:
        """Whether it inflates messages."""

    def begin(self, seat: Seat, transport: asyncio.Transport) -> asyncio.Transport:
        """
        Take messages, as the upgrade is made, up to the seat's limit.

        Return what is written to: the connection's transport, or one of the library's own.

        """

    async def wait_for_peer(self) -> None:
        """Wait until there is room for more."""

    def write_frame(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind: ASGI has no control frames."""


class EventQueue:
    """What came, for the one who waits for it: a queue of asyncio's takes 2.5 KB more."""

    __slots__ = "_events", "_waiter"

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._waiter: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        """Whether there is none."""
        return not self._events

    def put_nowait(self, event: Any) -> None:
        """Have whoever waits for an event find it."""
        self._events.append(event)
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self) -> Any:
        """Wait for the next event."""
        while not self._events:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._events.pop(0)


class AsgiSocket(BaseSocket, ABC):
    """One WebSocket of a framework on ASGI: what its connection has as :class:`PlayerSocket`."""

    def __init__(
        self, library: Library, door: Doorkeeper, seat: Seat, receive: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> None:
        """``receive`` waits for the next event, which the framework gives its application."""
        self.library = library
        self._receive = receive
        transport = library.begin(seat, door.transport)
        self.pass_door(door, library, seat, deflate=library.inflates)
        self.transport = transport

    @abstractmethod
    async def send_text(self, text: str) -> None:
        """Send a text message the framework's own way."""

    async def receive_message(self) -> Message:
        """Wait for the next message, and for a turn to handle it."""
        self.door.ask_for_message()
        event = await self._receive()
        if event["type"] != RECEIVED:
            raise ProtocolError(event["fault"]) if "fault" in event else ConnectionEndedError
        opcode, data = event["opcode"], event["bytes"]
        if opcode is Opcode.CLOSE:
            return opcode, int.from_bytes(data[:2])
        try:
            return opcode, data.decode() if opcode is Opcode.TEXT else data
        except UnicodeDecodeError:
            raise ProtocolError(CloseCode.INVALID_TEXT) from None

    async def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        if opcode is Opcode.TEXT:
            await self.send_text(payload.decode())
            return
        await self.library.wait_for_peer()
        if self.is_lost:
            raise ConnectionResetError
        self.library.write_frame(opcode, payload)


def answer_headers(seat: Seat) -> list[tuple[bytes, bytes]]:
    """Return what the answer to an upgrade says of a seat, as ASGI has headers."""
    return [(name.encode(), value.encode()) for name, value in seat.extensions.items()]
