"""
Kill what a killed tickbench leaves behind: the sessions of its children, whose process groups have the same numbers.

``python -m tickbench.children.guard`` reads lines from stdin: ``+GROUP`` is to be watched, ``-GROUP`` no more. Stdin
ends when tickbench does, however that comes; then every group that is left gets SIGKILL, which ends those that stand
still, too. The kernel ends tickbench's children with it (see :mod:`tickbench.children.launch`), but not what these have
started: it would go on, or stand still for ever. Nothing that is slow to import is imported.
"""

import contextlib
import os
import signal
import sys

from tickbench.children.sessions import kill_session


def main() -> None:
    """Listen until tickbench ends, and end what it has not."""
    groups: set[int] = set()
    for line in sys.stdin:
        if line.endswith("\n"):  # the last may be torn
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)  # all of it at once
        kill_session(group)


if __name__ == "__main__":
    main()
