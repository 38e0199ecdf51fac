"""
Check all that a suite would start before its first run, so that a misspelt setting is found at once.

No flag is known here: each backend and the load test check their own command lines (``--check``), as child processes.
"""

import os
import shlex
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

from tickbench.arms import BACKENDS, Arm
from tickbench.children.checking import CommandLine, check_command_lines
from tickbench.children.commands import (
    LOAD_TEST,
    Commands,
    load_flags,
    server_flags,
    undisturbed_environment,
)
from tickbench.compare.suite import Part, Side, Suite
from tickbench.errors import InputError
from tickbench.target import Access, connect, why_unreachable

REACH_LIMIT_S = 3.0
NOWHERE = "ws://127.0.0.1:1"
"""Stands for a server's URL, which is not known before the server runs."""


def check_settings(suite: Suite, commands: Commands) -> None:
    """Raise :class:`InputError` for the first thing of a suite that could not be started, or not be reached."""
    for arm in {arm.name: arm for part in suite.parts for arm in suite.arms_of(part)}.values():
        if arm.url is not None:
            _check_reachable(arm, arm.url, commands.access)
        elif arm.command is not None:
            _check_executable(arm, arm.command)
    if commands.check is not None:
        check_command_lines(list(command_lines(suite)), commands.check, undisturbed_environment())


def command_lines(suite: Suite) -> Iterator[CommandLine]:
    """Yield the command line of each server and load run of a suite, each only once."""
    first: dict[tuple[str, ...], CommandLine] = {}
    for line in [*_server_lines(suite), *_load_lines(suite)]:
        first.setdefault((line.module, *line.arguments), line)
    yield from first.values()


def _server_lines(suite: Suite) -> Iterator[CommandLine]:
    for part in suite.parts:
        where = "" if part is suite else f"{_name(part)}, "
        for arm in suite.arms_of(part):
            if arm.backend in BACKENDS:
                flags = server_flags(arm, suite.server | part.server)
                yield CommandLine(f"{where}arm {arm.name!r}", BACKENDS[arm.backend], flags)


def _load_lines(suite: Suite) -> Iterator[CommandLine]:
    for part in suite.parts:
        slot_s = part.slot_s if not isinstance(part, Side) and part.in_slots else 0.0
        how = f", in slots (slot_s = {slot_s:g})" if slot_s else ""
        for users in part.loads:
            flags = load_flags(
                NOWHERE,
                users,
                Path(os.devnull),
                scenario=part.scenario,
                duration_s=part.duration_s,
                warm_up_s=part.warm_up_s,
                more=part.load,
                in_slots=slot_s > 0,
            )
            yield CommandLine(f"the load of {_name(part)}{how}", LOAD_TEST, ["--headless", *flags])


def _name(part: Part) -> str:
    if isinstance(part, Suite):
        return "the blocks"
    return f"the {'side' if isinstance(part, Side) else 'search'} {part.name!r}"


def _check_reachable(arm: Arm, url: str, access: Access) -> None:
    target = access.target(url)
    try:
        connect(target, REACH_LIMIT_S).close()
    except ssl.SSLError as error:
        raise InputError(f"arm {arm.name!r}: {why_unreachable(error)}") from error
    except OSError as error:
        why = why_unreachable(error)
        raise InputError(f"arm {arm.name!r}: nobody answers there ({why}); start that server first") from error


def _check_executable(arm: Arm, command: str) -> None:
    program = shlex.split(command)[0]
    if shutil.which(program) is None:
        raise InputError(f"command {arm.name!r}: there is no program {program!r}; install it, or give its path")
