"""
The suites that docs/adding-a-stack.md shows run as they stand, with the server that it shows, and can end in a verdict.

The one test here that starts our real servers and the real generator.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tickbench.compare.plan import PlannedRun, estimate_s
from tickbench.compare.results import read_results
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import Suite, load_suite
from tickbench.report.build import build_report, read_document

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"```(toml|python)\n(.*?)```", re.DOTALL)
SUITES = ("three-stacks", "without-bots")
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""With ``tickbench`` on it, as the README has it put there."""


def shown_suite(folder: Path, name: str, *shorter: tuple[str, str]) -> Path:
    """Write a suite of the document into a file, lines replaced to make it shorter, and its server beside it."""
    shown = SHOWN.findall((ROOT / "docs" / "adding-a-stack.md").read_text("utf-8"))
    (server,) = [text for language, text in shown if language == "python"]
    (folder / "my_server.py").write_text(server, "utf-8")
    (text,) = [text for _, text in shown if text.startswith(f'name = "{name}"')]
    for line, instead in shorter:
        assert line in text
        text = text.replace(line, instead)
    path = folder / f"{name}.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_that_is_shown_ends_in_verdicts(
    tmp_path: Path, make_results: Callable[[Suite, Callable[[PlannedRun], dict[str, Any]]], Path], name: str
) -> None:
    suite = load_suite(str(shown_suite(tmp_path, name)))
    assert estimate_s(RunIndex(suite)) == pytest.approx(600, rel=0.2), "ten minutes, as it says"

    def figures(planned: PlannedRun) -> dict[str, Any]:
        scatter = 1 + 0.01 * (planned.number % 3)
        return {"tick_lateness_ms__p99": scatter * (8 if planned.arm.name == "mine" else 4)}

    folder = make_results(suite, figures)
    build_report(folder)
    document = read_document(folder)
    assert document.comparisons.suppressed is None
    assert {each.other for each in document.comparisons.primary} == {"mine"}
    assert "asyncio" in {each.winner for each in document.comparisons.primary}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_that_is_shown_runs_and_its_third_stack_does_the_same_work(tmp_path: Path, name: str) -> None:
    suite = shown_suite(
        tmp_path,
        name,
        ("duration_s = 10", "duration_s = 1"),
        ("warm_up_s = 2.5", "warm_up_s = 0.5\nquiet_wait_s = 0\nmax_attempts = 1"),
        ("repeats = 8", "repeats = 1"),
        ("connections = 300", "connections = 30"),
    )
    command = [sys.executable, "-m", "tickbench", "compare", "--suite", str(suite), "--out", str(tmp_path)]
    # A scenario of whoever called must not reach the children.
    variables = {**os.environ, "PATH": PATH, "TICKBENCH_SCENARIO": "players"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path, env=variables
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = read_results(tmp_path / "latest").runs
    assert sorted(run.arm for run in runs) == ["asyncio", "asyncio", "gevent", "mine"]
    for run in runs:
        assert run.load is not None
        assert run.load.scenario == "steady"
        assert run.load.connections.connected == 30
        assert run.load.frames.received > 0
        assert run.server is not None
        assert (run.server.exit_status, run.server.was_killed) == (0, False)
        assert run.server_settings is not None
        assert run.server_settings.get("mode") == (None if run.arm == "mine" else "managed")
    work = read_document(tmp_path / "latest").comparisons.work
    assert (work.different, work.unknown) == ({}, [])
    assert work.steps > 0
    assert ("400 bytes of padding and nothing else" in work.words) == (name == "without-bots")
    assert (tmp_path / "latest" / "report.html").is_file()
