"""
Turn a fresh process into a child of tickbench: pin it, raise its limits, tie it to its parent's life, exec the command.

``python -m tickbench.children.launch PARENT_PID CPUS COMMAND...`` takes the cores ``CPUS`` (``0,1``, or ``any``),
allows itself as many descriptors as the system lets it, asks to be killed when PARENT_PID dies, and execs COMMAND. A
fresh process does this to itself because Python's ``preexec_fn`` is not safe beside threads. Nothing that is slow to
import is imported.
"""

import os
import sys

from shared.system.descriptors import allow_many_descriptors
from shared.system.parent import die_with_parent

ANY_CPU = "any"


def main(arguments: list[str]) -> None:
    """Set this process up and exec the command."""
    parent_pid, cpus, *command = arguments
    die_with_parent()
    if os.getppid() != int(parent_pid):  # the parent ended before the kernel was asked
        raise SystemExit(1)
    allow_many_descriptors()
    if cpus != ANY_CPU:
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted: the arguments are passed as they are
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
