"""
Each extra holds what its commands import, and nothing else: a server carries no load test and no statistics.

Imports are read from the source; that a server then serves is seen with all other packages out of its sight.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from importlib.util import resolve_name
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from shared.system.packages import DISTRIBUTIONS
from tests.support.server import run_server

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = {"shared", "backends", "loadtests", "tickbench"}
SERVE = ("tickbench.__main__", "tickbench.cli", "tickbench.verbs.serve", "tickbench.verbs.cluster")
LOAD_VERBS = ("tickbench.verbs.load", "tickbench.verbs.conformance", "tickbench.verbs.doctor")

COMES_WITH = {"werkzeug": "flask", "flask-login": "locust", "markupsafe": "jinja2", "wsproto": "simple-websocket"}
"""What is part of how another is used."""
BY_NAME = {
    "uvloop": "--loop uvloop imports it by its name",
    "cffi": "gevent's libuv imports it",
    "h11": "uvicorn's HTTP server imports it",
}
NOT_BY_SERVERS = {
    "numpy": "shared.measure.histogram imports it where many values are recorded at once",
}
BESIDE = {"picows": "which tickbench bench measures beside our fan-out where it is installed"}


def names(requirements: Iterable[str]) -> set[str]:
    """Return the packages that are required, those of our own extras too."""
    found: set[str] = set()
    for requirement in map(Requirement, requirements):
        own = requirement.name == PROJECT["name"]
        found |= set().union(*map(extra, requirement.extras)) if own else {requirement.name}
    return found


def base() -> set[str]:
    return names(PROJECT["dependencies"])


def extra(name: str) -> set[str]:
    return names(PROJECT["optional-dependencies"][name])


def file_of(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(node: ast.AST, home: str) -> set[str]:
    """Return what a piece of source in the package ``home`` imports when it runs, anywhere in it."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        module = resolve_name("." * node.level + (node.module or ""), home)
        return {module, *(f"{module}.{alias.name}" for alias in node.names)}
    children = [] if is_for_types(node) else ast.iter_child_nodes(node)
    return set().union(*(imports(child, home) for child in children))


@cache
def imports_of(file: Path) -> set[str]:
    return imports(ast.parse(file.read_text("utf-8")), ".".join(file.relative_to(ROOT).parent.parts))


def third_parties(*modules: str) -> set[str]:
    """Return the packages that modules of ours import, and those of ours that they import, and so on."""
    left, seen, found = list(modules), set(modules), set()
    while left:
        file = file_of(left.pop())
        for name in imports_of(file) if file else ():
            top = name.partition(".")[0]
            if top in OURS and name not in seen:
                seen.add(name)
                left.append(name)
            elif top not in OURS | sys.stdlib_module_names:
                package = DISTRIBUTIONS.get(top, top).replace("_", "-")
                found.add(COMES_WITH.get(package, package))
    return found


def modules_in(*folders: str) -> list[str]:
    paths = [path.relative_to(ROOT) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]


def test_a_server_needs_what_its_extra_holds_and_the_extra_holds_nothing_else() -> None:
    needed = third_parties(*modules_in("backends"), *SERVE) - set(NOT_BY_SERVERS) - asked_for()
    assert (needed - other_frameworks()) | set(BY_NAME) == base() | extra("server")


def test_frameworks_need_what_their_extra_holds_and_the_extra_holds_nothing_else() -> None:
    needed = third_parties(*modules_in("backends"), *SERVE) - set(NOT_BY_SERVERS) - asked_for()
    assert needed | set(BY_NAME) == base() | extra("frameworks")


def test_what_every_install_has_is_what_servers_load_tests_and_command_line_share() -> None:
    assert third_parties("tickbench.verbs.serve", "tickbench.cli") <= base()
    assert not base() & (extra("server") | extra("load"))
    assert base() <= third_parties(*modules_in("backends"), *SERVE) & third_parties(*modules_in("loadtests"), *SERVE)


def test_a_load_run_needs_what_its_extra_holds_and_the_extra_holds_nothing_else() -> None:
    needed = third_parties(*modules_in("loadtests"), *LOAD_VERBS, *SERVE)
    assert needed == extra("load") | base()


def test_the_command_line_needs_what_the_widest_extra_holds() -> None:
    needed = third_parties(*modules_in(*sorted(OURS))) - set(BESIDE) - asked_for()
    assert (needed - other_frameworks()) | set(BY_NAME) == base() | extra("compare")
    all_extras = set().union(*map(extra, PROJECT["optional-dependencies"]))
    assert all_extras == extra("compare") | extra("frameworks") | asked_for()


def test_scores_elsewhere_need_what_their_extra_holds_and_the_extra_holds_nothing_else() -> None:
    needed = third_parties("shared.server.score_redis", "shared.server.score_memcached") - base()
    assert needed == extra("scores")


def test_a_relay_needs_what_its_extra_holds_and_the_extra_holds_nothing_else() -> None:
    modules = [module for module in modules_in("backends") if ".relay" in module]
    assert third_parties(*modules) - base() - {"gevent"} == extra("relay")


def other_frameworks() -> set[str]:
    """Return what only frameworks beyond the usual ones need."""
    return extra("frameworks") - extra("compare")


def asked_for() -> set[str]:
    """Return what is imported when a flag asks for it."""
    return extra("scores") | extra("relay")


def with_all_that_they_need(packages: set[str]) -> set[str]:
    """Return packages, and those that they need, as they are installed here."""
    left, found = [re.sub(r"[-_.]+", "-", package).lower() for package in packages], set()
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        try:
            required = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:  # it is for another platform
            continue
        needed = [each for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
        left += [re.sub(r"[-_.]+", "-", each.name).lower() for each in needed]
    return found


def beyond(packages: set[str]) -> set[str]:
    """Return the modules that are installed here and would not be where these packages alone are."""
    there = with_all_that_they_need(packages)
    found = {
        module
        for module, owners in packages_distributions().items()
        if not there & {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners}
    }
    return found - OURS


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_a_server_serves_with_its_extra_alone(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    lacking = beyond(base() | extra("server"))
    assert lacking >= {"locust", "numpy", "scipy", "plotly", "rich", "websocket", "requests", "zmq", "pytest", "redis"}
    folder = ROOT / "tests" / "support" / "lacking"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
    monkeypatch.setenv("LACKING", ",".join(sorted(lacking)))
    with run_server(backend, "--bots", "1") as server:
        assert server.enter("main").next_tick()
        assert server.request("/metrics").status == 200
        assert server.request("/").status == 200
    command = [sys.executable, "-m", "tickbench", "serve", backend, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "--tick-rate" in done.stdout
