"""
Has the members of a room wait for a game that is not on the event loop, as the designs ``thread`` and ``process`` do.

What the game answers is taken in order: a welcome waits until the frame of the step before it has been sent.
"""

from abc import ABC, abstractmethod
from asyncio import Event
from dataclasses import dataclass, field

from shared.loops.answers import Answers
from shared.loops.lifecycle import CLOSED, CRASHED, LoopState
from shared.loops.schedule import DueTick
from shared.rooms.game import Newcomer, Stepped

from ..connection import Connection
from ..host import Host
from ..ticker import Ticker
from .managed import ManagedLoop


@dataclass(eq=False, slots=True)
class Visit:
    """A newcomer that waits for its welcome."""

    connection: Connection
    newcomer: Newcomer
    over: Event = field(default_factory=Event)


class ElsewhereLoop(ManagedLoop, ABC):
    """Owns what runs one room, whose game is asked for steps and welcomes."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        super().__init__(host, ticker)
        self._answers = Answers()
        self._visits: list[Visit] = []

    async def let_in(self, connection: Connection, newcomer: Newcomer) -> None:
        """Let a newcomer in as soon as it is welcomed."""
        visit = Visit(connection, newcomer)
        self._visits.append(visit)
        self._ask_for_welcome(visit)
        self.update()
        try:
            await visit.over.wait()
        finally:
            self._visits.remove(visit)
            self.update()

    # Private methods

    @abstractmethod
    def _ask_for_welcome(self, visit: Visit) -> None:
        """Have the game welcome a newcomer, and :meth:`_enter` called with what it is told."""

    @abstractmethod
    def _sent(self) -> None:
        """Note that a step's frame has been sent."""

    def _is_occupied(self) -> bool:
        return bool(self._visits) or super()._is_occupied()

    def _act(self, state: LoopState | None) -> None:
        super()._act(state)
        if state in (CLOSED, CRASHED):
            for visit in self._visits:
                visit.over.set()

    def _enter(self, visit: Visit, welcome: bytes) -> None:
        if not self.is_over():
            self.room.enter(visit.connection, visit.newcomer, welcome, self._host.clock.now_us())
        visit.over.set()

    def _send(self, due: DueTick, field: bytes | None, step: Stepped) -> None:
        """Send a step's frame; before it ``field``, that after the last step, to those who have missed a frame."""
        self._answers.hold()
        self._host.own(self._fan_out, due, field, step)

    async def _fan_out(self, due: DueTick, field: bytes | None, step: Stepped) -> None:
        try:
            if field is not None:
                await self.ticker.catch_up(field)
            await self.ticker.fan_out(due, self.room.apply(step))
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._fail(error)
        finally:
            self._answers.release()
            self._sent()
