import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from shared.measure.summary import read_summary
from tickbench import cli
from tickbench.children.commands import python_command
from tickbench.errors import RunFailedError
from tickbench.verbs.load import run_load

Tickbench = Callable[..., subprocess.CompletedProcess[str]]
FAST = ["--duration", "1", "--warm-up", "0"]


def test_a_valid_run_is_summed_up_and_written(tickbench: Tickbench, tmp_path: Path) -> None:
    done = tickbench("load", "http://127.0.0.1:1", *FAST, "--out", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    assert read_summary((tmp_path / "out.json").read_bytes()).connections.connected == 300
    assert "tick lateness p99" in done.stdout
    assert done.stdout.splitlines()[-1] == "valid"


@pytest.mark.parametrize(
    ("scenario", "status", "words"),
    [
        ("spoiled", 3, "reason: steal of 7.1 % on core 0"),
        ("broken", 1, "error: the load run failed: the load broke"),
        ("garbage", 1, "error: the load run left no summary that can be read"),
        ("misused", 2, "error: there is no scenario 'misused'; steady would be right"),
    ],
)
def test_the_exit_status_says_what_became_of_the_run(
    tickbench: Tickbench, scenario: str, status: int, words: str
) -> None:
    done = tickbench("load", "http://127.0.0.1:1", *FAST, TICKBENCH_SCENARIO=scenario)
    assert done.returncode == status
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("takes_s", [0, 600])
def test_a_load_run_is_waited_for_as_long_as_it_says_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_s: int
) -> None:
    monkeypatch.setattr("tickbench.verbs.load.SLACK_S", 1.0)
    says = f"import sys, time; print('9 connections, takes {takes_s} s', file=sys.stderr, flush=True); time.sleep(3)"
    with nullcontext() if takes_s else pytest.raises(RunFailedError, match="not over after 1 s more"):
        assert run_load([sys.executable, "-c", says], tmp_path, needs_weighing=False)[0] == 0


def test_flags_are_passed_on_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def fake_run(command: list[str], *_: object, **__: object) -> tuple[int, str]:
        asked.append(command)
        return 1, ""

    monkeypatch.setattr("tickbench.verbs.load.run_load", fake_run)
    flags = ["--users=3", "-r", "9", "ws://127.0.0.1:1", "--loglevel", "ERROR"]
    assert cli.main(["load", *flags, "--slo", "reach>0"]) == 1
    assert asked[0][:-2] == [*python_command("loadtests"), "--headless", *flags]


@pytest.mark.parametrize(
    ("scenario", "slo", "status"),
    [("steady", "reach>=0.5", 0), ("steady", "reach>=2", 4), ("spoiled", "reach>=2", 3), ("steady", "nothing<1", 2)],
)
def test_an_objective_is_an_exit_status_where_the_figures_can_be_trusted(
    tickbench: Tickbench, scenario: str, slo: str, status: int
) -> None:
    done = tickbench("load", "http://127.0.0.1:1", *FAST, "--scenario", scenario, "--slo", slo)
    assert done.returncode == status, done.stdout + done.stderr
    outcome = {0: "held", 3: "not judged", 4: "broken", 2: "none"}[status]
    assert [line for line in done.stdout.splitlines() if line.startswith("objective ")] == [
        line for line in done.stdout.splitlines() if line.startswith(f"objective {outcome}: reach is")
    ]
