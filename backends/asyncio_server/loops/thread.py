"""
Thread: the loop and the rules run in a native thread of their own; what a step did is handed back to the event loop.

The article's example 3.5. Nobody ended its thread, and when a tick failed it ended in silence. Here only the thread
uses the game: it waits for the due time and for requests at once, and begins no step until the last frame is sent. It
waits by itself, whatever ``--clock`` says.
"""

import asyncio
from asyncio import Event
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from shared.loops.answers import Answers
from shared.loops.lifecycle import CLOSED, CRASHED, RUNNING, STOPPING, LoopEvent, LoopState
from shared.loops.schedule import DueTick
from shared.rooms.game import Newcomer, Stepped
from shared.wire.messages import ClientMessage

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


class ThreadLoop(ManagedLoop):
    """Owns the thread of one room."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        super().__init__(host, ticker)
        self._event_loop = asyncio.get_running_loop()
        self._answers = Answers()
        self._visits: list[Visit] = []
        self._lock = Lock()  # around what the members ask for, for microseconds
        self._requests: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # of the thread that runs; None ends it
        self._over = Event()  # no thread runs
        self._over.set()
        self._may_step = False  # the thread's

    # On the event loop

    async def take(self, connection: Connection, message: ClientMessage) -> None:
        """Take what a member has said; of a newcomer, return when it is in."""
        with self._lock:
            newcomer = self.ticker.room.receive(connection, message)
        if newcomer and not self.is_over():
            await self.let_in(connection, newcomer)

    async def let_in(self, connection: Connection, newcomer: Newcomer) -> None:
        """Let a newcomer in as soon as the thread has welcomed it."""
        visit = Visit(connection, newcomer)
        self._visits.append(visit)
        if self._lifecycle.state is RUNNING:
            self._requests.put(partial(self._welcome, visit))
        self.update()  # which may start a thread, with all visits
        try:
            await visit.over.wait()
        finally:
            self._visits.remove(visit)
            self.update()

    def leave(self, connection: Connection) -> None:
        """Take a member out."""
        with self._lock:
            self.ticker.room.leave(connection)
        self.update()

    async def stop(self) -> None:
        """End the loop for good and wait until it has ended."""
        self._feed(LoopEvent.CLOSE)
        with suppress(TimeoutError):  # nobody can end the rules
            await asyncio.wait_for(self._over.wait(), self._host.config.stop_limit_s)

    # Private methods

    def _is_occupied(self) -> bool:
        return bool(self._visits) or super()._is_occupied()

    def _act(self, state: LoopState | None) -> None:
        if state is RUNNING:
            self._requests = SimpleQueue()
            self._may_step = False  # no thread runs now, and the last one may have been told that it may
            for visit in self._visits:
                self._requests.put(partial(self._welcome, visit))
            if not self._answers.is_held:  # else the last frame is being sent yet, and whoever sends it does this
                self._requests.put(self._go_on)  # behind the welcomes: no step before them
            try:
                Thread(target=self._run_thread, name=f"room {self.ticker.room.name}", daemon=True).start()
            except RuntimeError as error:  # the system has no more of them
                self._fail(error)
                return
            self._over.clear()
        elif state in (STOPPING, CLOSED, CRASHED):
            self._requests.put(None)
        if state in (CLOSED, CRASHED):
            for visit in self._visits:
                visit.over.set()

    def _stepped(self, due: DueTick, field: bytes | None, step: Stepped) -> None:
        self._answers.hold()
        self._host.own(self._fan_out, due, field, step)

    async def _fan_out(self, due: DueTick, field: bytes | None, step: Stepped) -> None:
        try:
            if field is not None:
                await self.ticker.catch_up(field)
            await self.ticker.fan_out(due, self.ticker.room.apply(step))
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._fail(error)
        finally:
            self._answers.release()
            self._requests.put(self._go_on)  # to the thread that there is by now

    def _enter(self, visit: Visit, welcome: bytes) -> None:
        if not self.is_over():
            self.ticker.room.enter(visit.connection, visit.newcomer, welcome, self._host.clock.now_us())
        visit.over.set()

    def _thread_ended(self, error: BaseException | None) -> None:
        self._over.set()
        if error:
            self._fail(error)
        else:
            self._feed(LoopEvent.STOPPED)

    # In the thread

    def _run_thread(self) -> None:
        error = None
        try:
            self._turn()
        except Exception as caught:  # noqa: BLE001 # as above
            error = caught
        self._event_loop.call_soon_threadsafe(self._thread_ended, error)

    def _turn(self) -> None:
        schedule, clock, requests = self.ticker.schedule, self._host.clock, self._requests
        self.ticker.resume()
        while True:
            wait_s = (schedule.next_due_us - clock.now_us()) / 1_000_000
            if self._may_step and wait_s < 0:
                self._step()
                continue
            try:
                request = requests.get(timeout=wait_s if self._may_step else None)
            except Empty:
                continue
            if request is None:
                return
            request()

    def _step(self) -> None:
        self._may_step = False
        due = self.ticker.schedule.begin(self._host.clock.now_us())
        with self._lock:
            is_waited_for = self.ticker.is_waited_for()
            inputs = self.ticker.room.take_inputs()
        field = self.game.look() if is_waited_for else None
        self._hand_back(partial(self._stepped, due, field, self.game.step(inputs)))

    def _welcome(self, visit: Visit) -> None:
        self._hand_back(partial(self._enter, visit, self.game.welcome(visit.newcomer)))

    def _go_on(self) -> None:
        self._may_step = True

    def _hand_back(self, answer: Callable[[], None]) -> None:
        self._event_loop.call_soon_threadsafe(self._answers.take, answer)
