"""The framework that docs/adding-a-framework.md shows is one, as it stands there: it conforms, and is compared."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.installed import Installation, surroundings
from tickbench import cli
from tickbench.compare.plan import PlannedRun, estimate_s
from tickbench.compare.results import read_results
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import Suite, load_suite
from tickbench.conformance.verdict import Conformance
from tickbench.report.build import build_report, read_document

pytestmark = pytest.mark.xdist_group("adding a framework")  # they share a tree

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "adding-a-framework.md").read_text("utf-8")
SHOWN = re.compile(r"^```(python|toml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LAST_OF_ASYNCIO = '    },\n    "gevent": {\n'
HASTY = (
    "--tick-rate",
    "100",
    "--speed",
    "100",
    "--tick-budget",
    "0",
    "--new-player-limit",
    "1.5",
    "--handshake-limit",
    "1",
)
ALLOWED_NOTES = {"tick-numbers", "pong", "maximum-players"}
"""What a busy machine does."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A checkout in which the page was followed."""
    (_, file), (_, row), (_, suite) = SHOWN.findall(TEXT)
    folder = tmp_path_factory.mktemp("tree")
    for package in ("backends", "loadtests", "shared", "tickbench"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    ((name, place),) = re.findall(r"^`(\w+\.py)` in `(backends/\S+)`:$", TEXT, re.MULTILINE)
    (folder / place / name).write_text(file, "utf-8")
    table = folder / "shared" / "server" / "frameworks.py"
    code = table.read_text("utf-8")
    assert code.count(LAST_OF_ASYNCIO) == 1
    table.write_text(code.replace(LAST_OF_ASYNCIO, row + LAST_OF_ASYNCIO), "utf-8")
    (folder / "bare.toml").write_text(suite, "utf-8")
    return Installation(folder)


def test_it_finds_no_fault(tree: Installation, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    serve = (sys.executable, "-m", "tickbench", "serve", "asyncio", "--framework", "bare", "--port", "0")
    with tree.serving(*serve, *HASTY) as server:
        status = cli.main(["conformance", server.url, "--json", str(file)])
    found = msgspec.json.decode(file.read_bytes(), type=Conformance)
    other = {result.name: (result.level, result.seen) for result in found.checks if result.level not in ("ok", "note")}
    assert other == {"busy": ("not tried", "the server had room for everybody")}
    assert {result.name for result in found.checks if result.level == "note"} <= ALLOWED_NOTES
    assert (status, found.is_fit) == (0, True)


def test_the_suite_runs_and_it_does_the_same_work(tree: Installation, tmp_path: Path) -> None:
    suite = tmp_path / "bare.toml"
    text = (tree.folder / "bare.toml").read_text("utf-8")
    for line, instead in (
        ("duration_s = 4.0", "duration_s = 1"),
        ("slot_s = 2 ", "slot_s = 1 "),
        ("together_s = 10 ", "together_s = 0 "),
        ("warm_up_s = 1.5", "warm_up_s = 0.5\nquiet_wait_s = 0\nmax_attempts = 1"),
        ("repeats = 8", "repeats = 1"),
        ("connections = 300", "connections = 30"),
    ):
        assert text.count(line) == 1, line
        text = text.replace(line, instead)
    suite.write_text(text, "utf-8")
    command = [sys.executable, "-m", "tickbench", "compare", "--suite", str(suite), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        command, cwd=tree.folder, env=surroundings(), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = read_results(tmp_path / "out" / "latest").runs
    own = [run for run in runs if run.arm == "asyncio:fanout=library,framework=bare"]
    assert own
    for run in own:
        assert run.load is not None
        assert run.load.connections.connected == 30
        assert run.server_settings is not None
        assert run.server_settings["framework"] == "bare"
    work = read_document(tmp_path / "out" / "latest").comparisons.work
    assert (work.different, work.unknown) == ({}, [])


def test_the_suite_ends_in_verdicts_and_takes_as_long_as_it_says(
    tree: Installation, make_results: Callable[[Suite, Callable[[PlannedRun], dict[str, Any]]], Path]
) -> None:
    suite = load_suite(str(tree.folder / "bare.toml"))
    (minutes,) = re.findall(r"takes some (\w+) minutes", TEXT)
    said = {"five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}[minutes]
    assert estimate_s(RunIndex(suite)) == pytest.approx(60 * said, rel=0.1)
    assert set(suite.run_together) == set(suite.compare)

    def figures(planned: PlannedRun) -> dict[str, Any]:
        scatter = 1 + 0.01 * (planned.number % 3)
        return {"tick_lateness_ms__p99": scatter * (4 if "bare" in planned.arm.name else 8)}

    folder = make_results(suite, figures)
    build_report(folder)
    document = read_document(folder)
    assert document.comparisons.suppressed is None
    assert suite.compare[1] in {each.winner for each in document.comparisons.primary}
