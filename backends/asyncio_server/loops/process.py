"""
Process: the rules and the encoding run in a child process; the parent keeps the clock and the connections.

The article's example 3.6. Its process never ended and its queue had no bound. Here, when a tick is due, the child gets
what the members have asked for, even while it is still at the step before, and answers with what the step did. Its
other answers, such as a welcome, wait until the frame before them has been sent.
"""

from asyncio import Event
from collections.abc import Callable
from functools import partial

from shared.loops.lifecycle import CLOSED, CRASHED, LoopState
from shared.loops.schedule import DueTick
from shared.rooms import remote
from shared.server.children import MOST_PENDING

from ..host import Host
from ..ticker import Ticker
from .elsewhere import ElsewhereLoop, Visit


class ProcessLoop(ElsewhereLoop):
    """Owns what runs one room, whose game is in a child."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        super().__init__(host, ticker)
        self._pending = 0  # steps that were asked for and whose frames are not sent yet
        self._is_less_pending = Event()
        self._field: bytes | None = None  # for those who have missed a frame, before the next one
        self._game_id = self.room.index  # another one when the room is opened again
        self._child = host.children.of_room(self.room.name)
        self._child.mourners.add(self._fail)
        self._ask(remote.Open(self._game_id, self.room.setup), lambda _: None)

    # Private methods

    def _act(self, state: LoopState | None) -> None:
        super()._act(state)
        if state in (CLOSED, CRASHED):
            self._child.mourners.discard(self._fail)
            self._child.ask(remote.Forget(self._game_id), lambda _: None)

    async def _run(self) -> None:
        self.ticker.resume()
        while True:
            while self._pending == MOST_PENDING:
                self._is_less_pending.clear()
                await self._is_less_pending.wait()
            self._ask_for_step(await self.ticker.wait())

    def _ask_for_step(self, due: DueTick) -> None:
        """Ask for one step, and before it for the field after the last one if somebody has missed a frame."""
        self._pending += 1
        if self.ticker.is_waited_for():
            self._ask(remote.LookAtField(self._game_id), self._looked)
        self._ask(remote.TakeStep(self._game_id, self.room.take_inputs()), partial(self._stepped, due))

    def _ask_for_welcome(self, visit: Visit) -> None:
        self._ask(remote.Welcome(self._game_id, visit.newcomer), partial(self._welcomed, visit))

    def _looked(self, answer: remote.GameAnswer) -> None:
        if isinstance(answer, remote.Text):
            self._field = answer.commands

    def _stepped(self, due: DueTick, answer: remote.GameAnswer) -> None:
        if isinstance(answer, remote.Did) and not self.is_over():
            field, self._field = self._field, None
            self._send(due, field, answer.step)

    def _sent(self) -> None:
        self._pending -= 1
        self._is_less_pending.set()

    def _welcomed(self, visit: Visit, answer: remote.GameAnswer) -> None:
        if isinstance(answer, remote.Text):
            self._enter(visit, answer.commands)

    def _ask(self, request: remote.GameRequest, callback: Callable[[remote.GameAnswer], None]) -> None:
        self._child.ask(request, lambda answer: self._answers.take(partial(self._take, callback, answer)))

    def _take(self, callback: Callable[[remote.GameAnswer], None], answer: remote.GameAnswer) -> None:
        if isinstance(answer, remote.Failed):
            if not self.is_over():
                self._fail(remote.GameFailedError(f"\n{answer.traceback.rstrip()}"))
            return
        try:
            callback(answer)
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._fail(error)
