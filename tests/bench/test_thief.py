"""The thief takes what it says, and in bursts when it says."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.thief import pause_s

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("since_s", "pause"), [(0, 0), (0.9, 0), (1.05, 18.95), (19.9, 0.1), (20.3, 0), (21.5, 18.5), (421, 19)]
)
def test_one_second_in_twenty_is_one_from_each_twentieth_second_on(since_s: float, pause: float) -> None:
    assert pause_s(since_s, 20, 1) == pytest.approx(pause)


def test_a_burst_is_over_when_it_says_and_the_command_s_status_is_its_own() -> None:
    began_s = time.monotonic()
    thief = [sys.executable, "-m", "tests.bench.thief", "--every", "0.4", "--for", "0.1", "--"]
    done = subprocess.run(
        [*thief, sys.executable, "-c", "import time; time.sleep(0.3); raise SystemExit(3)"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=ROOT,
    )
    assert done.returncode == 3
    assert "with 100 % of core " in done.stdout
    assert " taken, 0.1 s in 0.4, it took 0." in done.stdout or time.monotonic() - began_s > 1
