"""
Finds the process of the server among those of this machine, by what its /stats say of it.

In a container it has another pid (pid_namespaces(7)): the one that it states is another process here, or none. So it is
recognised by its pid in its own namespace, its CPU time and its memory together. Reads /proc.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.surroundings.server_stats import ProcessStats

PROC = Path("/proc")
CPU_S = 0.2
"""How far the stated CPU time may be off /proc's: the server was asked a moment before."""
RSS_BYTES = 8 * 2**20
RSS_PERCENT = 25.0


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    cpu_s: float
    """CPU time of its own."""
    cpu_with_ended_s: float
    """With that of the ended children that it has waited for."""
    rss_bytes: int


def find_process(stated: ProcessStats, age_s: float = 0.0, proc: Path = PROC) -> int | None:
    """
    Return the pid, as seen from here, of the process that said ``stated`` ``age_s`` ago; None where it is not certain.

    Reads every process, some 50 us each.

    """
    processes = _processes(proc)
    namesakes = [pid for pid in processes if _own_number(pid, proc) == stated.pid]
    fitting = [pid for pid in namesakes if _fits(stated, age_s, pid, processes)]
    return fitting[0] if len(fitting) == 1 else None


def family_of(pid: int, proc: Path = PROC) -> set[int]:
    """Return the pids of a process and all its descendants."""
    return set(_family(pid, _processes(proc)))


def _fits(stated: ProcessStats, age_s: float, pid: int, processes: dict[int, _Process]) -> bool:
    """Return whether a process may have said ``stated``, with its children counted or not."""
    own, family = processes[pid], [processes[each] for each in _family(pid, processes)]
    most_cpu_s = sum(each.cpu_with_ended_s for each in family)
    most_rss_bytes = sum(each.rss_bytes for each in family)
    off_bytes = RSS_BYTES + RSS_PERCENT / 100 * stated.rss_bytes
    return (
        own.cpu_s <= stated.cpu_s + CPU_S + max(0.0, age_s) * len(os.sched_getaffinity(0))
        and stated.cpu_s <= most_cpu_s + CPU_S
        and own.rss_bytes <= stated.rss_bytes + off_bytes
        and stated.rss_bytes <= most_rss_bytes + off_bytes
    )


def _family(pid: int, processes: dict[int, _Process]) -> Iterable[int]:
    children = defaultdict(list)
    for each, process in processes.items():
        children[process.parent].append(each)
    found = [pid]
    for each in found:
        found += children[each]
    return found


def _processes(proc: Path) -> dict[int, _Process]:
    ticks_a_second, page_bytes = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = {}
    for entry in os.scandir(proc):
        if not entry.name.isdecimal():
            continue
        try:
            stat = Path(entry.path, "stat").read_text("utf-8", "replace")
        except OSError:  # it has ended
            continue
        # The rest begins with the third field of proc_pid_stat(5).
        rest = stat.rpartition(")")[2].split()
        own, ended = (sum(map(int, rest[first : first + 2])) / ticks_a_second for first in (11, 13))
        found[int(entry.name)] = _Process(int(rest[1]), own, own + ended, int(rest[21]) * page_bytes)
    return found


def _own_number(pid: int, proc: Path) -> int | None:
    """Return the pid of a process in its innermost namespace."""
    try:
        status = (proc / str(pid) / "status").read_text("utf-8", "replace")
    except OSError:
        return None
    for line in status.splitlines():
        name, _, numbers = line.partition(":")
        if name == "NSpid":
            return int(numbers.split()[-1])
    return pid  # a kernel without pid namespaces
