"""
What no measurement shows of a framework: releases, what its maintainers say, what was mended, its lines of code.

All of it but the lines stands in docs/frameworks.md, of which ``make facts`` makes the data file beside this module.
"""

from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from tickbench.arms import Arm
from tickbench.report.code_lines import code_lines, framework_files

FILE = Path(__file__).with_name("framework_facts.json")


class Quote(Struct, frozen=True):
    """What the maintainers of a library say, or what its repository shows."""

    library: str
    words: str
    url: str
    read_on: str


class Fault(Struct, frozen=True):
    """A fault of a library that tickbench mended, and the test that proves it."""

    library: str
    version: str
    """In which it was seen."""
    words: str
    url: str
    read_on: str
    mended_in: str
    test: str


class FrameworkFacts(Struct, frozen=True):
    """What is known of one framework."""

    released: str
    """The newest release and its day, and those of what it stands on."""
    python: str
    """The versions of Python that it names."""
    free_threads: str
    naive: str
    """How its own documentation writes a broadcast."""
    in_force: str
    """Which of its own defaults are in force then."""
    words: list[Quote]
    mended: list[Fault]


class StackFacts(Struct, frozen=True):
    """What is known of the frameworks of a backend, by name."""

    frameworks: dict[str, FrameworkFacts]
    mended: list[Fault]
    """Faults of what all of them stand on."""

    @property
    def faults(self) -> int:
        """How many faults were mended in all; one that several frameworks stand on is one."""
        return len({*self.mended, *(fault for each in self.frameworks.values() for fault in each.mended)})


class Facts(Struct, frozen=True):
    """All of it, by backend."""

    stacks: dict[str, StackFacts]


@cache
def all_facts() -> Facts:
    """Return the facts."""
    return msgspec.json.decode(FILE.read_bytes(), type=Facts)


def framework_of(arm: Arm) -> str | None:
    """Return the framework of an arm, named or its backend's first; None of a server that is not ours."""
    stack = all_facts().stacks.get(arm.backend) if arm.command is None else None
    return None if stack is None else dict(arm.settings).get("framework", next(iter(stack.frameworks)))


def facts_of(arm: Arm) -> FrameworkFacts | None:
    """Return what is known of the framework of an arm; None where nothing is."""
    name = framework_of(arm)
    return None if name is None else all_facts().stacks[arm.backend].frameworks.get(name)


def lines_of(arm: Arm) -> int | None:
    """Return the code lines of the framework's own file; None where there is none."""
    name = framework_of(arm)
    file = None if name is None else framework_files().get(name, {}).get(arm.backend)
    return None if file is None else code_lines(file.read_text("utf-8"))
