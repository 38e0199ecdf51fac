"""
Managed: the loop runs while somebody is in the room, and somebody owns it.

The article's example 3.3. What runs it is ended and waited for, and what that raises ends the room, never in silence.
"""

from functools import cached_property

import gevent

from shared.loops.lifecycle import CLOSED, CRASHED, RUNNING, STOPPING, Lifecycle, LoopEvent, LoopState
from shared.rooms.game import Game, Newcomer
from shared.wire.messages import ClientMessage
from shared.wire.parser import Message

from ..connection import Connection
from ..host import Host, Soon
from ..ticker import Ticker


class ManagedLoop:
    """Owns what runs one room. Every design builds on it; most have their game on the event loop, as it has."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        self.ticker = ticker
        self.room = ticker.room
        self.audience = ticker.audience
        self._host = host
        self._lifecycle = Lifecycle()
        self._occupied = False
        self._running: gevent.Greenlet[..., None] | None = None

    @cached_property
    def game(self) -> Game:
        """The room's game, made when it is first asked for."""
        return Game(self.room.setup)

    def receive(self, connection: Connection) -> Soon[Message]:
        """Wait for a connection's next message."""
        return connection.ws.receive_message()

    def take(self, connection: Connection, message: ClientMessage) -> None:
        """Take a member's message; if it is a newcomer's, return when it is in the room."""
        newcomer = self.room.receive(connection, message)
        if newcomer and not self.is_over():
            self.let_in(connection, newcomer)

    def let_in(self, connection: Connection, newcomer: Newcomer) -> None:
        """Welcome a newcomer and let it in; if the rules raise, the room ends."""
        try:
            welcome = self.game.welcome(newcomer)
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._fail(error)
            return
        self.room.enter(connection, newcomer, welcome, self._host.clock.now_us())
        self.update()

    def leave(self, connection: Connection) -> None:
        """Remove a member."""
        self.room.leave(connection)
        self.update()

    def is_over(self) -> bool:
        """Say whether nobody is let in any more."""
        return self._lifecycle.state in (CRASHED, CLOSED)

    def update(self) -> None:
        """Look whether somebody is in the room, and start or end the loop."""
        occupied = self._is_occupied()
        if occupied != self._occupied:
            self._occupied = occupied
            self._feed(LoopEvent.OCCUPIED if occupied else LoopEvent.VACATED)

    def stop(self) -> None:
        """End the loop for good and wait until it has ended; rules that do not end are left to themselves."""
        self._feed(LoopEvent.CLOSE)
        if self._running:
            self._running.join(self._host.config.stop_limit_s)

    # Private methods

    def _is_occupied(self) -> bool:
        return bool(self.room.members)

    def _feed(self, event: LoopEvent) -> None:
        self._act(self._lifecycle.feed(event))

    def _act(self, state: LoopState | None) -> None:
        """Do what entering a state asks for."""
        if state is RUNNING:
            self._running = gevent.spawn(self._run_to_its_end)
            self._running.link(self._ended)
        elif state in (STOPPING, CLOSED, CRASHED):
            self._end()

    def _end(self) -> None:
        if self._running:
            self._running.kill(block=False)

    def _run_to_its_end(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._fail(error)

    def _run(self) -> None:
        self.ticker.resume()
        while True:
            self.ticker.tick(self.ticker.wait(), self.game)

    def _ended(self, ended: "gevent.Greenlet[..., None]") -> None:
        if ended is self._running:
            self._running = None  # an empty room need not hold what ended it, and where that was
        if isinstance(ended.value, gevent.GreenletExit):
            self._feed(LoopEvent.STOPPED)

    def _fail(self, error: BaseException | None = None) -> None:
        """End the room (``error`` None: it is logged already); what fails in a crashed one is no cause of it."""
        if self._lifecycle.state is not CRASHED:
            self._feed(LoopEvent.FAILED)
            self._host.room_crashed(self, error)
