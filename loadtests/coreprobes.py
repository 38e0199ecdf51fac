"""The drift probes on the server's cores, and who starts and ends them. Knows nothing of the load."""

from __future__ import annotations

import select
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from loadtests.coreprobe import Report
from shared.measure.histogram import Histogram

MAX_PROBES = 4
READY_WAIT_S = 10.0
ANSWER_WAIT_S = 2.0
END_WAIT_S = 2.0
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class CoreGap:
    """What a probe saw of its core."""

    cpu: int
    scheduling: str
    max_gap_us: int
    lateness: Histogram
    cpu_s: float


class CoreProbes:
    """Owns a child process for each of the first :data:`MAX_PROBES` cores."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, cpus: list[int]) -> None:
        """Start the probes, and wait until they watch; those that can't are left out."""
        for cpu in cpus[:MAX_PROBES]:
            child = subprocess.Popen(
                [sys.executable, "-m", "loadtests.coreprobe", str(cpu)],
                cwd=_ROOT,  # where this package was found
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._children.append(child)
        deadline_s = time.monotonic() + READY_WAIT_S
        for child in list(self._children):
            if _read_line(child, deadline_s) != b"ready\n":
                self._end(child)

    def reset(self) -> None:
        """Have all forget what they saw."""
        for child in self._children:
            _tell(child, b"reset\n")

    def report(self) -> list[CoreGap]:
        """Return what each saw since it was reset; those that do not answer are left out."""
        asked = [child for child in self._children if _tell(child, b"report\n")]
        deadline_s = time.monotonic() + ANSWER_WAIT_S
        gaps = []
        for child in asked:
            with suppress(msgspec.MsgspecError, ValueError):
                report = msgspec.json.decode(_read_line(child, deadline_s), type=Report)
                lateness = Histogram.from_summary(report.lateness)
                gaps.append(CoreGap(report.cpu, report.scheduling, report.max_gap_us, lateness, report.cpu_s))
        return gaps

    def stop(self) -> None:
        """End them all."""
        for child in list(self._children):
            self._end(child)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        self._children.remove(child)
        with suppress(OSError):
            if child.stdin is not None:
                child.stdin.close()
        try:
            child.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(END_WAIT_S)
        finally:
            if child.stdout is not None:
                child.stdout.close()


def _tell(child: subprocess.Popen[bytes], order: bytes) -> bool:
    """Send an order; return whether it could be."""
    if child.stdin is None:
        return False
    try:
        child.stdin.write(order)
        child.stdin.flush()
    except OSError:
        return False
    return True


def _read_line(child: subprocess.Popen[bytes], deadline_s: float) -> bytes:
    """Return the next line that a child prints, or what there is of it by the deadline."""
    line = b""
    while child.stdout is not None and not line.endswith(b"\n"):
        # select is cooperative in a process that gevent has patched; a line is short and its end has no successor.
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline_s - time.monotonic()))
        data = child.stdout.read1(65536) if ready else b""  # type: ignore[attr-defined] # a BufferedReader
        if not data:
            break
        line += data
    return line
