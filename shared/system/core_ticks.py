"""Reads how each core has spent its time since the system started (proc_stat(5))."""

import re
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_CORE = re.compile(r"cpu(\d+)")


class CoreTicks(NamedTuple):
    """The times of one core, in clock ticks, of which ``SC_CLK_TCK`` are a second."""

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
