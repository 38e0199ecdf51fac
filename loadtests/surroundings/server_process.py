"""
Finds the process of the server among those of this machine, by what its /stats say of it.

In a container it has another pid (pid_namespaces(7)): the one that it states is another process here, or none. So it is
recognised by its pid in its own namespace, its CPU time and its memory together. Reads /proc.
"""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from loadtests.surroundings.server_stats import ProcessStats
from shared.system.proc_stat import PROC, ProcessUse, process_uses

CPU_S = 0.2
"""How far the stated CPU time may be off /proc's: the server was asked a moment before."""
RSS_BYTES = 8 * 2**20
RSS_PERCENT = 25.0


def find_process(stated: ProcessStats, age_s: float = 0.0, proc: Path = PROC) -> int | None:
    """
    Return the pid, as seen from here, of the process that said ``stated`` ``age_s`` ago; None where it is not certain.

    Reads every process, some 50 us each.

    """
    processes = process_uses(proc)
    namesakes = [pid for pid in processes if _own_number(pid, proc) == stated.pid]
    fitting = [pid for pid in namesakes if _fits(stated, age_s, pid, processes)]
    return fitting[0] if len(fitting) == 1 else None


def family_of(pid: int, proc: Path = PROC) -> set[int]:
    """Return the pids of a process and all its descendants."""
    return set(_family(pid, process_uses(proc)))


def _fits(stated: ProcessStats, age_s: float, pid: int, processes: dict[int, ProcessUse]) -> bool:
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


def _family(pid: int, processes: dict[int, ProcessUse]) -> Iterable[int]:
    children = defaultdict(list)
    for each, process in processes.items():
        children[process.parent].append(each)
    found = [pid]
    for each in found:
        found += children[each]
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
