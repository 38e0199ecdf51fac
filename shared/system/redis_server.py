"""
Runs a Redis of this process's own: a child that nobody else reaches, and that ends with it, however it ends.

It listens at a socket in a folder of its own, keeps nothing, and is in the process group of its parent: whoever stops
the group, or wakes it, has them both.
"""

import fcntl
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from shared.system.child_process import FOR_PARENT
from shared.system.programs import find_program

PROGRAM = "redis-server"
START_LIMIT_S = 10.0
"""The time that it has to answer, on a machine that is busy."""

END_LIMIT_S = 1.0
"""The time that the kernel has to end it."""

STEP_S = 0.005
PREFIX = "tickbench-redis-"
SOCKET, LOG = "redis.sock", "log"

LAUNCH = (sys.executable, *(("-P",) if sys.flags.safe_path else ()), "-m", "shared.system.parent")


class RedisServer:
    """One Redis, which can be started again at the same place; it is empty each time."""

    def __init__(self) -> None:
        self.pid: int | None = None
        """While one is there, or nobody has waited for its end."""
        self.status: int | None = None
        """The exit status of the last one (minus the signal that ended it); None, too, where that is not known."""
        self._folder: Path | None = None
        self._lock = -1

    @property
    def path(self) -> Path:
        """Where its socket is."""
        assert self._folder  # noqa: S101 # it was started
        return self._folder / SOCKET

    def start(self) -> None:
        """
        Start it, and wait until it answers.

        Raises:
            OSError: it can't be started, or does not answer; says why.

        """
        program = find_program(PROGRAM)
        if program is None:
            raise FileNotFoundError(f"there is no {PROGRAM}")
        if self._folder is None:
            remove_left_folders()
            self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        options = {"port": "0", "unixsocket": str(self.path), "dir": str(self._folder), "save": "", "appendonly": "no"}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        log, flags = str(self._folder / LOG), os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        streams = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        command = [*LAUNCH, str(os.getpid()), program, *words]
        self.pid = os.posix_spawn(command[0], command, os.environ, file_actions=streams, setsigmask=FOR_PARENT)
        end_s = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self.has_ended():
                self.pid = None
                raise OSError(f"it ended: {self._last_words()}")
            if time.monotonic() > end_s:
                self.kill()
                raise OSError(f"it does not answer for {START_LIMIT_S:g} s")
            time.sleep(STEP_S)

    def has_ended(self) -> bool:
        """Say whether one was started that has ended by itself; :meth:`kill` takes note of it, too."""
        if self.pid is None:
            return False
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # the system reaps our children, or it was asked before
            return True
        if pid:
            self.status = os.waitstatus_to_exitcode(status)
        return bool(pid)

    def kill(self) -> None:
        """End it at once, if there is one: it has nothing to lose."""
        if self.pid is None:
            return
        end_s = time.monotonic() + END_LIMIT_S
        if not self.has_ended():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            while not self.has_ended() and time.monotonic() < end_s:
                time.sleep(STEP_S)
        self.pid = None

    def close(self) -> None:
        """End it, and take its folder away."""
        self.kill()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)
            self._folder = None

    # Private methods

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(START_LIMIT_S)
            sock.connect(str(self.path))
            sock.sendall(b"PING\r\n")
            return sock.recv(100).startswith(b"+PONG")
        return False

    def _last_words(self) -> str:
        assert self._folder  # noqa: S101 # it was started
        lines = (self._folder / LOG).read_text("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "without a word")
        return re.sub(r"^\d+:\w \d.*? [#*.-] ", "", last).strip()


def remove_left_folders() -> None:
    """Remove what a process that was killed has left: its folder, which nobody has locked any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is somebody else's
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (folder / SOCKET).exists():  # else it is only being made
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
