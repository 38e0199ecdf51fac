"""
The interfaces between a server's parts: the server, a room's loop, a connection's writer.

A server makes connections, tickers and loops, so it imports them all. They import these interfaces instead of it.
"""

import socket
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Protocol, TypeVar

from shared.rooms.audience import Audience
from shared.rooms.room import Room
from shared.server.children import GameChildren
from shared.server.config import ServerConfig
from shared.server.core import ServerCore
from shared.server.gate import Seat
from shared.wire.frames import Opcode
from shared.wire.messages import ClientMessage
from shared.wire.parser import Message
from shared.wire.session import Outgoing, Session

from .children import GameChild
from .clock import Clock
from .turns import Turns

T = TypeVar("T")
Soon = Annotated[T, "now"]
"""What a function that waits returns: here its result, as the greenlet itself has waited."""


class Writer(Protocol):
    """What a connection and a fan-out write with."""

    def send(self, outgoing: Outgoing) -> Soon[None]:
        """
        Send a message of the connection's own.

        Raises:
            SlowConsumerError: too many wait.

        """

    def send_text(self, text: str) -> Soon[None]:
        """Send a tick's frame with the library's own send; only while ``connection.fd`` is not -1."""

    def go_on(self, connection: Any) -> None:
        """Send what waits in its connection's outbox, as far as the kernel takes it."""

    @property
    def awaits_turn(self) -> bool:
        """Whether a greenlet of its own has yet to begin to send a tick's frame."""

    def finish(self, limit_s: float) -> Soon[None]:
        """Wait until all is handed to the kernel, at most ``limit_s`` seconds; what is left then is dropped."""


class ConnectionEndedError(Exception):
    """The stream has ended without a close frame."""


class PlayerSocket(Protocol):
    """
    A WebSocket as its framework has it, whose upgrade is made.

    Where ``waits_for_peer``, what is sent waits while the peer does not read, as libraries do by default.
    """

    socket: socket.socket
    waits_for_peer: bool

    def receive_message(self) -> Soon[Message]:
        """
        Wait for the next message, and for a turn to handle it.

        Raises:
            ProtocolError: the peer broke the protocol; nothing more can be read.
            ConnectionEndedError: the stream has ended.

        """

    def send_text(self, text: str) -> Soon[None]:
        """
        Send a text message the framework's own way.

        Raises:
            ConnectionError: the peer is gone.

        """

    def send_message(self, opcode: Opcode, payload: bytes) -> Soon[None]:
        """Send a message of any kind; raises as :meth:`send_text`."""

    def unsent_bytes(self) -> int:
        """Return how much of what is sent the kernel has not taken yet."""

    def linger(self, limit_s: float) -> Soon[None]:
        """Give a peer that is not read any more time to take the close frame: until it hangs up, or ``limit_s``."""

    def hang_up(self) -> None:
        """Hang up behind all that the kernel has taken."""

    def abort(self) -> None:
        """End the connection at once."""


class MembersLoop(Protocol):
    """The loop of a room, as its members see it; ``connection`` is one of them."""

    room: Room[Any]
    audience: Audience[Any]

    def receive(self, connection: Any) -> Soon[Message]:
        """Wait for a connection's next message."""

    def take(self, connection: Any, message: ClientMessage) -> Soon[None]:
        """Take a member's message; if it is a newcomer's, return when it is in the room."""

    def leave(self, connection: Any) -> None:
        """Remove a member."""


class Host(Protocol):
    """The server."""

    config: ServerConfig
    clock: Clock
    core: ServerCore[Any]
    turns: Turns
    new_writer: Callable[[Any], Writer]  # of a connection
    children: GameChildren[GameChild]
    owned: set[Any]  # greenlets that the server ends

    def own(self, act: Callable[..., Soon[object]], *arguments: Any) -> None:
        """Run something in the background, which the server ends if it has not ended before."""

    def wait_for_each(self, pauses: Iterator[float]) -> Soon[None]:
        """Sleep for each of so many seconds."""

    def run_seat(self, seat: Seat, session: Session, socket: PlayerSocket) -> Soon[None]:
        """Run a connection to its end."""

    def room_lost(self, loop: Any, code: int, reason: str) -> None:
        """End a room here that has another owner, or none that is heard."""

    def room_crashed(self, loop: Any, error: BaseException | None) -> None:
        """End the room of a loop that raised, and nothing else; log the error (None: that is logged already)."""
