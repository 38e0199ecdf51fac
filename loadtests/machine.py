"""What the measured cores did besides the server and the generator. Reads /proc/stat; knows nothing of the load."""

from __future__ import annotations

import gzip
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

PROC_STAT = Path("/proc/stat")
KERNEL_CONFIGS = (Path("/proc/config.gz"), Path(f"/boot/config-{os.uname().release}"))


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """One core's clock at a moment, in seconds since boot: idle, taken by the hypervisor, in interrupts."""

    idle_s: float
    steal_s: float
    interrupts_s: float
    """That no process is charged with; receiving on loopback is such work."""


@dataclass(frozen=True, slots=True)
class MachineSample:
    """All cores at one moment of the monotonic clock."""

    at_s: float
    cores: dict[int, CoreTimes]

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Return what ``dataclasses.asdict`` made plain objects of."""
        return cls(wire["at_s"], {int(cpu): CoreTimes(**times) for cpu, times in wire["cores"].items()})


@dataclass(frozen=True, slots=True)
class CoreUse:
    """What some cores did between two samples, in percent of their time."""

    steal_percent: float
    """Of the core that had most of it."""
    foreign_percent: float | None
    """CPU of all processes but those that were known, over these cores; None where these are not known."""


def own_cpus() -> list[int]:
    """Return the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def sample_machine(path: Path = PROC_STAT, *, interrupts_apart: bool | None = None) -> MachineSample | None:
    """Return the state of all cores, None where the system has no /proc/stat."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    if interrupts_apart is None:
        interrupts_apart = keeps_interrupts_apart()
    cores = {}
    ticks_a_second = os.sysconf("SC_CLK_TCK")
    for line in lines:
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            _, _, _, idle, iowait, irq, softirq, steal, *_ = (int(field) / ticks_a_second for field in fields)
            cores[int(name[3:])] = CoreTimes(idle + iowait, steal, irq + softirq if interrupts_apart else 0.0)
    return MachineSample(time.monotonic(), cores)


@cache
def keeps_interrupts_apart(configs: tuple[Path, ...] = KERNEL_CONFIGS) -> bool:
    """
    Return whether no process is charged with the time in interrupts; else the one that was interrupted is.

    That a kernel which does not say how it was built charges a process is assumed: what others took is then
    overstated, and never overlooked.

    """
    for path in configs:
        try:
            config = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError):
            continue
        return b"CONFIG_IRQ_TIME_ACCOUNTING=y" in config.splitlines()
    return False


def use_between(
    before: MachineSample, after: MachineSample, cpus: list[int], known_cpu_s: float | None
) -> CoreUse | None:
    """
    Return what ``cpus`` did, of which ``known_cpu_s`` was the CPU time of the processes that belong there.

    Busy is what was neither idle nor stolen: a tickless kernel keeps these two exactly, while its user and system
    times are samples taken every 10 ms, which a server that wakes every 50 ms can hit always or never.

    """
    elapsed_s = after.at_s - before.at_s
    known = [cpu for cpu in cpus if cpu in before.cores and cpu in after.cores]
    if not known or elapsed_s <= 0:
        return None
    steal, busy_s = [], 0.0
    for cpu in known:
        old, new = before.cores[cpu], after.cores[cpu]
        stolen_s = new.steal_s - old.steal_s
        steal.append(stolen_s / elapsed_s)
        busy_s += elapsed_s - (new.idle_s - old.idle_s) - stolen_s - (new.interrupts_s - old.interrupts_s)
    foreign = None if known_cpu_s is None else 100 * max(0.0, busy_s - known_cpu_s) / (elapsed_s * len(known))
    return CoreUse(100 * max(steal), foreign)
