"""
The loop designs, by the name that ``--mode`` gives them; only the chosen one is imported.

The article whose examples they mend is named in docs/loop-designs/README.md.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from importlib import import_module

from shared.loops.modes import LOOP_CLASSES, module_of
from shared.rooms.game import Game, Newcomer
from shared.wire.messages import ClientMessage
from shared.wire.parser import Message

from ..connection import Connection
from ..host import Host
from ..ticker import Ticker


class RoomLoop(ABC):
    """The loop of one room, whose game runs on the event loop unless a design says otherwise."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        self.ticker = ticker
        self.room = ticker.room
        self.audience = ticker.audience
        self._host = host

    @cached_property
    def game(self) -> Game:
        """The room's game, made when it is first asked for."""
        return Game(self.ticker.room.setup)

    async def receive(self, connection: Connection) -> Message:
        """Wait for a connection's next message."""
        return await connection.ws.receive_message()

    async def take(self, connection: Connection, message: ClientMessage) -> None:
        """Take a member's message; if it is a newcomer's, return when it is in the room."""
        newcomer = self.ticker.room.receive(connection, message)
        if newcomer and not self.is_over():
            await self.let_in(connection, newcomer)

    async def let_in(self, connection: Connection, newcomer: Newcomer) -> None:
        """Welcome a newcomer and let it in; if the rules raise, the room ends."""
        try:
            welcome = self.game.welcome(newcomer)
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._fail(error)
            return
        self.ticker.room.enter(connection, newcomer, welcome, self._host.clock.now_us())
        self.update()

    def leave(self, connection: Connection) -> None:
        """Remove a member."""
        self.ticker.room.leave(connection)
        self.update()

    @abstractmethod
    def is_over(self) -> bool:
        """Say whether nobody is let in any more."""

    @abstractmethod
    def update(self) -> None:
        """Look whether somebody is in the room, and start or end the loop."""

    @abstractmethod
    async def stop(self) -> None:
        """End the loop for good and wait until it has ended."""

    @abstractmethod
    def _fail(self, error: BaseException | None = None) -> None:
        """End the room because of ``error`` (None: it is logged already), once."""


def load_loop_mode(name: str) -> type[RoomLoop]:
    """Return the class of a loop design."""
    loop: type[RoomLoop] = getattr(import_module(f".{module_of(name)}", __package__), LOOP_CLASSES[name])
    return loop
