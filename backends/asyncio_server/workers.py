"""Starts, asks, watches and ends one child process of the ``process`` loops, over a socket."""

import asyncio
import logging
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import cast

from shared.rooms.remote import Answer, Exchange, Request
from shared.server.workers import END_LIMIT_S, MAX_UNSENT_BYTES, STEP_S, how_it_ended, worker_command

logger = logging.getLogger("tickbench")


class Worker(asyncio.Protocol):
    """
    One child. Every request is answered once, in order, unless the child dies: then ``mourners`` are called.

    ``nice`` is added to its nice value; if an answer is due for ``limit_s`` seconds it is killed.
    """

    def __init__(self, nice: int, limit_s: float) -> None:
        self.is_over = False
        self.mourners: set[Callable[[], None]] = set()
        self._limit_s = limit_s
        self._exchange = Exchange()
        self._is_silent = False
        self._why: str | None = None  # why it was killed
        self._transport: asyncio.Transport | None = None
        self._unsent = bytearray()  # requests from before the socket had its transport
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as undone:
            undone.callback(ours.close)
            # A process group of its own: only its parent is to get a Ctrl-C from the terminal.
            self._process = subprocess.Popen(
                worker_command(theirs.fileno(), nice), pass_fds=[theirs.fileno()], process_group=0
            )
            undone.pop_all()
        self.pid = self._process.pid
        self._connecting = asyncio.ensure_future(
            asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
        )
        self._telling: asyncio.Task[None] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, and nothing of it is left to wait for."""
        return self._telling is not None and self._telling.done()

    def ask(self, request: Request, callback: Callable[[Answer], None]) -> None:
        """Send a request; ``callback`` gets the answer, if one comes."""
        if self.is_over:
            return
        data = self._exchange.ask(request, callback, time.monotonic())
        if self._transport is None:
            self._unsent += data
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:  # without this request
            self._give_up("took nothing any more")
        self._transport.write(data)

    def watch(self) -> None:
        """Check whether it still answers; if not, kill it."""
        was_silent, self._is_silent = self._is_silent, self._exchange.is_silent(time.monotonic(), self._limit_s)
        # Twice in a row: its answer may lie unread if we have been kept from running ourselves.
        if was_silent and self._is_silent and not self.is_over:
            self._give_up(f"has not answered for {self._limit_s:g} s")

    async def close(self) -> None:
        """End it, and wait until it has ended."""
        self.is_over = True
        await asyncio.wait([self._telling or self._connecting])
        if self._transport:
            self._transport.abort()
        await self._wait()

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what was asked already."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(bytes(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        """Take what the child answered."""
        self._exchange.take(data, time.monotonic())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # it does not say why
        """Call ``mourners``, as the child has died, unless it was told to end."""
        self._exchange.end()
        if not self.is_over:
            self.is_over = True
            self._telling = asyncio.ensure_future(self._tell())
            for mourner in list(self.mourners):
                mourner()

    # Private methods

    def _give_up(self, why: str) -> None:
        self._why = why
        self._process.kill()

    async def _tell(self) -> None:
        """Log why it has died."""
        status = await self._wait()
        logger.error("worker process %d %s: its rooms end", self.pid, self._why or how_it_ended(status))

    async def _wait(self) -> int | None:
        """Return its exit status as soon as it has ended, None if it is not known; kill it if that takes too long."""
        for number in range(2 * int(END_LIMIT_S / STEP_S)):
            if self._process.poll() is not None:
                break
            if number * STEP_S >= END_LIMIT_S:
                self._process.kill()
            await asyncio.sleep(STEP_S)
        return self._process.returncode
