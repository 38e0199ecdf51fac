"""
Child processes: start them, wait for them with a timeout, stop them for certain.

A child gets a session of its own, so that a Ctrl-C at the terminal reaches tickbench alone, which then ends its
children in order. If tickbench dies before that, the kernel kills them (see :mod:`tickbench.children.launch`), and a
:class:`Guard` whatever they have started. A child can stand still, and with it all of its group.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from shared.printable import plain
from tickbench.children.commands import findable, python_command
from tickbench.children.interrupts import uninterrupted
from tickbench.children.launch import ANY_CPU
from tickbench.children.sessions import kill_session
from tickbench.children.trees import signal_tree
from tickbench.errors import RunFailedError

POLL_S = 0.05
LONGEST_LAST_LINE = 500
"""Characters of a child's last line that an error message quotes."""
KILL_WAIT_S = 10.0
"""How long a process that was killed may take to vanish: longer only in the kernel's uninterruptible sleep."""


class Guard:
    """
    A process that outlives tickbench should that be killed, to kill the groups of its children.

    It has a session of its own, so that what is sent to tickbench's group does not reach it.

    """

    def __enter__(self) -> Self:
        with uninterrupted():
            self._process = subprocess.Popen(
                python_command("tickbench.children.guard"),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=findable(os.environ),
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin  # noqa: S101 # it has one
        try:
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(KILL_WAIT_S)
        finally:
            self._process.kill()
            self._process.wait()

    def watch(self, group: int) -> None:
        """Kill this process group should tickbench end; raise :class:`RunFailedError` if the guard itself has ended."""
        try:
            self._say(f"+{group}\n")
        except OSError as error:
            raise RunFailedError("the guard that would end the children of a killed tickbench has ended") from error

    def forget(self, group: int) -> None:
        """Leave this process group alone; to be called while its id is not given to others yet."""
        with contextlib.suppress(OSError):
            self._say(f"-{group}\n")

    def _say(self, line: str) -> None:
        assert self._process.stdin  # noqa: S101 # it has one
        os.write(self._process.stdin.fileno(), line.encode())  # shorter than PIPE_BUF: whole or not at all


class Nursery:
    """Owns the children that are started through it: none of them outlives its block, nor ``guard`` if it has one."""

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def start(
        self,
        name: str,
        command: list[str],
        *,
        log: Path,
        cpus: Iterable[int] | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        talks: bool = False,
        scatters: bool = False,
    ) -> "Child":
        """
        Start a command; ``name`` is for messages, ``log`` takes what it prints, both streams.

        Args:
            talks: whether :meth:`Child.say` and :meth:`Child.hear` are used; then ``log`` takes stderr only.
            scatters: whether what it starts has process groups of its own; then its whole session ends with it, and
                whatever it started stands still with it.
            cpus: the cores that it may run on; None leaves it those of this process.
            environment: its variables; None hands on those of this process.
            folder: where it starts; None is where this process stands, so that relative paths mean the same to both.

        """
        cores = ",".join(map(str, sorted(cpus))) if cpus else ANY_CPU
        with uninterrupted(), log.open("wb") as output:
            process = subprocess.Popen(
                [*python_command("tickbench.children.launch"), str(os.getpid()), cores, *command],
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else output,
                stderr=output,
                env=findable(os.environ if environment is None else environment),
                cwd=folder,
                start_new_session=True,
            )
            child = Child(name, command, log, process, self._guard, scatters=scatters)
            self._ends.callback(child.stop, grace_s=0)
            if self._guard is not None:
                self._guard.watch(child.pid)
        return child


class Child:
    """One child process and its process group."""

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        process: subprocess.Popen[bytes],
        guard: Guard | None = None,
        *,
        scatters: bool = False,
    ) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.pid = process.pid
        self.exit_status: int | None = None
        """None while it runs; negative if a signal ended it."""
        self.was_killed = False
        """Whether it had to be killed, since it did not end when asked to."""
        self.stands_still = False
        """Whether :meth:`stand_still` was called, and :meth:`wake` not yet."""
        self._process = process
        self._guard = guard
        self._scatters = scatters
        self._heard = b""

    def say(self, line: str) -> None:
        """
        Write a line, which ends in a newline, to its stdin.

        Raises:
            RunFailedError: it has ended.

        """
        assert self._process.stdin  # noqa: S101 # it talks
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except OSError as error:
            raise RunFailedError(f"the {self.name} has ended{self.last_words()}") from error

    def hear(self, timeout_s: float) -> str:
        """
        Return the next line of its stdout, without the newline.

        Raises:
            RunFailedError: none comes in time, or the child has ended.

        """
        if not self.has_said(timeout_s):
            raise RunFailedError(f"the {self.name} said nothing for {timeout_s:g} s{self.last_words()}")
        line, newline, self._heard = self._heard.partition(b"\n")
        if not newline:
            raise RunFailedError(f"the {self.name} has ended{self.last_words()}")
        return line.decode("utf-8", errors="replace")

    def has_said(self, timeout_s: float) -> bool:
        """Wait ``timeout_s`` at most until :meth:`hear` would not have to wait: for a line, or the stream's end."""
        assert self._process.stdout  # noqa: S101 # it talks
        stdout, deadline = self._process.stdout.fileno(), time.monotonic() + timeout_s
        while b"\n" not in self._heard:
            if not select.select([stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                return False
            if not (data := os.read(stdout, 65536)):
                return True
            self._heard += data
        return True

    def stand_still(self) -> None:
        """Stop every process of its group until :meth:`wake`; none of them can refuse, or notice before."""
        self.stands_still = True
        self._signal_all(signal.SIGSTOP)

    def wake(self) -> None:
        """Let its group go on."""
        self.stands_still = False
        self._signal_all(signal.SIGCONT)

    @property
    def has_ended(self) -> bool:
        """Whether the child has ended. It stays a zombie until it is stopped, so its group's id is not reused."""
        if self.exit_status is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, timeout_s: float) -> bool:
        """Wait until the child has ended, at most ``timeout_s``; return whether it has."""
        deadline = time.monotonic() + timeout_s
        while not self.has_ended:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def wait_for_line(self, pattern: re.Pattern[str], timeout_s: float) -> re.Match[str]:
        """Return the match of a line of the log; raise :class:`RunFailedError` if none comes in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            ended = self.has_ended  # asked before the log is read, so that its last words count
            if match := pattern.search(self.log_text()):
                return match
            if ended:
                self.stop(grace_s=0)
                raise RunFailedError(
                    f"the {self.name} ended with {self.how_it_ended()} before it was ready{self.last_words()}"
                )
            if time.monotonic() >= deadline:
                raise RunFailedError(f"the {self.name} was not ready after {timeout_s:g} s{self.last_words()}")
            time.sleep(POLL_S)

    def stop(self, grace_s: float) -> None:
        """Ask the child to end, kill it after ``grace_s``, and with it whatever it left in its group. Idempotent."""
        if self.exit_status is not None:
            return
        asked = not self.has_ended
        try:
            if asked and grace_s > 0:
                if self.stands_still:
                    self.wake()
                os.kill(self.pid, signal.SIGTERM)
                self.wait(grace_s)
        finally:
            self.was_killed = asked and not self.has_ended
            self._signal_group(signal.SIGKILL)
            if self._scatters:
                kill_session(self.pid)  # while it is a zombie at least: the number is not given to others yet
            if self._guard is not None:
                self._guard.forget(self.pid)
            self._reap()

    def _signal_all(self, signum: signal.Signals) -> None:
        if self._scatters and self.exit_status is None:
            signal_tree(self.pid, signum)
        else:
            self._signal_group(signum)

    def _signal_group(self, signum: int) -> None:
        if self.exit_status is None:  # else the group's id may be another's
            with contextlib.suppress(ProcessLookupError):  # everybody in the group has ended
                os.killpg(self.pid, signum)

    def _reap(self) -> None:
        try:
            self.exit_status = self._process.wait(KILL_WAIT_S)
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
        except subprocess.TimeoutExpired as error:
            raise RunFailedError(f"the {self.name} (process {self.pid}) does not end, even killed") from error

    def log_text(self) -> str:
        """Return all that the child printed so far."""
        return self.log.read_text("utf-8", errors="replace")

    def log_tail(self, lines: int = 40) -> list[str]:
        """Return the last lines that the child printed."""
        return self.log_text().splitlines()[-lines:]

    def last_words(self) -> str:
        """Return the last line that is not empty, as the end of a sentence; nothing if there is none."""
        line = next((line.strip() for line in reversed(self.log_tail()) if line.strip()), "")
        return f", its last line: {plain(line, LONGEST_LAST_LINE)}" if line else ""

    def how_it_ended(self) -> str:
        """Return the exit status in words; call after :meth:`stop`."""
        if self.exit_status is None or self.exit_status >= 0:
            return f"exit status {self.exit_status}"
        return f"signal {signal.Signals(-self.exit_status).name}"
