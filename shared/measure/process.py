"""What ``/stats`` tells of a server's process."""

from typing import TypedDict

from shared.measure.quota import Quota


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
    not_read: str | None
    """Why memory, threads, descriptors, cores and quotas are as they were when they could be read last; else None."""
