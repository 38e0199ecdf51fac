"""The type of what ``/stats`` tells of a server's process: CPU, memory, descriptors, versions, quotas."""

from typing import TypedDict

from shared.measure.quota import Quota


class ProcessReport(TypedDict):
    """The ``process`` object of ``/stats``."""

    pid: int
    children: list[int]
    """The pids of its child processes, which ``cpu_s`` and ``rss_bytes`` include."""
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
    """Of CPU time, that apply to it."""
    not_read: str | None
    """Why memory, threads, descriptors, cores and quotas are older values, as they could not be read now; else None."""
