"""Samples the cores of this machine from /proc, and computes what others than the server and the generator took."""

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from shared.system.proc_stat import PROC, core_ticks, process_uses

KTHREADD = 2
"""The pid of the parent of the kernel's threads, where all processes of the machine can be seen."""
DELIVERY = "ksoftirqd/"
"""Kernel threads that process packets under load; their work belongs to the sender and the receiver."""


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """One core's idle time, and the time that the hypervisor took, in seconds since boot."""

    idle_s: float
    steal_s: float


@dataclass(frozen=True, slots=True)
class MachineSample:
    """All cores, and all processes, at one moment of the monotonic clock."""

    at_s: float
    cores: dict[int, CoreTimes]
    process_cpu_s: dict[int, float] | None = None
    """CPU time of each process by its pid, that of its ended children included; None where not all can be seen."""


@dataclass(frozen=True, slots=True)
class CoreUse:
    """What some cores did between two samples, in percent of their time."""

    steal_percent: float
    """Of the core that had most of it."""
    foreign_percent: float | None
    """CPU of all processes but the known ones, over these cores; None where the known ones' CPU is not known."""
    is_bound: bool = False
    """
    Not all processes can be told: ``foreign_percent`` is an upper bound, all that is not theirs, even time that no
    process is charged with; None where there is no such bound.
    """


@dataclass(frozen=True, slots=True)
class Known:
    """The processes that belong on some cores."""

    cpu_s: float
    """CPU time that they took on these cores between two samples."""
    pids: Collection[int] | None = ()
    """Their pids, and those of all others of the run, wherever they are; None where one of them is not known."""
    is_all: bool = True
    """Whether ``cpu_s`` is of all of them; if not, the others' part of what else was done there is not known."""


def own_pid(proc: Path = PROC) -> int:
    """Return the pid of this process as /proc has it, which may be that of another namespace than ours."""
    try:
        return int(str((proc / "self").readlink()))
    except (OSError, ValueError):
        return os.getpid()


def own_cpus() -> list[int]:
    """Return the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def cpus_of(pid: int) -> set[int]:
    """Return the cores that a process may run on, none if it has ended."""
    try:
        return os.sched_getaffinity(pid)
    except OSError:
        return set()


def sample_machine(proc: Path = PROC) -> MachineSample | None:
    """Return the state of all cores, None where the system does not tell it; takes some 20 us per process."""
    if not (cores := core_ticks(proc)):
        return None
    a_second = os.sysconf("SC_CLK_TCK")
    times = {core: CoreTimes(ticks.waited / a_second, ticks.steal / a_second) for core, ticks in cores.items()}
    at_s = time.monotonic()
    return MachineSample(at_s, times, _process_cpu_s(proc))


def use_between(before: MachineSample, after: MachineSample, cpus: list[int], known: Known | None) -> CoreUse | None:
    """
    Return what ``cpus`` did, of which ``known`` is what belongs there.

    What others took is at most the time that these cores were busy for something else, and at most what all other
    processes took anywhere; the smaller one counts. Busy is what was neither idle nor stolen: a tickless kernel keeps
    these two exactly, while its user and system times are samples taken every 10 ms, which a server that wakes every
    50 ms can hit always or never. Busy time includes what no process is charged with, such as waking up from idling.

    """
    elapsed_s = after.at_s - before.at_s
    shared = [cpu for cpu in cpus if cpu in before.cores and cpu in after.cores]
    if not shared or elapsed_s <= 0:
        return None
    steal, busy_s = [], 0.0
    for cpu in shared:
        old, new = before.cores[cpu], after.cores[cpu]
        stolen_s = new.steal_s - old.steal_s
        steal.append(stolen_s / elapsed_s)
        busy_s += elapsed_s - (new.idle_s - old.idle_s) - stolen_s
    if known is None:
        return CoreUse(100 * max(steal), None)
    foreign_s = max(0.0, busy_s - known.cpu_s)
    is_bound = before.process_cpu_s is None or after.process_cpu_s is None or known.pids is None
    if is_bound and not known.is_all:
        return CoreUse(100 * max(steal), None, is_bound=True)
    if before.process_cpu_s is not None and after.process_cpu_s is not None and known.pids is not None:
        foreign_s = min(foreign_s, _others_cpu_s(before.process_cpu_s, after.process_cpu_s, known.pids))
    return CoreUse(100 * max(steal), 100 * foreign_s / (elapsed_s * len(shared)), is_bound)


def cpu_between(before: MachineSample, after: MachineSample, pids: Collection[int]) -> float:
    """Return the CPU time, in seconds, that some processes took between two samples; 0 where not all can be seen."""
    old, new = before.process_cpu_s or {}, after.process_cpu_s or {}
    return sum(max(0.0, new[pid] - old.get(pid, 0.0)) for pid in pids if pid in new)


def _others_cpu_s(before: dict[int, float], after: dict[int, float], pids: Collection[int]) -> float:
    # A process that has ended meanwhile is in the times of its parent.
    return sum(max(0.0, cpu_s - before.get(pid, 0.0)) for pid, cpu_s in after.items() if pid not in pids)


def _process_cpu_s(proc: Path) -> dict[int, float] | None:
    """Return the CPU time of all processes; None inside a container, or where processes are hidden."""
    uses = process_uses(proc)
    if KTHREADD not in uses or uses[KTHREADD].name != "kthreadd":
        return None
    return {pid: use.cpu_with_ended_s for pid, use in uses.items() if not use.name.startswith(DELIVERY)}
