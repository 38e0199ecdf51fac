"""Find the processes that take CPU time from what is measured."""

import time
from typing import NamedTuple

import psutil


class Other(NamedTuple):
    """A process other than this one."""

    name: str
    pid: int
    percent: float
    """Of one core."""
    core: int | None
    """The one on which it ran last."""


def busiest_others(during_s: float) -> list[Other]:
    """Watch for ``during_s``: return the other processes that took CPU time, the busiest first."""
    before = _cpu_seconds()
    began = time.monotonic()
    time.sleep(during_s)
    elapsed_s = time.monotonic() - began
    found = [
        Other(name, pid, 100 * (cpu_s - before[pid][1]) / elapsed_s, core)
        for pid, (name, cpu_s, core) in _cpu_seconds().items()
        if pid in before and cpu_s > before[pid][1]
    ]
    return sorted(found, key=lambda other: other.percent, reverse=True)


def _cpu_seconds() -> dict[int, tuple[str, float, int | None]]:
    own = {psutil.Process().pid}
    seconds: dict[int, tuple[str, float, int | None]] = {}
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        try:
            times = process.cpu_times()
            seconds[process.pid] = (process.name(), times.user + times.system, process.cpu_num())
        except psutil.Error:  # it ended, or is not ours to look at
            continue
    return seconds
