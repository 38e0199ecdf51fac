"""What the operating system knows of this process. Reads /proc by psutil; knows nothing of what the process does."""

import gc
import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

import psutil

from shared.measure.quota import Quota, read_quotas


class ProcessReport(TypedDict):
    """The ``process`` object of ``/stats``."""

    pid: int
    children: list[int]
    """The pids of child processes that are its own, and in ``cpu_s`` and ``rss_bytes``."""
    cpu_s: float
    rss_bytes: int
    threads: int
    fds: int
    cpus: list[int]
    python: str
    packages: dict[str, str]
    gc_thresholds: tuple[int, int, int]
    gc_frozen: int
    quotas: list[Quota]
    """Of CPU time, that hold for it."""


def boot_id() -> str:
    """Return the host's boot id: two processes with the same one share their monotonic clock."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def process_report(packages: tuple[str, ...], children: Iterable[int] = ()) -> ProcessReport:
    """Return the figures of this process and of ``children``, with the versions of ``packages``."""
    process = psutil.Process()
    pids = list(children)
    use = [_use(pid) for pid in pids]
    with process.oneshot():
        cpu = process.cpu_times()
        return {
            "pid": process.pid,
            "children": pids,
            # Those that have ended are in the times of their parent's children.
            "cpu_s": cpu.user + cpu.system + cpu.children_user + cpu.children_system + sum(cpu_s for cpu_s, _ in use),
            "rss_bytes": process.memory_info().rss + sum(rss_bytes for _, rss_bytes in use),
            "threads": process.num_threads(),
            "fds": process.num_fds(),
            "cpus": process.cpu_affinity(),
            "python": platform.python_version(),
            "packages": versions(packages),
            "gc_thresholds": gc.get_threshold(),
            "gc_frozen": gc.get_freeze_count(),
            "quotas": read_quotas(),
        }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of ``packages`` that are installed: what runs does not need the others."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _use(pid: int) -> tuple[float, int]:
    """Return the CPU seconds and the resident bytes of a child; zeros if it has just ended."""
    try:
        child = psutil.Process(pid)
        cpu = child.cpu_times()
        return cpu.user + cpu.system, child.memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0, 0
