"""Finds programs that are no packages of Python's."""

import shutil

DAEMONS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where programs may be that are not in everybody's PATH."""


def find_program(name: str) -> str | None:
    """Return the path of a program, None if it is not installed."""
    return shutil.which(name) or shutil.which(name, path=DAEMONS)
