"""
Looks at all that a suite would start, before its first run: a misspelt setting must not come out after minutes.

Who knows what a flag means is asked: each backend and the load test say of command lines whether they would take them
(``--check``), as children like any other. Knows no flag itself.
"""

import json
import os
import shlex
import shutil
import socket
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tickbench.arms import BACKENDS, Arm
from tickbench.commands import (
    LOAD_TEST,
    Commands,
    LoadRequest,
    findable,
    load_flags,
    server_flags,
    undisturbed_environment,
)
from tickbench.errors import InputError
from tickbench.suite import Search, Side, Suite
from tickbench.target import target_of

LIMIT_S = 60.0
"""In which a child must have answered: an interpreter starts, and imports what it would serve or load with."""
REACH_LIMIT_S = 3.0
NOWHERE = "ws://127.0.0.1:1"
"""In the place of a server's URL, which is known when it runs."""


class CommandLine(NamedTuple):
    """What would be started: ``whose`` it is, in words, the module of the program, and its arguments."""

    whose: str
    module: str
    arguments: list[str]


def check_settings(suite: Suite, commands: Commands) -> None:
    """Raise :class:`InputError` for the first thing of a suite that could not be started, or not be reached."""
    for arm in {arm.name: arm for _, _, arm in _arms(suite)}.values():
        if arm.url is not None:
            _check_reachable(arm, arm.url)
        elif arm.command is not None:
            _check_executable(arm, arm.command)
    if commands.check is not None:
        _check_command_lines(list(command_lines(suite)), commands.check)


def command_lines(suite: Suite) -> Iterator[CommandLine]:
    """Yield the command line of each server and load run of a suite, the same ones once."""
    seen: set[tuple[str, ...]] = set()
    lines = [
        CommandLine(f"{where}arm {arm.name!r}", BACKENDS[arm.backend], server_flags(arm, suite.server | part.server))
        for where, part, arm in _arms(suite)
        if arm.backend in BACKENDS
    ]
    lines += [CommandLine(f"the load of {where}", LOAD_TEST, flags) for where, flags in _loads(suite)]
    for line in lines:
        if (key := (line.module, *line.arguments)) not in seen:
            seen.add(key)
            yield line


def _parts(suite: Suite) -> list[Suite | Side | Search]:
    return [suite, *suite.sides, *suite.searches]


def _name(part: Suite | Side | Search) -> str:
    if isinstance(part, Suite):
        return "the blocks"
    return f"the {'side' if isinstance(part, Side) else 'search'} {part.name!r}"


def _arms(suite: Suite) -> Iterator[tuple[str, Suite | Side | Search, Arm]]:
    for part in _parts(suite):
        where = "" if isinstance(part, Suite) else f"{_name(part)}, "
        for arm in suite.parsed_arms() if isinstance(part, Suite) else suite.arms_of(part):
            yield where, part, arm


def _loads(suite: Suite) -> Iterator[tuple[str, list[str]]]:
    for part in _parts(suite):
        for users in part.loads if isinstance(part, Side) else [_first_load(part)]:
            out = Path(os.devnull)
            request = LoadRequest(NOWHERE, users, part.scenario, part.duration_s, part.warm_up_s, out, part.load)
            yield _name(part), load_flags(request)


def _first_load(part: Suite | Search) -> int:
    return part.start if isinstance(part, Search) else part.connections


def _check_command_lines(lines: Sequence[CommandLine], check: Callable[[str], list[str]]) -> None:
    by_module: dict[str, list[CommandLine]] = defaultdict(list)
    for line in lines:
        by_module[line.module].append(line)
    with ThreadPoolExecutor(len(by_module) or 1) as pool:  # each child is an interpreter that starts
        asked = {module: pool.submit(_ask, check(module), own) for module, own in by_module.items()}
    complaints = {module: iter(answers.result()) for module, answers in asked.items()}
    for line in lines:
        if complaint := next(complaints[line.module]):
            raise InputError(f"{line.whose}: {complaint.rstrip('.')}")


def _ask(command: Sequence[str], lines: Sequence[CommandLine]) -> list[str | None]:
    """Have a child say what is wrong with each of some command lines; raise :class:`InputError` if it cannot."""
    asked = json.dumps([line.arguments for line in lines])
    environment = findable(undisturbed_environment())
    try:
        done = subprocess.run(
            command, input=asked, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{lines[0].whose} cannot be checked: {error}; tickbench doctor may say why") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise InputError(f"{lines[0].whose}: {last.removeprefix('error: ')}")
    answers: list[str | None] = json.loads(done.stdout)
    return answers


def _check_reachable(arm: Arm, url: str) -> None:
    target = target_of(url)
    try:
        socket.create_connection((target.host, target.port), REACH_LIMIT_S).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"arm {arm.name!r}: nobody answers there ({why}); start that server first") from error


def _check_executable(arm: Arm, command: str) -> None:
    program = shlex.split(command)[0]
    if shutil.which(program) is None:
        raise InputError(f"command {arm.name!r}: there is no program {program!r}; install it, or give its path")
