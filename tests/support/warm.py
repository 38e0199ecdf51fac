"""
Processes that need not import what all of their kind do: forks of an interpreter that has, see warm_interpreter.py.

Half a second of CPU less for each server that a test starts, and a whole one for each ``tickbench``. What is forked has
the hash seed of the interpreter that it comes from: where that could hide something, start it cold.
"""

import atexit
import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, AnyStr

PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""
ROOT = Path(__file__).parents[2]
LOOKED_AT_ONCE = ("PYTHON", "LC_", "LANG")
"""How variables begin that an interpreter looks at when it starts."""


def looked_at_once(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(LOOKED_AT_ONCE)}


SURROUNDINGS = looked_at_once(os.environ)


def is_warm(env: Mapping[str, str]) -> bool:
    """Say whether a fork is what a new process with these variables would be: none has what only a new one looks at."""
    return looked_at_once(env) == SURROUNDINGS


class Interpreter:
    """One that has imported ``modules``; it ends with this process."""

    def __init__(self, *modules: str) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, str(Path(__file__).with_name("warm_interpreter.py")), str(theirs.fileno())]
            fds = [theirs.fileno()]
            env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # numpy's threads: one that forks is to have none
            self._process = subprocess.Popen([*command, *modules], cwd=ROOT, env=env, pass_fds=fds)
        atexit.register(self._end)

    def fork(
        self, arguments: list[str], cwd: str, env: dict[str, str], streams: list[int], inside: tuple[int, int] | None
    ) -> int:
        """Return the process ID of a new child of this process that runs ``python ARGUMENTS``."""
        request = {
            "owner": os.getpid(),
            "inside": inside,
            "arguments": arguments,
            "cwd": cwd,
            "env": env,
            "cpus": list(os.sched_getaffinity(0)),
            "policy": os.sched_getscheduler(0),
            "priority": os.sched_getparam(0).sched_priority,
            "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # whom its parent leaves becomes ours
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], streams)
            pid = int(self._control.recv(100))
            assert self._control.recv(100) == b"over"
        finally:
            prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        return pid

    def _end(self) -> None:
        self._control.close()
        self._process.wait(10)


interpreter = cache(Interpreter)


class WarmProcess(subprocess.Popen[AnyStr]):
    """
    ``WarmProcess(["-m", "module", ...], modules=[...])``: Popen of ``python -m module ...``, but for what it imports.

    Of the other arguments it knows ``cwd``, ``env`` and the streams. ``inside`` is a process into whose namespaces it
    is to go, and which of them, by their flags of setns(2); who does so is killed with this process.
    """

    def __init__(
        self, arguments: list[str], *, modules: tuple[str, ...], inside: tuple[int, int] | None = None, **fields: Any
    ) -> None:
        self._modules, self._inside = modules, inside
        super().__init__(arguments, **fields)

    def _execute_child(self, args: list[str], *fields: Any) -> None:
        """Do what Popen does here, by another fork than its own."""
        (_, _, _, _, cwd, env, _, _, _, stdin, _, _, stdout, _, stderr, *_) = fields
        streams = [own if theirs == -1 else theirs for own, theirs in enumerate((stdin, stdout, stderr))]
        environment = dict(os.environ if env is None else env)
        where = str(cwd or Path.cwd())
        self.pid = interpreter(*self._modules).fork(args, where, environment, streams, self._inside)
        self._child_created = True
        self._close_pipe_fds(*fields[9:15])  # type: ignore[attr-defined]


def python(arguments: list[str], *, modules: tuple[str, ...] | None, env: Mapping[str, str], **fields: Any) -> Any:
    """Return Popen of ``python ARGUMENTS``, warm if it may be and ``env`` has nothing that only a new one looks at."""
    if modules is not None and is_warm(env):
        return WarmProcess(arguments, modules=modules, env=env, **fields)
    return subprocess.Popen([sys.executable, *arguments], env=env, **fields)
