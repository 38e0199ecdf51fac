"""
Check all that a suite would start before its first run, so that a misspelt setting is found at once.

No flag is known here: each backend and the load test check their own command lines (``--check``), as child processes.
"""

import json
import os
import shlex
import shutil
import ssl
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tickbench.arms import BACKENDS, Arm
from tickbench.children.commands import (
    LOAD_TEST,
    Commands,
    load_flags,
    server_flags,
    undisturbed_environment,
)
from tickbench.children.interrupts import interruptible
from tickbench.children.processes import Child, Nursery
from tickbench.compare.suite import Part, Side, Suite
from tickbench.errors import InputError, RunFailedError
from tickbench.files import scratch_folder
from tickbench.target import Access, connect, why_unreachable

LIMIT_S = 60.0
"""In which a child must answer: an interpreter starts, and imports all that it needs to serve or load."""
ENDING_WAIT_S = 5.0
REACH_LIMIT_S = 3.0
NOWHERE = "ws://127.0.0.1:1"
"""Stands for a server's URL, which is not known before the server runs."""


class CommandLine(NamedTuple):
    """A command line to check: ``whose`` it is, in words, the module of the program, and its arguments."""

    whose: str
    module: str
    arguments: list[str]


def check_settings(suite: Suite, commands: Commands) -> None:
    """Raise :class:`InputError` for the first thing of a suite that could not be started, or not be reached."""
    for arm in {arm.name: arm for part in suite.parts for arm in suite.arms_of(part)}.values():
        if arm.url is not None:
            _check_reachable(arm, arm.url, commands.access)
        elif arm.command is not None:
            _check_executable(arm, arm.command)
    if commands.check is not None:
        _check_command_lines(list(command_lines(suite)), commands.check)


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


def _check_command_lines(lines: Sequence[CommandLine], check: Callable[[str], list[str]]) -> None:
    by_module: dict[str, list[CommandLine]] = defaultdict(list)
    for line in lines:
        by_module[line.module].append(line)
    with scratch_folder() as scratch, interruptible(), Nursery() as nursery:
        asked = {  # in parallel: each child is an interpreter that starts
            module: _ask(nursery, check(module), own, scratch / f"{module}.log") for module, own in by_module.items()
        }
        answers = {module: iter(_hear(asked[module], own[0].whose)) for module, own in by_module.items()}
    for line in lines:
        if complaint := next(answers[line.module]):
            raise InputError(f"{line.whose}: {complaint.rstrip('.')}")


def _ask(nursery: Nursery, command: list[str], lines: Sequence[CommandLine], log: Path) -> Child:
    """Start a child that checks command lines, and send it these."""
    child = nursery.start("check", command, log=log, environment=undisturbed_environment(), talks=True)
    with suppress(RunFailedError):  # it has ended; _hear tells why
        child.say(json.dumps([line.arguments for line in lines]) + "\n")
    return child


def _hear(child: Child, whose: str) -> list[str | None]:
    """Return what is wrong with each line, or None; raise :class:`InputError` with its last line if the child ended."""
    try:
        answers: list[str | None] = json.loads(child.hear(LIMIT_S))
    except RunFailedError as error:
        child.wait(ENDING_WAIT_S)  # only then its last line is whole
        last = child.last_words().partition("error: ")[2]
        raise InputError(f"{whose} cannot be started: {last or error}") from error
    return answers


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
