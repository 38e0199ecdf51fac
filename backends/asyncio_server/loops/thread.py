"""
Thread: the loop and the rules run in a native thread of their own; what a step did is handed back to the event loop.

The article's example 3.5. Nobody ended its thread, and when a tick failed it ended in silence. Here only the thread
uses the game: it waits for the due time and for requests at once, and begins no step until the last frame is sent. It
waits by itself, whatever ``--clock`` says.
"""

import asyncio
from asyncio import Event
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from shared.loops.lifecycle import RUNNING, LoopEvent
from shared.wire.messages import ClientMessage

from ..connection import Connection
from ..host import Host
from ..ticker import Ticker
from .elsewhere import ElsewhereLoop, Visit


class ThreadLoop(ElsewhereLoop):
    """Owns the thread of one room."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        super().__init__(host, ticker)
        self._event_loop = asyncio.get_running_loop()
        self._lock = Lock()  # around what the members ask for, for microseconds
        self._requests: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # for the thread to call; None ends it
        self._may_step = False  # set and read by the thread
        self._over = Event()  # the thread has ended
        self._error: Exception | None = None  # which ended it

    # On the event loop

    async def take(self, connection: Connection, message: ClientMessage) -> None:
        """Take what a member has said; of a newcomer, return when it is in."""
        with self._lock:
            newcomer = self.room.receive(connection, message)
        if newcomer and not self.is_over():
            await self.let_in(connection, newcomer)

    def leave(self, connection: Connection) -> None:
        """Take a member out."""
        with self._lock:
            self.room.leave(connection)
        self.update()

    # Private methods

    def _ask_for_welcome(self, visit: Visit) -> None:
        self._requests.put(partial(self._welcome, visit))

    def _sent(self) -> None:
        self._requests.put(self._go_on)  # to the thread that there is by now

    def _end(self) -> None:
        self._requests.put(None)

    async def _run(self) -> None:
        """Start a thread and wait for its end, unless the room was left at once."""
        if self._lifecycle.state is RUNNING:
            self._requests = SimpleQueue()
            self._may_step = False  # no thread runs now, and the last one may have been told that it may
            for visit in self._visits:
                self._ask_for_welcome(visit)
            if not self._answers.is_held:  # else the last frame is being sent yet, and whoever sends it does this
                self._requests.put(self._go_on)  # behind the welcomes: no step before them
            self._over.clear()
            Thread(target=self._run_thread, name=f"room {self.room.name}", daemon=True).start()
            await self._over.wait()
            if self._error:
                raise self._error
        self._feed(LoopEvent.STOPPED)

    # In the thread

    def _run_thread(self) -> None:
        try:
            self._turn()
        except Exception as error:  # noqa: BLE001 # it is raised where the thread is waited for
            self._error = error
        self._event_loop.call_soon_threadsafe(self._over.set)

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
            inputs = self.room.take_inputs()
        field = self.game.look() if is_waited_for else None
        self._hand_back(partial(self._send, due, field, self.game.step(inputs)))

    def _welcome(self, visit: Visit) -> None:
        self._hand_back(partial(self._enter, visit, self.game.welcome(visit.newcomer)))

    def _go_on(self) -> None:
        self._may_step = True

    def _hand_back(self, answer: Callable[[], None]) -> None:
        self._event_loop.call_soon_threadsafe(self._answers.take, answer)
