"""
Become another command, as a child that tickbench can answer for.

``python -m tickbench.children.launch PARENT_PID CPUS COMMAND...`` takes the cores ``CPUS`` (``0,1``, or ``any``),
allows itself as many descriptors as the system lets it, asks to be killed when PARENT_PID dies, and execs COMMAND. A
fresh process does this to itself because Python's ``preexec_fn`` is not safe beside threads. Nothing is imported that
takes long.
"""

import ctypes
import os
import signal
import sys

from shared.system.descriptors import allow_many_descriptors

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; it survives the exec."""
ANY_CPU = "any"


def main(arguments: list[str]) -> None:
    """Set this process up and become the command."""
    parent_pid, cpus, *command = arguments
    die_with_parent(int(parent_pid))
    allow_many_descriptors()
    if cpus != ANY_CPU:
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted: the arguments are passed as they are
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before the kernel was asked
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
