"""Whole comparisons of planted servers by the real generator: what is planted is what is found."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tickbench.compare.results import read_results
from tickbench.report.build import build_report, read_document

PLANTED = Path(__file__).parents[2] / "support" / "planted_server.py"
ROOT = PLANTED.parents[2]

SUITE = """
name = "planted"
arms = {arms}
scenario = "steady"
connections = 20
duration_s = {duration_s}
warm_up_s = {warm_up_s}
repeats = {repeats}
seed = 1
again = "early"
compare = ["early", "late"]
verdicts = ["tick_lateness_ms.p50"]
quiet_wait_s = {quiet_wait_s}
max_attempts = {max_attempts}

[commands]
"""


def write_suite(folder: Path, laws: Mapping[str, Mapping[str, float]], **more: float) -> Path:
    """Write a suite whose arms are planted servers of these laws."""
    known = {"duration_s": 1.0, "warm_up_s": 0.5, "repeats": 1, "quiet_wait_s": 0, "max_attempts": 1}
    text = SUITE.format(arms=list(laws), **(known | more))
    for name, law in laws.items():
        words = [sys.executable, str(PLANTED), json.dumps(law), str(folder / f"{name}.record")]
        text += f"{name} = {json.dumps(f'{shlex.join(words)} {{port}}')}\n"
    path = folder / "planted.toml"
    path.write_text(text, "utf-8")
    return path


def compare(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tickbench", "compare", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_one_that_was_killed_goes_on_to_the_same_set_of_runs(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, {"early": {"lateness_ms": 4}, "late": {"lateness_ms": 8}})
    out = tmp_path / "out"
    with compare("--suite", suite, "--out", out) as comparing:
        deadline = time.monotonic() + 60
        while not list(out.glob("*/runs/[0-9]*.json")):
            assert comparing.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
        comparing.send_signal(signal.SIGKILL)
        comparing.communicate(timeout=20)
    (folder,) = out.iterdir()
    with compare("--resume", folder) as resumed:
        output, _ = resumed.communicate(timeout=100)
    assert resumed.returncode == 0, output
    runs = read_results(folder).runs
    assert [run.number for run in runs] == [1, 2, 3]
    assert sorted((run.arm, run.again) for run in runs) == [("early", False), ("early", True), ("late", False)]
    assert {run.outcome for run in runs} == {"finished"}


@pytest.mark.full_size
@pytest.mark.timeout(900)
def test_a_planted_difference_is_found_and_a_planted_equality_is_not(tmp_path: Path) -> None:
    size = {"duration_s": 4, "warm_up_s": 2, "repeats": 5, "quiet_wait_s": 20, "max_attempts": 3}
    laws = {"early": {"lateness_ms": 4}, "late": {"lateness_ms": 6}, "same": {"lateness_ms": 4}}
    with compare("--suite", write_suite(tmp_path, laws, **size), "--out", tmp_path / "out") as comparing:
        output, _ = comparing.communicate(timeout=800)
    assert comparing.returncode == 0, output
    folder = (tmp_path / "out" / "latest").resolve()
    build_report(folder)
    found = read_document(folder).comparisons
    assert found.suppressed is None, found.suppressed
    (verdict,) = found.primary
    assert verdict.winner == "early"
    assert verdict.ratio is not None
    assert verdict.ratio.low is not None
    assert verdict.ratio.high is not None
    assert verdict.ratio.low <= 1.5 <= verdict.ratio.high * 1.02
    same = next(each for each in found.others if (each.other, each.figure) == ("same", "tick_lateness_ms.p50"))
    assert same.ratio is not None
    assert same.ratio.ratio == pytest.approx(1, abs=0.05)
