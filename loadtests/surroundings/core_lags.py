"""Starts, asks and ends the drift probes (:mod:`loadtests.surroundings.core_lag`) on the server's cores."""

import os
import select
import subprocess
import sys
import time
from contextlib import suppress

import msgspec

from loadtests.surroundings.core_lag import CoreGap
from shared.measure.histogram import Histogram

MAX_PROBES = 4
READY_WAIT_S = 10.0
ANSWER_WAIT_S = 2.0
END_WAIT_S = 2.0

_Child = subprocess.Popen[bytes]


class CoreLags:
    """
    Owns a child process for each of the first :data:`MAX_PROBES` cores.

    It works with gevent's patches and without: all waits are cooperative, and all have a timeout.
    A probe lives no longer than the thread that started it (see PR_SET_PDEATHSIG in prctl(2)).

    """

    def __init__(self) -> None:
        self._children: list[_Child] = []

    def start(self, cpus: list[int]) -> None:
        """
        Start the probes, and wait until they watch; those that can't are left out.

        Raises:
            OSError: a process can't be started; then none is left.

        """
        try:
            for cpu in cpus[:MAX_PROBES]:
                self._children.append(_spawn(cpu))
            deadline_s = time.monotonic() + READY_WAIT_S
            self._drop([child for child in self._children if _read_line(child, deadline_s) != b"ready\n"])
        except BaseException:  # a greenlet that is killed in here, too
            self.stop()
            raise

    def reset(self) -> None:
        """Have all probes forget what they saw."""
        for child in self._children:
            _tell(child, b"reset\n")

    def report(self) -> list[CoreGap]:
        """Return what each probe saw since it was reset; those that do not answer are left out, and ended."""
        asked = list(self._children)
        for child in asked:
            _tell(child, b"report\n")
        deadline_s = time.monotonic() + ANSWER_WAIT_S
        answers = [_read_gap(child, deadline_s) for child in asked]
        # An answer that comes late would be taken for that to the next question.
        self._drop([child for child, gap in zip(asked, answers, strict=True) if gap is None])
        return [gap for gap in answers if gap is not None]

    def stop(self) -> None:
        """End all probes."""
        children, self._children = self._children, []
        _end(children, END_WAIT_S)

    def _drop(self, children: list[_Child]) -> None:
        self._children = [child for child in self._children if child not in children]
        _end(children, 0)


def _spawn(cpu: int) -> _Child:
    # With our module path: -P keeps the working directory out, unless it is in that path.
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)  # noqa: PTH100 - "" is the working directory
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "loadtests.surroundings.core_lag", str(cpu)],
        bufsize=0,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _end(children: list[_Child], patience_s: float) -> None:
    """Ask the children to end, kill those that do not, and close their pipes."""
    for child in children:
        if child.stdin is not None:
            child.stdin.close()
    deadline_s = time.monotonic() + patience_s
    try:
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline_s - time.monotonic()))
    finally:
        for child in children:
            child.kill()  # does nothing if it has been waited for
            with suppress(subprocess.TimeoutExpired):
                child.wait(END_WAIT_S)
            if child.stdout is not None:
                child.stdout.close()


def _tell(child: _Child, order: bytes) -> None:
    """Send an order; a child that has died will not answer."""
    if child.stdin is not None:
        with suppress(OSError):
            child.stdin.write(order)


def _read_gap(child: _Child, deadline_s: float) -> CoreGap | None:
    try:
        gap = msgspec.json.decode(_read_line(child, deadline_s), type=CoreGap)
        Histogram.from_summary(gap.lateness_ms)  # it may be none
    except (msgspec.MsgspecError, ValueError):
        return None
    return gap


def _read_line(child: _Child, deadline_s: float) -> bytes:
    """Return the next line that a child prints, or what there is of it by the deadline."""
    line = b""
    while child.stdout is not None and not line.endswith(b"\n"):
        # Cooperative where gevent has patched it. There is never more than one line: each answers a question.
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline_s - time.monotonic()))
        data = os.read(child.stdout.fileno(), 65536) if ready else b""
        if not data:
            break
        line += data
    return line
