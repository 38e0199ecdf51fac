"""
Reads docs/frameworks.md: what the report says of frameworks beside the figures is that page's, and no copy of it.

``python -m tests.support.framework_facts`` (``make facts``) writes ``tickbench/report/framework_facts.json``, which is
in the wheel as the page is not; a test holds the two together.
"""

import re
from pathlib import Path
from typing import Any

import msgspec

from shared.server.frameworks import FRAMEWORKS
from tickbench.report.framework_facts import FILE, Facts, Fault, FrameworkFacts, Quote, StackFacts

PAGE = Path(__file__).resolve().parents[2] / "docs" / "frameworks.md"
SOURCE = r"\(\[source\]\((?P<url>https://[^)]+)\), (?P<read_on>\d{4}-\d\d-\d\d)\)"
QUOTE = re.compile(rf"^- \*\*(?P<library>[\w-]+)\*\*: (?P<words>.+) {SOURCE}$", re.MULTILINE)
FAULT = re.compile(
    rf"^\| (?P<library>[\w-]+) (?P<version>[\d.]+) \| (?P<words>.+?) {SOURCE} \| "
    r"`(?P<mended_in>[^`]+)` \| `(?P<test>[^`]+)` \|$",
    re.MULTILINE,
)
STANDS_ON = {"daphne": "channels"}
"""Frameworks whose file imports that of another."""
LAYERS_FILE = "redis-layers"
"""What mends the layers of those that have some."""

LINKED = re.compile(r"\[([^]]+)\]\([^)]+\)")


def read_page(text: str) -> Facts:
    """Return the facts of a page."""
    return Facts({stack: _stack(text, stack) for stack in FRAMEWORKS})


def section(text: str, title: str) -> str:
    """Return what stands below a title, up to the next one."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _stack(text: str, stack: str) -> StackFacts:
    rows = _rows(section(text, f"{stack}: the frameworks side by side"))
    said = [Quote(**found.groupdict()) for found in QUOTE.finditer(section(text, f"{stack}: what it is built on"))]
    faults = section(text, f"{stack}: faults of libraries that we mended")
    mended = [(Fault(**found.groupdict()), _whose(stack, found)) for found in FAULT.finditer(faults)]
    return StackFacts(
        frameworks={
            name: FrameworkFacts(
                **{column: rows[name][title] for column, title in COLUMNS.items()},
                words=[each for each in said if each.library in _libraries(stack, name)],
                mended=[fault for fault, whose in mended if name in whose],
            )
            for name in FRAMEWORKS[stack]
            if name in rows
        },
        mended=[fault for fault, whose in mended if not whose],
    )


COLUMNS = {
    "released": "newest release",
    "python": "names Python",
    "free_threads": "free threads",
    "naive": "`naive` is",
    "in_force": "then in force",
}


def _rows(text: str) -> dict[str, dict[str, str]]:
    """Return the rows of the first table, by the first word of their first cell, and in each the cells by title."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    titles, *rows = [[LINKED.sub(r"\1", cell.strip()) for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].split(",")[0]: dict(zip(titles, row, strict=True)) for row in rows[1:]}


def _libraries(stack: str, framework: str) -> set[str]:
    """Return the packages that a framework has to itself, or that bear its name."""
    others = {name: each.packages for name, each in FRAMEWORKS[stack].items() if name != framework}
    shared = {package for packages in others.values() for package in packages} | others.keys()
    return {framework, *(each for each in FRAMEWORKS[stack][framework].packages if each not in shared)}


def _whose(stack: str, found: re.Match[str]) -> set[str]:
    """
    Return the frameworks that a fault is of; none: of all.

    That whose file mends it, those that stand on what is mended in a file of its own, or that whose library has it.

    """
    file = Path(found["mended_in"]).stem.replace("_", "-")
    if file in FRAMEWORKS[stack]:
        return {file, *(name for name, below in STANDS_ON.items() if below == file)}
    if file == LAYERS_FILE:
        return {name for name, each in FRAMEWORKS[stack].items() if each.layers}
    standing_on_it = {name for name, each in FRAMEWORKS[stack].items() if file in each.packages}
    return standing_on_it or {name for name in FRAMEWORKS[stack] if found["library"] in _libraries(stack, name)}


def facts_text() -> str:
    """Return the data file as the page would have it."""
    facts: Any = msgspec.to_builtins(read_page(PAGE.read_text("utf-8")))
    return msgspec.json.format(msgspec.json.encode(facts), indent=1).decode() + "\n"


if __name__ == "__main__":
    FILE.write_text(facts_text(), "utf-8")
