"""Starts a child process with a socket to it, looks whether it has ended, and kills it."""

import os
import signal
import socket
from contextlib import suppress

FOR_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal, or a supervisor, sends to a whole group to have it end."""


class ChildProcess:
    """
    A child that inherits the other end of ``socket``, as the descriptor whose number is the last of its arguments.

    It is in the process group of its parent: whoever stops the group, wakes it or kills it, has them all. What ends a
    group in peace is its parent's to act on: the child begins with :data:`FOR_PARENT` blocked, and is to ignore them.

    Raises:
        OSError: the system has no descriptor, no process or no memory left for it.

    """

    def __init__(self, command: list[str]) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            os.set_inheritable(theirs.fileno(), True)  # noqa: FBT003 # as the library names it
            arguments = [*command, str(theirs.fileno())]
            # A process that gevent has patched must not be forked, as gevent's Popen does; and subprocess fails in it.
            try:
                self.pid = os.posix_spawn(command[0], arguments, os.environ, setsigmask=FOR_PARENT)
            except OSError:
                self.socket.close()
                raise
        self.status: int | None = None
        """Its exit status (minus the signal that ended it), once it has ended; None, too, where that is not known."""
        self._has_ended = False

    def has_ended(self) -> bool:
        """Say whether it has ended; nothing of it is left to wait for then."""
        if not self._has_ended:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # the system reaps our children, as SIGCHLD was ignored when we were started
                self._has_ended = True
            else:
                if pid:
                    self._has_ended, self.status = True, os.waitstatus_to_exitcode(status)
        return self._has_ended

    def kill(self) -> None:
        """End it at once; :meth:`has_ended` notices a moment later."""
        if not self._has_ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
