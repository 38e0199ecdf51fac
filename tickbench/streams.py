"""
A terminal's streams as they may be: closed, full, without a reader, not in UTF-8. Knows nothing of what is said.

What can't be written to stdout goes to stderr, behind one line that says so: figures that took minutes are not lost.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from shared.system.outputs import lead_nowhere, occupy_closed_streams

CLOSED = OSError(errno.EBADF, "it is closed")


class SteadyStream:
    """A text stream that never fails; ``other`` takes what ``stream``, which is None where it is closed, does not."""

    def __init__(self, stream: TextIO | None, other: "TextIO | SteadyStream | None") -> None:
        self.failed = False
        """Some of what was said could not be written; that nobody reads it any more is no failure."""
        self._stream = stream
        self._other = other
        self._pending: list[str] = []
        self._is_gone = False

    def write(self, text: str) -> int:
        """Write, here or there."""
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
        """Hand over what was written."""
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
        """Say what is the matter, and what was not written."""
        self._is_gone = True
        self._let_go()
        if isinstance(error, BrokenPipeError):  # as head does it: its reader has enough
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
        """Have what is left in the stream's buffer go nowhere, or the interpreter complains of it at its end."""
        with suppress(OSError, ValueError, AttributeError):
            lead_nowhere(self._stream.fileno())  # type: ignore[union-attr]


@contextmanager
def steady_streams() -> Iterator[SteadyStream]:
    """Have stdout, which is yielded, and stderr never fail, whatever is said, until the end of the block."""
    occupy_closed_streams()
    before: Any = sys.stdout, sys.stderr
    for stream in before:
        with suppress(AttributeError):  # it is closed, or a test's
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
