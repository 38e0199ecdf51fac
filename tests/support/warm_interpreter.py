"""
An interpreter that has imported what many tests start, and forks whenever it is asked to: a child imports it no more.

``python warm_interpreter.py FD MODULE...``: requests come in over the socket FD, see warm.py. A child runs a module or
a script as ``python`` would, and ends as that would, since it goes on behind the loop that only the parent stays in.
"""

import ctypes
import json
import os
import posix
import resource
import runpy
import select
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from shared.system.parent import die_with_parent

MAX_REQUEST_BYTES = 1 << 18


def forked_for(control: socket.socket) -> dict[str, Any]:
    """Fork for each request, and return it in the child; the parent exits when no more can come."""
    while True:
        message, streams, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 3)
        if not message:
            raise SystemExit
        # The child of a child: its parent is gone at once, so that it becomes one of whoever asked, to be waited for.
        # posix.fork is never gevent's, which would begin a hub here, nor posix.close, which waits for a hub to close.
        if not (between := posix.fork()):
            request: dict[str, Any] = json.loads(message)
            # Before anybody knows the child, who may set a lower limit to it at once.
            resource.setrlimit(resource.RLIMIT_NOFILE, request["descriptors"])
            if not (pid := posix.fork()):
                control.close()
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                    posix.close(stream)
                return request
            control.send(str(pid).encode())
            os._exit(0)
        posix.waitpid(between, 0)
        control.send(b"over")
        for stream in streams:
            posix.close(stream)


def go_inside(pid: int, namespaces: int, owner: int) -> None:
    """Enter the namespaces of a process, and be killed with the owner: nobody else may know that this is there."""
    process = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(process, namespaces):
        raise OSError(ctypes.get_errno(), "it can't go into the namespaces")
    posix.close(process)
    first = os.getppid()
    while first != owner and os.getppid() == first:  # who is about to end, which is not to be its own end
        select.select([], [], [], 0.001)
    die_with_parent()
    if os.getppid() != owner:
        raise SystemExit("whoever asked for this process is gone")


def take_on(request: dict[str, Any]) -> None:
    """Have the surroundings that a new process would have had."""
    if request["inside"]:
        pid, namespaces = request["inside"]
        go_inside(pid, namespaces, request["owner"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    os.sched_setaffinity(0, request["cpus"])
    os.sched_setscheduler(0, request["policy"], os.sched_param(request["priority"]))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Those that there are were opened for other files: they may be told to seek, or not to.
    streams = {
        "stdin": os.fdopen(0, closefd=False),
        "stdout": os.fdopen(1, "w", closefd=False),
        "stderr": os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False),
    }
    for name, stream in streams.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(arguments: list[str]) -> None:
    """Run ``-m MODULE ARGUMENT...`` or ``SCRIPT ARGUMENT...``."""
    first, *more = arguments
    if first == "-m":
        module, *sys.argv[1:] = more
        sys.path[0] = str(Path.cwd())
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = arguments
        sys.path[0] = str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the tests
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = str(Path.cwd())
    for name in sys.argv[2:]:
        import_module(name)
        if name.endswith(".__main__"):
            del sys.modules[name]  # it is to run once more
    given = forked_for(control)
    take_on(given)
    run(given["arguments"])
