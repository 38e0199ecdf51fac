"""
Build the command lines of the child processes: servers, load runs, benches.

The programs are started, never imported: a monkey-patched interpreter and an asyncio one never share a process.
"""

import contextlib
import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.system.packages import advice
from tickbench.arms import BACKENDS, PHASE, PHASE_PLACE, PORT_PLACE, PROCESSES, RELAY, Arm
from tickbench.errors import InputError
from tickbench.target import Access

Settings = Mapping[str, str | int | float]

HOME = str(Path(__file__).resolve().parents[2])
"""The folder that this package and its siblings are in."""
COMMAND_LINE = "tickbench"
ANY_PORT = ("--port", "0")
CLUSTER_SETTINGS = (PROCESSES, RELAY)
LOAD_TEST = "loadtests"
"""The module of the load test, for ``python -m``."""


def python_command(module: str) -> list[str]:
    """Return the command that runs a module with this interpreter, in the environment that :func:`findable` makes."""
    # Without -P, a folder of the user's that happens to be called "shared" would come before the installed one.
    return [sys.executable, "-P", "-m", module]


def findable(variables: Mapping[str, str]) -> dict[str, str]:
    """Return ``variables`` with a PYTHONPATH on which a child finds what this process does, wherever it starts."""
    given = [folder for folder in variables.get("PYTHONPATH", "").split(os.pathsep) if folder]
    path = [_absolute(folder) for folder in given]
    if HOME not in sys.path[1:]:  # found through the folder of the start: a checkout that is not installed
        path = [HOME, *path]
    return {**variables, "PYTHONPATH": os.pathsep.join(path)} if path else dict(variables)


def _absolute(folder: str) -> str:
    # Without a working folder a relative path leads nowhere, and is left as it is.
    with contextlib.suppress(FileNotFoundError):
        return os.path.abspath(folder)  # noqa: PTH100 - a link stays one
    return folder


def server_command(arm: Arm, settings: Settings, port: int | None = None) -> list[str]:
    """
    Return the command that serves an arm on a free port; ``settings`` are flags of ``serve`` that the arm may override.

    A command of the suite gets ``port`` in place of ``{port}``, the phase (0 if there is none) in place of ``{phase}``,
    and no other settings.

    """
    if arm.command is not None:
        phase = str(settings.get(PHASE, 0))
        return [word.replace(PORT_PLACE, str(port)).replace(PHASE_PLACE, phase) for word in shlex.split(arm.command)]
    if not arm.is_cluster:
        return [*python_command(BACKENDS[arm.backend]), *server_flags(arm, settings)]
    own = {name: value for name, value in arm.settings if name in CLUSTER_SETTINGS}
    flags = server_flags(arm, settings)[len(ANY_PORT) :]  # each server is given a port
    return [*python_command(COMMAND_LINE), "cluster", arm.backend, *ANY_PORT, *_as_flags(own), "--", *flags]


def server_flags(arm: Arm, settings: Settings) -> list[str]:
    """Return the arguments of a backend's server, in a cluster of each of them."""
    flags: dict[str, object] = {**settings, **dict(arm.settings)}
    for name in CLUSTER_SETTINGS if arm.is_cluster else ():
        flags.pop(name, None)
    return [*ANY_PORT, *_as_flags(flags)]


def load_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that makes a load run; ``python -m loadtests --help`` lists the arguments."""
    return [*python_command(LOAD_TEST), "--headless", *arguments]


def load_flags(
    url: str,
    users: int,
    out: Path,
    *,
    scenario: str,
    duration_s: float,
    warm_up_s: float,
    more: Settings,
    in_slots: bool = False,
) -> list[str]:
    """
    Return the arguments of a load run whose summary goes to ``out``; ``more`` are further ones, by their names.

    In slots it measures when, and for as long as, it is told to by :class:`tickbench.compare.standing_arm.StandingArm`.

    """
    times = {} if in_slots else {"warm-up": f"{warm_up_s:g}", "duration": f"{duration_s:g}"}
    words = _as_flags({"host": url, "users": users, "scenario": scenario, **times, "out": out, **more})
    return ["--slots", *words] if in_slots else words


def check_command(module: str) -> list[str]:
    """Return the command with which a backend, or the load test, checks command lines from its stdin."""
    return [*python_command(module), "--check"]


def bench_command(file: Path, repeats: int, snakepit: Path | None) -> list[str]:
    """Return the command that times the rules of the game, and writes what came out to ``file``."""
    return [*python_command("shared.bench"), str(file), str(repeats), *([str(snakepit)] if snakepit else [])]


def check_load_test() -> None:
    """Raise :class:`InputError` if what makes load is not installed, before minutes are spent on servers for it."""
    if importlib.util.find_spec("loadtests") is None:
        raise InputError("the package loadtests is not installed; install tickbench as a whole")
    for package in ("locust", "gevent"):  # imported before any code of ours could say so
        if importlib.util.find_spec(package) is None:
            words = f"which is not installed; {advice(package, 'load')}"
            raise InputError(f"a load run needs the package {package}, {words}")


def undisturbed_environment() -> dict[str, str]:
    """Return this process's variables without TICKBENCH_ and LOCUST_ ones: they would change an arm unseen."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TICKBENCH_", "LOCUST_"))}


@dataclass(frozen=True, slots=True)
class Commands:
    """How a comparison starts its children; tests put their own in place."""

    server: Callable[[Arm, Settings, int | None], list[str]] = server_command
    load: Callable[[Sequence[str]], list[str]] = load_command
    check: Callable[[str], list[str]] | None = check_command
    """None: settings are not checked, as tests' stand-ins take whatever they get."""
    access: Access = field(default_factory=Access)
    """How servers are reached that run already."""


def _as_flags(flags: Mapping[str, object]) -> list[str]:
    return [word for name, value in flags.items() for word in (f"--{name}", str(value))]
