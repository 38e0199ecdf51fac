"""The one test here that starts the real servers and the real generator."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tickbench.results import read_results


def test_both_backends_are_compared_for_real(suite_file: Callable[..., Path], tmp_path: Path) -> None:
    suite = suite_file("asyncio", "gevent", duration_s=1)
    command = [sys.executable, "-m", "tickbench", "compare", "--suite", str(suite), "--out", str(tmp_path)]
    variables = {**os.environ, "TICKBENCH_SCENARIO": "players"}  # of whoever called, it must not reach the children
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = read_results(tmp_path / "latest").runs
    assert {run.arm for run in runs} == {"asyncio", "gevent"}
    for run in runs:
        assert run.load is not None
        assert run.load.scenario == "steady"
        assert run.load.connections.connected == 30
        assert run.load.frames.received > 0
        assert run.server is not None
        assert (run.server.exit_status, run.server.was_killed) == (0, False)
        assert run.server_settings is not None
        assert run.server_settings["mode"] == "managed"
    assert (tmp_path / "latest" / "report.html").is_file()
