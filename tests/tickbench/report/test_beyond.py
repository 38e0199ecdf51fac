"""What the report says beyond the numbers is about the packages in the lock file and about tests that there are."""

import ast
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tickbench.report.beyond import Beyond, Dependency, Fault, Stack, Statement, load_beyond

ROOT = Path(__file__).resolve().parents[3]
STACKS: tuple[str, ...] = get_args(Stack)
BEYOND = load_beyond()
STANDARD_LIBRARY = {"asyncio"}
"""What is in no lock file: it comes with Python."""


@cache
def locked() -> dict[str, dict[str, Any]]:
    packages: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {package["name"]: package for package in packages}


def first_upload(package: dict[str, Any]) -> date:
    """Return the day (UTC) on which the first file of a locked version came to the index."""
    files = [package["sdist"], *package.get("wheels", [])] if "sdist" in package else package["wheels"]
    return min(datetime.fromisoformat(file["upload-time"]) for file in files).astimezone(UTC).date()


@cache
def functions(path: str) -> set[str]:
    """Return the names of a module's own functions, without importing it."""
    body = ast.parse((ROOT / path).read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def sources() -> Iterator[Dependency | Statement]:
    for dependency in BEYOND.dependencies:
        yield dependency
        yield from dependency.warnings
    yield from BEYOND.faults
    for blocking in BEYOND.blocking:
        yield blocking
        yield blocking.find


@pytest.mark.parametrize("stack", STACKS)
def test_both_stacks_have_every_kind_of_entry(stack: str) -> None:
    for entries in (BEYOND.dependencies, BEYOND.faults, BEYOND.blocking):
        assert [entry for entry in entries if entry.stack == stack]
    assert [entry.warnings for entry in BEYOND.dependencies if entry.stack == stack and entry.warnings]


@pytest.mark.parametrize("dependency", BEYOND.dependencies, ids=lambda dependency: dependency.name)
def test_a_dependency_is_as_it_is_locked(dependency: Dependency) -> None:
    package = locked()[dependency.name]
    assert dependency.version == package["version"]
    assert dependency.source == f"https://pypi.org/project/{dependency.name}/{dependency.last_release}/"
    if dependency.last_release == dependency.version:
        assert dependency.released_on == first_upload(package)
    assert dependency.released_on <= dependency.dated


def test_no_dependency_is_named_twice() -> None:
    names = [dependency.name for dependency in BEYOND.dependencies]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("fault", BEYOND.faults, ids=lambda fault: fault.text[:40])
def test_a_fault_is_one_of_a_dependency_that_is_mended_and_tested(fault: Fault) -> None:
    if fault.library not in STANDARD_LIBRARY:
        assert fault.library in {entry.name for entry in BEYOND.dependencies if entry.stack == fault.stack}
        assert fault.version == locked()[fault.library]["version"]
    other = next(stack for stack in STACKS if stack != fault.stack)
    assert (ROOT / fault.mended_in).is_file()
    assert f"backends/{other}_server" not in fault.mended_in
    path, _, function = fault.test.partition("::")
    assert function in functions(path)


def test_every_source_is_a_link_with_a_date_that_has_come() -> None:
    today = datetime.now(UTC).date()
    for entry in sources():
        assert entry.source.startswith("https://"), entry
        assert date(2017, 1, 1) <= entry.dated <= today, entry


def test_a_link_into_a_repository_is_a_permanent_one() -> None:
    for entry in sources():
        if entry.source.startswith("https://github.com/"):
            kind, commit = entry.source.split("/")[5:7]
            assert kind in {"blob", "commit"}, entry
            assert len(commit) == 40, entry


def test_it_is_about_one_sentence_or_two() -> None:
    for text in (entry.text for entry in sources() if isinstance(entry, Statement)):
        assert len(text) <= 240, text
        assert text.endswith((".", '."')), text


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("dependency", {"stack": "twisted"}),
        ("dependency", {"rank": 1}),
        ("dependency", {"source": "http://insecure.example/"}),
        ("fault", {"text": ""}),
        ("fault", {"test": "tests/contract/test_limits.py"}),
        ("fault", {"mended_in": "docs/servers.md"}),
        ("blocking", {"dated": "yesterday"}),
        ("blocking", {"find": "look"}),
    ],
)
def test_what_is_not_of_its_form_is_refused(table: str, change: dict[str, object]) -> None:
    beyond = msgspec.to_builtins(BEYOND)
    assert msgspec.convert(beyond, Beyond) == BEYOND
    beyond[table][0].update(change)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(beyond, Beyond)
