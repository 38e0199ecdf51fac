"""Ask the backends which frameworks they have, and which of these are installed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from tickbench.arms import BACKENDS
from tickbench.children.commands import check_command, python_command, undisturbed_environment
from tickbench.children.processes import Nursery
from tickbench.errors import InputError

ALL = "all"
USUAL_FANOUT = "frame-once"
"""What ``serve`` does where nothing is said."""
LIMIT_S = 60.0
"""In which a child must answer: an interpreter starts, and imports every framework of a backend."""


class Framework(Struct, frozen=True):
    """A framework of a backend, and the fan-outs that it can do."""

    backend: str
    name: str
    fanouts: tuple[str, ...]

    @property
    def best(self) -> str:
        """The fan-out that it is served with where nobody asks for another."""
        return USUAL_FANOUT if USUAL_FANOUT in self.fanouts else self.fanouts[0]

    def arm(self, fanout: str | None = None) -> str:
        """Return the name of its arm with a fan-out; None: the best."""
        fanout = fanout or self.best
        more = "" if fanout == USUAL_FANOUT else f",fanout={fanout}"
        return f"{self.backend}:framework={self.name}{more}"

    def can_share(self, fanout: str) -> bool:
        """Whether a server that is served with the best can send by this fan-out, too."""
        return fanout == self.best or (self.backend == "asyncio" and fanout == "library")


def find_frameworks(asked: Sequence[str], scratch: Path) -> tuple[list[Framework], list[str]]:
    """
    Return the frameworks of these names, which may be ``all``, and why others of all can't be timed, a line each.

    Raises:
        InputError: there is none of a name, or it is not installed.
        RunFailedError: a backend does not say what it has.

    """
    if not asked:
        return [], []
    known = _known(scratch)
    for name in asked:
        if name != ALL and name not in {each.name for each in known}:
            raise InputError(f"--framework {name}: there are {', '.join(each.name for each in known)}; or {ALL}")
    wanted = [each for each in known if ALL in asked or each.name in asked]
    why = _complaints(wanted, scratch)
    for each, complaint in zip(wanted, why, strict=True):
        if complaint and each.name in asked:
            raise InputError(complaint)
    found = [each for each, complaint in zip(wanted, why, strict=True) if not complaint]
    return found, [complaint for complaint in why if complaint]


def _known(scratch: Path) -> list[Framework]:
    answer = _ask(python_command("shared.server.frameworks"), scratch / "frameworks")
    return [
        Framework(backend, name, tuple(fanouts))
        for backend, frameworks in answer.items()
        for name, fanouts in frameworks.items()
    ]


def _complaints(frameworks: Sequence[Framework], scratch: Path) -> list[str | None]:
    """Return what is wrong with each, None where nothing is."""
    found: dict[str, str | None] = {}
    for backend in dict.fromkeys(each.backend for each in frameworks):
        arms = [each.arm() for each in frameworks if each.backend == backend]
        lines = [["--framework", each.name, "--fanout", each.best] for each in frameworks if each.backend == backend]
        answer = _ask(check_command(BACKENDS[backend]), scratch / f"frameworks-{backend}", lines)
        found.update(zip(arms, answer, strict=True))
    return [found[each.arm()] for each in frameworks]


def _ask(command: list[str], log: Path, question: object = None) -> Any:
    with Nursery() as nursery:
        child = nursery.start("list of frameworks", command, log=log, environment=undisturbed_environment(), talks=True)
        if question is not None:
            child.say(json.dumps(question) + "\n")
        return json.loads(child.hear(LIMIT_S))
