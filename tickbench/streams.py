"""
Keep a program going whose stdout or stderr is closed, full, without a reader, or not in UTF-8.

What can't be written to stdout goes to stderr, after one line that says so: figures that took minutes are not lost.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from shared.system.outputs import lead_nowhere, occupy_closed_streams

CLOSED = OSError(errno.EBADF, "it is closed")


class SteadyStream:
    """A text stream that never fails: what ``stream`` (None if closed) does not take is written to ``other``."""

    def __init__(self, stream: TextIO | None, other: "TextIO | SteadyStream | None") -> None:
        self.failed = False
        """Some of the output could not be written; that its reader has gone is no failure."""
        self._stream = stream
        self._other = other
        self._pending: list[str] = []
        self._is_gone = False

    def write(self, text: str) -> int:
        """Write to the stream, or to ``other`` once it has failed; return the number of characters."""
        if self._is_gone:
            self._say_elsewhere(text)
            return len(text)
        self._pending.append(text)
        try:
            if self._stream is None:
                raise CLOSED
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush the stream; if it fails, write what is lost to ``other``."""
        if self._is_gone or not self._pending:
            return
        try:
            if self._stream is not None:
                self._stream.flush()
            self._pending.clear()
        except OSError as error:
            self._give_up(error)

    def isatty(self) -> bool:
        """Say whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # click would write to it, past us
            raise AttributeError(name)
        return getattr(self._stream or sys.__stderr__, name)

    def _give_up(self, error: OSError) -> None:
        """Switch to ``other``: say why, and repeat what was not flushed."""
        self._is_gone = True
        self._let_go()
        if isinstance(error, BrokenPipeError):  # the reader has closed its end, as head does
            self._other = None
            return
        self.failed = True
        self._say_elsewhere(f"error: stdout can't be written ({error.strerror}); what is said there follows here\n")
        self._say_elsewhere("".join(self._pending))

    def _say_elsewhere(self, text: str) -> None:
        with suppress(OSError):
            if self._other is not None:
                self._other.write(text)
                self._other.flush()

    def _let_go(self) -> None:
        """Redirect the stream's descriptor to nowhere: at exit the interpreter would complain of what is buffered."""
        with suppress(OSError, ValueError, AttributeError):
            lead_nowhere(self._stream.fileno())  # type: ignore[union-attr]


@contextmanager
def steady_streams() -> Iterator[SteadyStream]:
    """Replace stdout, which is yielded, and stderr by streams that never fail, until the end of the block."""
    occupy_closed_streams()
    before: Any = sys.stdout, sys.stderr
    for stream in before:
        with suppress(AttributeError):  # closed, or a test's stand-in
            stream.reconfigure(errors="replace")
    stderr: Any = SteadyStream(sys.stderr, None)
    steady: Any = SteadyStream(sys.stdout, stderr)
    sys.stdout, sys.stderr = steady, stderr
    try:
        yield steady
    finally:
        steady.flush()
        stderr.flush()
        sys.stdout, sys.stderr = before
