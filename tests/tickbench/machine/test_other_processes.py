"""Who else computes is named, so that one knows what to end."""

import os
import subprocess
import sys

from tickbench.machine.fitness import judge_others
from tickbench.machine.other_processes import Other, busiest_others

SPIN = "while True: pass"


def test_a_process_that_spins_is_named_with_its_share() -> None:
    with subprocess.Popen([sys.executable, "-c", SPIN]) as spinning:
        try:
            found = {other.pid: other for other in busiest_others(0.5)}
        finally:
            spinning.kill()
    assert found[spinning.pid].percent > 3
    assert found[spinning.pid].name.startswith("python")
    assert os.getpid() not in found


def test_whoever_spoils_runs_is_a_warning_that_says_what_to_do() -> None:
    others = [Other("make", 7, 55.2, 0), Other("cc1", 8, 11.0, None), Other("sshd", 9, 0.2, 1)]
    check = judge_others(others)
    assert check.level == "warn"
    assert check.words.startswith("make (pid 7) took 55 % of core 0, cc1 (pid 8) took 11 %; end them")
    assert judge_others(others[2:]).level == "ok"
    assert "and 2 more" in judge_others([Other("x", pid, 9.0, 0) for pid in range(5)]).words
