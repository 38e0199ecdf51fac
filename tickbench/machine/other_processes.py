"""Find the processes that take CPU time from what is measured."""

import os
import time
from collections.abc import Iterator
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
    processes = list(psutil.process_iter())
    list(_used(processes))  # from here on
    time.sleep(during_s)
    return sorted((other for other in _used(processes) if other.percent), key=lambda other: -other.percent)


def _used(processes: list[psutil.Process]) -> Iterator[Other]:
    """Yield what each took since it was asked before; nothing for one that ended, or is not ours to look at."""
    for process in processes:
        try:
            if process.pid != os.getpid():
                yield Other(process.name(), process.pid, process.cpu_percent(), process.cpu_num())
        except psutil.Error:
            continue
