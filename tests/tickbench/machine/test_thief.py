"""A thief on the server's core, for real: the comparison stops soon, and its first line says what happened."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tickbench.compare.results import read_results
from tickbench.compare.suite import STOP_AFTER

ROOT = Path(__file__).parents[3]


def test_a_comparison_beside_a_thief_stops_and_says_who_took_what(
    suite_file: Callable[..., Path], tmp_path: Path
) -> None:
    suite = suite_file("asyncio", "gevent", duration_s=1, repeats=3)
    suite.write_text(suite.read_text("utf-8").replace("max_attempts = 1", "max_attempts = 3"), "utf-8")
    compare = [sys.executable, "-m", "tickbench", "compare", "--suite", str(suite), "--out", str(tmp_path)]
    thief = [sys.executable, "-m", "tests.bench.thief", "--percent", "30", "--"]
    done = subprocess.run([*thief, *compare], capture_output=True, text=True, check=False, timeout=110, cwd=ROOT)
    assert done.returncode == 3, done.stdout + done.stderr
    runs = read_results(tmp_path / "latest").runs
    assert len(runs) == STOP_AFTER
    news = json.loads((tmp_path / "latest" / "results.json").read_text("utf-8"))["news"]
    assert news.startswith("Stopped, as this machine cannot measure now: ")
    assert f"in {STOP_AFTER} of {STOP_AFTER} runs" in news
    assert "Nothing can be concluded." in news
    for run in runs:
        assert run.load is not None
        (taken,) = (reason for reason in run.load.validity.machine if "other processes took " in reason)
        assert taken in run.load.validity.spoiled_by("tick_lateness_ms.p50")
        assert taken not in run.load.validity.spoiled_by("reach")
