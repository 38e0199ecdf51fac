"""Reads how each core has spent its time (proc_stat(5)), and what each process has used (proc_pid_stat(5))."""

import os
import re
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_CORE = re.compile(r"cpu(\d+)")


class CoreTicks(NamedTuple):
    """The times of one core since the system started, in clock ticks, of which ``SC_CLK_TCK`` are a second."""

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    """Idle, too, with a disk to wait for."""
    irq: int
    softirq: int
    steal: int
    """Taken by the hypervisor."""

    @property
    def waited(self) -> int:
        """Idle, for a disk or not."""
        return self.idle + self.iowait


class ProcessUse(NamedTuple):
    """What one process has used."""

    name: str
    parent: int
    cpu_s: float
    """CPU time of its own."""
    cpu_with_ended_s: float
    """With that of the ended children that it has waited for."""
    rss_bytes: int


def core_ticks(proc: Path = PROC) -> dict[int, CoreTicks]:
    """Return the times of each core by its number; an empty dict where the system has none."""
    try:
        lines = (proc / "stat").read_text("ascii").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, *fields = line.split() or [""]
        if (core := _CORE.fullmatch(name)) and len(fields) >= len(CoreTicks._fields):
            found[int(core[1])] = CoreTicks(*map(int, fields[: len(CoreTicks._fields)]))
    return found


def process_uses(proc: Path = PROC) -> dict[int, ProcessUse]:
    """Return what each process that can be seen has used, by its pid; takes some 20 us for each."""
    ticks_a_second, page_bytes = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = {}
    for entry in os.scandir(proc):
        if not entry.name.isdecimal():
            continue
        try:
            stat = Path(entry.path, "stat").read_text("utf-8", "replace")
        except OSError:  # it has ended
            continue
        start, _, rest = stat.rpartition(")")
        fields = rest.split()  # from the third on
        own, ended = (sum(map(int, fields[first : first + 2])) / ticks_a_second for first in (11, 13))
        name = start.partition("(")[2]
        found[int(entry.name)] = ProcessUse(name, int(fields[1]), own, own + ended, int(fields[21]) * page_bytes)
    return found
