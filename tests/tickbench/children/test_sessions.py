"""What has left the process group of a child ends with the child all the same, or with tickbench."""

import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.server import wait_until
from tickbench.children.processes import Nursery

SCATTERING = """
import os, subprocess, sys, time
code = "import os, time; os.setpgrp(); print(os.getpid(), flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", code])
time.sleep(60)
"""


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def grandchild(log: Path) -> int:
    """Return the process that a child has started, once that has left the group."""
    wait_until(lambda: log.is_file() and log.read_text().endswith("\n"))
    return int(log.read_text())


def test_a_child_that_scatters_takes_all_of_it_with_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Nursery() as nursery:
        child = nursery.start("x", [sys.executable, "-c", SCATTERING], log=log, scatters=True)
        left = grandchild(log)
        assert runs(left)
        child.stop(grace_s=5)
        assert not runs(left)


def test_the_guard_of_a_killed_tickbench_ends_what_has_scattered(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import pathlib, sys, time; from tickbench.children.processes import Guard, Nursery; "
        f"guard = Guard().__enter__(); command = [sys.executable, '-c', {SCATTERING!r}]; "
        f"child = Nursery(guard).start('x', command, log=pathlib.Path({str(log)!r})); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        left = grandchild(log)
        assert runs(left)
        parent.kill()
    wait_until(lambda: not runs(left))
