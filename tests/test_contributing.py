"""CONTRIBUTING.md says of each folder what import-linter lets it import, and nothing else."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
CONTRACTS: list[dict[str, Any]] = LINTER["contracts"]
ROW = re.compile(r"^\| `(\w+)/` \|.*\| ([^|]+) \|$", re.MULTILINE)
MAY_IMPORT = dict(ROW.findall(TEXT))
OURS: set[str] = set(LINTER["root_packages"])


def modules() -> list[str]:
    """Return the name of every module of ours."""
    paths = [path.relative_to(ROOT) for package in OURS for path in (ROOT / package).rglob("*.py")]
    return sorted(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths)


def is_in(module: str, packages: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def holds(module: str, packages: set[str]) -> bool:
    """Whether it is imported with one of the packages, which are inside it."""
    return any(package.startswith(f"{module}.") for package in packages)


def names(words: str) -> set[str]:
    return set(re.findall(r"`([\w.]+)`", words))


@pytest.mark.parametrize("package", sorted(OURS))
def test_the_table_says_what_each_folder_may_import(package: str) -> None:
    own = [each for each in CONTRACTS if each["type"] == "forbidden" and package in each["source_modules"]]
    forbidden = {module for contract in own for module in contract["forbidden_modules"]}
    everywhere, _, inside = MAY_IMPORT[package].partition(";")
    allowed, _, but = everywhere.partition("but not")
    for module in modules():
        if module.partition(".")[0] != package and not holds(module, names(allowed)):
            says = is_in(module, names(allowed)) and not is_in(module, names(but))
            assert says != is_in(module, forbidden), f"{module}: the table and the contracts differ, or both are silent"
    excepted = [each.split(" -> ") for contract in own for each in contract.get("ignore_imports", [])]
    ignored = [(importer, imported) for importer, imported in excepted if imported.partition(".")[0] in OURS]
    some, _, also = inside.partition("also")
    importers = {name.removesuffix(".py").replace("/", ".**") for name in re.findall(r"`([\w./]+)`", some)}
    assert {importer for importer, _ in ignored} == {f"{package}.{name}" for name in importers}
    assert all(is_in(imported.removesuffix(".*"), names(also)) for _, imported in ignored)


def test_the_layers_are_those_of_the_contract() -> None:
    (layers,) = [each["layers"] for each in CONTRACTS if each["type"] == "layers" and "shared.game" in each["layers"]]
    (sentence,) = re.findall(r"each may import those before it: ([^;]+);", TEXT)
    assert [f"shared.{name}" for name in re.findall(r"`(\w+)`", sentence)] == layers[::-1]
