"""Starts, asks, watches and ends one child process of the ``process`` loops, over a socket."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import gevent
from gevent.event import Event

from shared.rooms.remote import READ_BYTES, Answer, Exchange, Request
from shared.server.workers import END_LIMIT_S, MAX_UNSENT_BYTES, STEP_S, how_it_ended, worker_command

logger = logging.getLogger("tickbench")


class Worker:
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
        self._unsent = bytearray()
        self._wake = Event()
        self._has_ended = False
        self._status: int | None = None  # once it has ended
        self._socket, theirs = socket.socketpair()
        with theirs, ExitStack() as undone:
            undone.callback(self._socket.close)
            os.set_inheritable(theirs.fileno(), True)  # noqa: FBT003 # as the library names it
            command = worker_command(theirs.fileno(), nice)
            # A patched process must not be forked, as gevent's Popen does; and the standard one does not work in it.
            # A process group of its own: only its parent is to get a Ctrl-C from the terminal.
            self.pid = os.posix_spawn(command[0], command, os.environ, setpgroup=0)
            undone.pop_all()
        self._reader, self._writer = gevent.spawn(self._read), gevent.spawn(self._write)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, and nothing of it is left to wait for."""
        return self._reader.dead

    def ask(self, request: Request, callback: Callable[[Answer], None]) -> None:
        """Send a request; ``callback`` gets the answer, if one comes."""
        if self.is_over:
            return
        if len(self._unsent) > MAX_UNSENT_BYTES:  # without this request
            self._give_up("took nothing any more")
        self._unsent += self._exchange.ask(request, callback, time.monotonic())
        self._wake.set()

    def watch(self) -> None:
        """Check whether it still answers; if not, kill it."""
        was_silent, self._is_silent = self._is_silent, self._exchange.is_silent(time.monotonic(), self._limit_s)
        # Twice in a row: its answer may lie unread if we have been kept from running ourselves.
        if was_silent and self._is_silent and not self.is_over:
            self._give_up(f"has not answered for {self._limit_s:g} s")

    def close(self) -> None:
        """End it, and wait until it has ended."""
        if self.is_over:
            self._reader.join()  # it is about to log why
        self.is_over = True
        gevent.killall([self._reader, self._writer])
        self._socket.close()
        self._wait()

    # Private methods

    def _read(self) -> None:
        try:
            while data := self._socket.recv(READ_BYTES):
                self._exchange.take(data, time.monotonic())
        except OSError:
            pass  # as also happens when a child dies
        except Exception:
            logger.exception("a fault in what worker process %d answered", self.pid)
        finally:
            self._mourn()

    def _write(self) -> None:
        with suppress(OSError):  # its reader ends it
            while True:
                self._wake.wait()
                self._wake.clear()
                while self._unsent:
                    del self._unsent[: self._socket.send(self._unsent)]

    def _mourn(self) -> None:
        """Call ``mourners``, as the child has died, unless it was told to end."""
        self._exchange.end()
        if not self.is_over:
            self.is_over = True
            self._writer.kill(block=False)
            self._socket.close()
            for mourner in list(self.mourners):
                mourner()
            self._tell()

    def _give_up(self, why: str) -> None:
        self._why = why
        self._kill()

    def _tell(self) -> None:
        """Log why it has died."""
        status = self._wait()
        logger.error("worker process %d %s: its rooms end", self.pid, self._why or how_it_ended(status))

    def _wait(self) -> int | None:
        """Return its exit status as soon as it has ended, None if it is not known; kill it if that takes too long."""
        for number in range(2 * int(END_LIMIT_S / STEP_S)):
            if self._poll():
                break
            if number * STEP_S >= END_LIMIT_S:
                self._kill()
            gevent.sleep(STEP_S)
        return self._status

    def _poll(self) -> bool:
        """Say whether it has ended."""
        if not self._has_ended:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # the system reaps our children, as SIGCHLD was ignored when we were started
                self._has_ended = True
                return True
            if pid:
                self._has_ended, self._status = True, os.waitstatus_to_exitcode(status)
        return self._has_ended

    def _kill(self) -> None:
        if not self._has_ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
