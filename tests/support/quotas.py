"""A control group with a quota of CPU time, of whichever version the system has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.server import wait_until

GROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
QUOTA_US = 2_000
"""A fiftieth of a core: a server of forty players needs less on a fast machine, one with heavy ticks needs more."""


def can_limit() -> bool:
    """Whether a group with a quota can be made here: it takes root, and a hierarchy that can be written to."""
    with suppress(OSError), group():
        return True
    return False


@contextmanager
def group() -> Iterator[Path]:
    """Make a control group, and take it away when nobody is in it; raise OSError where none can be made."""
    folder = _make_group()
    try:
        yield folder
    finally:
        wait_until(lambda: not (folder / "cgroup.procs").read_text("ascii"))
        folder.rmdir()


def limit(folder: Path) -> None:
    """Give whoever is in a group a fiftieth of a core."""
    if (folder / "cpu.max").exists():
        (folder / "cpu.max").write_text(f"{QUOTA_US} {PERIOD_US}", "ascii")
        return
    (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US), "ascii")
    (folder / "cpu.cfs_quota_us").write_text(str(QUOTA_US), "ascii")


def _make_group() -> Path:
    for parent in (GROUPS / "cpu", GROUPS / "cpu,cpuacct", GROUPS):
        folder = parent / f"tickbench-test-{os.getpid()}"
        with suppress(OSError):
            folder.mkdir()
            if (folder / "cpu.cfs_quota_us").exists() or (folder / "cpu.max").exists():
                return folder
            folder.rmdir()
    raise OSError("no control group with a quota can be made here")
