"""What the operating system knows of this process. Reads /proc by psutil; knows nothing of what the process does."""

import gc
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

import psutil


class ProcessReport(TypedDict):
    """The ``process`` object of ``/stats``."""

    pid: int
    cpu_s: float
    rss_bytes: int
    threads: int
    fds: int
    cpus: list[int]
    python: str
    packages: dict[str, str]
    gc_thresholds: tuple[int, int, int]
    gc_frozen: int


def boot_id() -> str:
    """Return the host's boot id: two processes with the same one share their monotonic clock."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def process_report(packages: tuple[str, ...]) -> ProcessReport:
    """Return the figures of this process, with the versions of ``packages``."""
    process = psutil.Process()
    with process.oneshot():
        cpu = process.cpu_times()
        return {
            "pid": process.pid,
            "cpu_s": cpu.user + cpu.system,
            "rss_bytes": process.memory_info().rss,
            "threads": process.num_threads(),
            "fds": process.num_fds(),
            "cpus": process.cpu_affinity(),
            "python": platform.python_version(),
            "packages": {package: version(package) for package in packages},
            "gc_thresholds": gc.get_threshold(),
            "gc_frozen": gc.get_freeze_count(),
        }
