"""
Process: the rules and the encoding run in a child process; the parent keeps the clock and the connections.

The article's example 3.6. Its worker never ended and its queue had no bound. Here, when a tick is due, the child gets
what the members have asked for, even while it is still at the step before, and answers with what the step did. Its
other answers, such as a welcome, wait until the frame before them has been sent.
"""

from collections.abc import Callable
from functools import partial

from gevent.event import Event

from shared.loops.answers import Answers
from shared.loops.lifecycle import CLOSED, CRASHED, LoopState
from shared.loops.schedule import DueTick
from shared.rooms.game import Newcomer, Stepped
from shared.rooms.remote import (
    Answer,
    Did,
    Failed,
    Forget,
    GameFailedError,
    Look,
    Open,
    Request,
    TakeStep,
    Text,
    Welcome,
)
from shared.server.workers import MOST_PENDING

from ..connection import Connection
from ..host import Host
from ..ticker import Ticker
from .managed import ManagedLoop


class ProcessLoop(ManagedLoop):
    """Owns what runs one room, whose game is in a child."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        super().__init__(host, ticker)
        self._answers = Answers()
        self._pending = 0  # steps that were asked for and whose frames are not sent yet
        self._sent = Event()
        self._field: bytes | None = None  # for those who have missed a frame, before the next one
        self._entering: set[Event] = set()
        self._game_id = ticker.room.index  # another one when the room is opened again
        self._worker = host.workers.of_room(ticker.room.name)
        self._worker.mourners.add(self._fail)
        self._ask(Open(self._game_id, ticker.room.setup), lambda _: None)

    def let_in(self, connection: Connection, newcomer: Newcomer) -> None:
        """Let a newcomer in as soon as the child has welcomed it."""
        entered = Event()
        self._entering.add(entered)
        self.update()
        request = Welcome(self._game_id, newcomer)
        self._ask(request, partial(self._enter, connection, newcomer, entered))
        try:
            entered.wait()
        finally:
            self._entering.discard(entered)
            self.update()

    # Private methods

    def _is_occupied(self) -> bool:
        return bool(self._entering) or super()._is_occupied()

    def _act(self, state: LoopState | None) -> None:
        super()._act(state)
        if state in (CRASHED, CLOSED):
            self._let_go()

    def _run(self) -> None:
        self.ticker.resume()
        while True:
            while self._pending == MOST_PENDING:
                self._sent.clear()
                self._sent.wait()
            self._ask_for_step(self.ticker.wait())

    def _ask_for_step(self, due: DueTick) -> None:
        """Ask for one step, and before it for the field after the last one if somebody has missed a frame."""
        self._pending += 1
        if self.ticker.is_waited_for():
            self._ask(Look(self._game_id), self._looked)
        self._ask(TakeStep(self._game_id, self.ticker.room.take_inputs()), partial(self._stepped, due))

    def _looked(self, answer: Answer) -> None:
        if isinstance(answer, Text):
            self._field = answer.commands

    def _stepped(self, due: DueTick, answer: Answer) -> None:
        if isinstance(answer, Did) and not self.is_over():
            field, self._field = self._field, None
            self._answers.hold()
            self._host.own(self._fan_out, due, field, answer.step)

    def _fan_out(self, due: DueTick, field: bytes | None, step: Stepped) -> None:
        try:
            if field is not None:
                self.ticker.catch_up(field)
            self.ticker.fan_out(due, self.ticker.room.apply(step))
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._fail(error)
        finally:
            self._pending -= 1
            self._sent.set()
            self._answers.release()

    def _enter(self, connection: Connection, newcomer: Newcomer, entered: Event, answer: Answer) -> None:
        if isinstance(answer, Text) and not self.is_over():
            self.ticker.room.enter(connection, newcomer, answer.commands, self._host.clock.now_us())
        entered.set()

    def _ask(self, request: Request, callback: Callable[[Answer], None]) -> None:
        self._worker.ask(request, lambda answer: self._answers.take(partial(self._take, callback, answer)))

    def _take(self, callback: Callable[[Answer], None], answer: Answer) -> None:
        if isinstance(answer, Failed):
            if not self.is_over():
                self._fail(GameFailedError(f"\n{answer.traceback.rstrip()}"))
            return
        try:
            callback(answer)
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._fail(error)

    def _let_go(self) -> None:
        self._worker.mourners.discard(self._fail)
        self._worker.ask(Forget(self._game_id), lambda _: None)
        for entered in self._entering:
            entered.set()
