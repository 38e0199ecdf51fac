"""
Reads the quotas of CPU time of the control groups that a process is in.

Both versions: cpu.max and cpu.stat (version 2, Documentation/admin-guide/cgroup-v2.rst), cpu.cfs_quota_us and cpu.stat
(version 1, Documentation/scheduler/sched-bwc.rst).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from shared.measure.quota import Quota

SYSTEM = Path("/")


def read_quotas(pid: int | str = "self", system: Path = SYSTEM) -> list[Quota]:
    """
    Return the quotas that apply to a process, the innermost group's first; an empty list where none can be seen.

    ``system`` is the root of the file system. The groups around a container are hidden from its processes. All is read
    anew each time: a quota can be changed, and a process be moved to another group, while it runs.

    """
    try:
        mountinfo = (system / "proc/self/mountinfo").read_text("utf-8", "replace")
        groups = (system / "proc" / str(pid) / "cgroup").read_text("utf-8", "replace")
    except OSError:
        return []
    quotas = (_read(place) for place in _places(mountinfo, groups, system))
    return [quota for quota in quotas if quota is not None and (quota.cores is not None or quota.throttled_periods)]


class _Place(NamedTuple):
    """Where one group's figures are."""

    version: int
    folder: Path
    group: str


@lru_cache(maxsize=8)  # parsed once for each different text
def _places(mountinfo: str, groups: str, system: Path) -> tuple[_Place, ...]:
    """Return where the groups of a process are, the innermost first, from its texts in /proc."""
    return tuple(place for mount in _mounts(mountinfo) for place in _places_below(mount, groups, system))


class _Mount(NamedTuple):
    """A mounted hierarchy of groups: ``folder`` is where its group ``root`` is mounted."""

    version: int
    root: PurePosixPath
    folder: PurePosixPath


def _mounts(mountinfo: str) -> Iterator[_Mount]:
    """Yield where groups of CPU time are mounted (proc_pid_mountinfo(5))."""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.partition(" ")
        names = fields.split()
        if len(names) < 5:
            continue
        root, folder = (PurePosixPath(_unescaped(name)) for name in names[3:5])
        if kind == "cgroup2":
            yield _Mount(2, root, folder)
        elif kind == "cgroup" and "cpu" in options.rpartition(" ")[2].split(","):
            yield _Mount(1, root, folder)


def _unescaped(name: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)


def _places_below(mount: _Mount, groups: str, system: Path) -> Iterator[_Place]:
    path = _path_of(mount, groups)
    if path is None:
        return
    top = system / mount.folder.relative_to("/")
    for group in (path, *path.parents):
        yield _Place(mount.version, top / group, "/" if group == PurePosixPath() else f"/{group}")


def _path_of(mount: _Mount, groups: str) -> PurePosixPath | None:
    """Return the path of the process's group below a mount (proc_pid_cgroup(5)), None where it isn't there."""
    for line in groups.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "" if mount.version == 2 else "cpu" in controllers.split(","):
            group = PurePosixPath(path)
            is_below = group.is_relative_to(mount.root) and ".." not in group.parts
            return group.relative_to(mount.root) if is_below else None
    return None


def _read(place: _Place) -> Quota | None:
    read = _read_version_1 if place.version == 1 else _read_version_2
    return read(place.folder, place.group)


def _read_version_2(folder: Path, group: str) -> Quota | None:
    limit, period_us = [*_words(folder / "cpu.max"), "", ""][:2]
    stat = _stat(folder)
    return _quota(group, limit, period_us, stat, stat.get("throttled_usec", 0))


def _read_version_1(folder: Path, group: str) -> Quota | None:
    (limit, *_), (period_us, *_) = ([*_words(folder / name), ""] for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    stat = _stat(folder)
    return _quota(group, limit, period_us, stat, stat.get("throttled_time", 0) // 1000)


def _quota(group: str, limit: str, period_us: str, stat: dict[str, int], throttled_us: int) -> Quota | None:
    cores = int(limit) / int(period_us) if limit.isdecimal() and period_us.isdecimal() and int(period_us) else None
    return Quota(group, cores, stat.get("nr_throttled", 0), throttled_us)


def _stat(folder: Path) -> dict[str, int]:
    words = _words(folder / "cpu.stat")
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdecimal()}


def _words(file: Path) -> list[str]:
    try:
        return file.read_text("ascii", "replace").split()
    except OSError:
        return []
