"""Whole comparisons of planted servers by the real generator: what is planted is what is found."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.tickbench.children.test_processes import is_gone, wait_until
from tests.tickbench.compare.test_resume_blocks import stopped
from tickbench.compare.results import read_results
from tickbench.compare.runs import Run
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
slot_s = {slot_s}
max_attempts = {max_attempts}

[commands]
"""


def write_suite(folder: Path, laws: Mapping[str, Mapping[str, float]], **more: float) -> Path:
    """Write a suite whose arms are planted servers of these laws."""
    known = {"duration_s": 1.0, "warm_up_s": 0.5, "repeats": 1, "quiet_wait_s": 0, "max_attempts": 1, "slot_s": 0}
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


def test_what_is_planted_is_found_in_slots_by_a_comparison_that_was_killed(tmp_path: Path) -> None:
    laws = {"early": {"lateness_ms": 4}, "late": {"lateness_ms": 8}}
    suite, out = write_suite(tmp_path, laws, slot_s=0.5, duration_s=1.5), tmp_path / "out"
    with compare("--suite", suite, "--out", out) as comparing:
        wait_until(lambda: len(stopped(comparing.pid)) >= 4, 60)  # two arms of three stand still
        pids = [child.pid for child in psutil.Process(comparing.pid).children(recursive=True)]
        comparing.send_signal(signal.SIGKILL)
        comparing.communicate(timeout=20)
    wait_until(lambda: all(is_gone(pid) for pid in pids))
    (folder,) = out.iterdir()
    assert not list(folder.glob("runs/*"))
    with compare("--resume", folder) as resumed:
        output, _ = resumed.communicate(timeout=100)
    assert resumed.returncode == 0, output
    assert "side by side in slots of 0.5 s" in output
    runs = read_results(folder).runs
    assert [run.number for run in runs] == [1, 2, 3]
    assert sorted((run.arm, run.again) for run in runs) == [("early", False), ("early", True), ("late", False)]
    for run in runs:
        check_planted(run, {"early": 4, "late": 8}[run.arm])


def check_planted(run: Run, lateness_ms: float) -> None:
    load = run.load
    assert load is not None, run.reason
    assert load.slots is not None
    assert load.slots.made >= run.slots_planned == 3
    kept = max(1, load.slots.kept)  # of none the figures are those of the last
    frames = load.frames
    assert load.duration_s == pytest.approx(0.5 * kept)
    assert frames.due == frames.received + frames.missing + frames.skipped  # a busy machine makes it skip some
    assert load.tick_rate_hz is not None
    per_slot = load.connections.connected * load.tick_rate_hz * 0.5
    assert frames.due == pytest.approx(per_slot * kept, rel=0.1), "no due time of a pause is in it"
    assert load.tick_lateness_ms.p50 is not None
    assert lateness_ms <= load.tick_lateness_ms.p50 < lateness_ms + 2
    assert run.server is not None
    assert (run.server.exit_status, run.server.was_killed) == (0, False), "it was woken before it was asked to end"


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
