"""Finds the programs that a cluster needs beside ours, and asks HAProxy what it thinks of its settings."""

import re
import subprocess
from pathlib import Path

from shared.system.programs import find_program
from tickbench.cluster.rendering import HAPROXY
from tickbench.errors import InputError

PACKAGES = {"haproxy": "haproxy", "supervisord": "supervisor", "supervisorctl": "supervisor"}
REDIS = "redis-server"
"""Program to package, of Debian and its like."""
CHECK_LIMIT_S = 30.0


def find_programs(*, redis: bool = False) -> dict[str, str]:
    """
    Return the paths of all that are needed, with ``redis`` a Redis, too.

    Raise :class:`InputError` with how to install what is missing.
    """
    needed = PACKAGES | ({REDIS: REDIS} if redis else {})
    found = {name: path for name in needed if (path := find_program(name))}
    if missing := [name for name in needed if name not in found]:
        packages = " ".join(dict.fromkeys(needed[name] for name in missing))
        be = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"{' and '.join(missing)} {be} not installed; apt-get install {packages} would add what is missing"
        )
    return found


def check_haproxy(program: str, folder: Path) -> None:
    """Raise :class:`InputError` if HAProxy would not start with the settings in a folder."""
    try:
        done = subprocess.run(
            [program, "-c", "-f", HAPROXY],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"haproxy can't be run ({error}); {program} -v should say its version") from error
    if done.returncode != 0:
        alerts = re.findall(r"config : (?:parsing \[[^]]*\] : )?(.*)", done.stderr) or done.stderr.split("\n")
        raise InputError(
            f"haproxy refuses its settings: {alerts[0].strip().rstrip('.')}; version 2.6 or later is needed"
        )
