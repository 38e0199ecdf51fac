"""Reads the figures of this process and its children: CPU time, memory, threads, descriptors, versions, quotas."""

import gc
import platform
import resource
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import psutil

from shared.measure.process import ProcessReport
from shared.measure.quota import Quota
from shared.system.quotas import read_quotas


class OwnProcess:
    """
    This process, whose figures are read again and again; ``packages`` are those whose versions are reported.

    What can't change is read only once, at the start, as that may take longer than a tick has.
    """

    def __init__(self, packages: Iterable[str]) -> None:
        self._process = psutil.Process()
        self._python = platform.python_version()
        self._packages = versions(packages)
        self._frozen = 0
        self._read = self._read_anew([])

    def report(self, children: Iterable[int] = ()) -> ProcessReport:
        """Return its figures and those of ``children`` (pids); older ones if no descriptor is left to read them."""
        pids = list(children)
        not_read = None
        try:
            self._read = self._read_anew(pids)
        except OSError as error:
            not_read = str(error)
        cpu_s, rss_bytes, threads, fds, cpus, quotas = self._read
        # getrusage(2) takes no descriptor. It includes children that have ended, but not those that live.
        own = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return {
            "pid": self._process.pid,
            "children": pids,
            "cpu_s": sum(use.ru_utime + use.ru_stime for use in own) + cpu_s,
            "rss_bytes": rss_bytes,
            "threads": threads,
            "fds": fds,
            "cpus": cpus,
            "python": self._python,
            "packages": self._packages,
            "gc_thresholds": gc.get_threshold(),
            "gc_frozen": self._count_frozen(),
            "quotas": quotas,
            "not_read": not_read,
        }

    def _read_anew(self, pids: list[int]) -> tuple[float, int, int, int, list[int], list[Quota]]:
        """
        Return the children's CPU seconds; the resident bytes of all; the own threads, descriptors, cores and quotas.

        Raises:
            OSError: they can't be read now.

        """
        use = [_use(pid) for pid in pids]
        process = self._process
        rss_bytes = process.memory_info().rss + sum(rss_bytes for _, rss_bytes in use)
        threads, fds, cpus = process.num_threads(), process.num_fds(), process.cpu_affinity()
        return sum(cpu_s for cpu_s, _ in use), rss_bytes, threads, fds, cpus, read_quotas()

    def _count_frozen(self) -> int:
        """Return how many objects gc.freeze() has frozen; counted only once, as it takes half a millisecond."""
        self._frozen = self._frozen or gc.get_freeze_count()
        return self._frozen


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of ``packages`` that are installed; a running server does not need the others."""
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
