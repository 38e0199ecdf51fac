"""Has backends and the load test check command lines for them, in child processes, before anything is started."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from tickbench.children.interrupts import interruptible
from tickbench.children.processes import Child, Nursery
from tickbench.errors import InputError, RunFailedError
from tickbench.files import scratch_folder

LIMIT_S = 60.0
"""In which a child must answer: an interpreter starts, and imports all that it needs to serve or load."""
ENDING_WAIT_S = 5.0


class CommandLine(NamedTuple):
    """A command line to check: ``whose`` it is, in words, the module of the program, and its arguments."""

    whose: str
    module: str
    arguments: list[str]


def check_command_lines(
    lines: Sequence[CommandLine], check: Callable[[str], list[str]], environment: Mapping[str, str]
) -> None:
    """Raise :class:`InputError` for the first that would not be taken; ``check`` is the command that asks a module."""
    by_module: dict[str, list[CommandLine]] = defaultdict(list)
    for line in lines:
        by_module[line.module].append(line)
    with scratch_folder() as scratch, interruptible(), Nursery() as nursery:
        asked = {}
        for module, own in by_module.items():  # in parallel: each child is an interpreter that starts
            log = scratch / f"{module}.log"
            child = nursery.start("check", check(module), log=log, environment=environment, talks=True)
            asked[module] = child
            with suppress(RunFailedError):  # it has ended; _hear tells why
                child.say(json.dumps([line.arguments for line in own]) + "\n")
        answers = {module: iter(_hear(asked[module], own[0].whose)) for module, own in by_module.items()}
    for line in lines:
        if complaint := next(answers[line.module]):
            raise InputError(f"{line.whose}: {complaint.rstrip('.')}")


def _hear(child: Child, whose: str) -> list[str | None]:
    """Return what is wrong with each line, or None; raise :class:`InputError` with its last line if the child ended."""
    try:
        answers: list[str | None] = json.loads(child.hear(LIMIT_S))
    except RunFailedError as error:
        child.wait(ENDING_WAIT_S)  # only then its last line is whole
        last = child.last_words().partition("error: ")[2]
        raise InputError(f"{whose} cannot be started: {last or error}") from error
    return answers
