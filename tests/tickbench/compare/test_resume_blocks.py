"""A comparison in slots that was killed or interrupted goes on, and leaves no process, least of all a stopped one."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.tickbench.children.test_processes import is_gone, wait_until
from tests.tickbench.compare.test_resume import one_folder
from tickbench.compare.results import read_results

Tickbench = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
WriteSuite = Callable[..., Path]

STUBBORN = f'(trap "" HUP TERM; exec {shlex.quote(sys.executable)} -m http.server --bind 127.0.0.1 {{port}}) & wait'
"""A stranger's server: a child of what tickbench starts, which heeds no signal that it can refuse."""
MORE = f"""
slot_s = 0.2
again = "asyncio"

[commands]
strange = {json.dumps(f"sh -c {shlex.quote(STUBBORN)}")}
"""
PER_BLOCK = 3
AT_ONCE = f"""
compare = ["asyncio", "gevent"]
together_s = 4
{MORE}"""
"""Two arms, one of them twice, run at once, while the stranger's stands still."""
PROCESSES = 1 + 4 * 2 + 1
"""The guard, the servers and their generators, the stranger's child."""


def in_the_midst_of_a_block(start: Start, suite: Path, out: Path, made: int) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a comparison; return it in the midst of the block behind so many runs, and all its processes."""
    comparing = start("compare", "--suite", suite, "--out", out)
    wait_until(lambda: len(list(out.glob("*/runs/[0-9]*.json"))) == made, 60)
    # Two arms of three stand still, each a server and a generator, and the stranger's is of two processes.
    wait_until(lambda: len(stopped(comparing.pid)) >= 4, 30)
    return comparing, [child.pid for child in psutil.Process(comparing.pid).children(recursive=True)]


def stopped(pid: int) -> list[int]:
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += [child.pid] if child.status() == psutil.STATUS_STOPPED else []
    return found


def test_one_that_is_killed_in_the_midst_of_a_block_makes_that_block_anew(
    tickbench: Tickbench, start_tickbench: Start, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("asyncio", "strange", repeats=2, duration_s=0.6, more=MORE)
    comparing, pids = in_the_midst_of_a_block(start_tickbench, suite, tmp_path / "out", PER_BLOCK)
    assert len(pids) == 1 + 3 * 2 + 1, "the guard, the servers and their generators, the stranger's child"
    with comparing:
        comparing.send_signal(signal.SIGKILL)
        comparing.communicate(timeout=20)
    wait_until(lambda: all(is_gone(pid) for pid in pids))
    folder = one_folder(tmp_path / "out")
    before = {file.name: file.read_bytes() for file in (folder / "runs").iterdir()}
    assert len(before) == PER_BLOCK, "of the block that was broken off there is no run"
    done = tickbench("compare", "--resume", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert before.items() <= {file.name: file.read_bytes() for file in (folder / "runs").iterdir()}.items()
    runs = read_results(folder).runs
    assert [(run.number, run.block, run.attempt) for run in runs] == [(n, 1 + (n > 3), 1) for n in range(1, 7)]
    assert {run.outcome for run in runs} == {"finished"}
    again = tickbench("compare", "--resume", folder)
    assert again.stdout.startswith("nothing to do: every run is there already (6)\n")


def while_arms_run_at_once(comparing: subprocess.Popen[str]) -> list[int]:
    """Return all its processes when three arms have run for a while and the stranger's alone stands still."""
    wait_until(lambda: len(psutil.Process(comparing.pid).children(recursive=True)) == PROCESSES, 60)
    wait_until(lambda: all(len(stopped(comparing.pid)) == 3 for _ in range(20)), 30)
    return [child.pid for child in psutil.Process(comparing.pid).children(recursive=True)]


def test_one_that_is_killed_while_arms_run_at_once_makes_that_block_anew(
    tickbench: Tickbench, start_tickbench: Start, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("asyncio", "gevent", "strange", duration_s=0.2, more=AT_ONCE)
    comparing = start_tickbench("compare", "--suite", suite, "--out", tmp_path / "out")
    pids = while_arms_run_at_once(comparing)
    with comparing:
        comparing.send_signal(signal.SIGKILL)
        comparing.communicate(timeout=20)
    wait_until(lambda: all(is_gone(pid) for pid in pids))
    folder = one_folder(tmp_path / "out")
    assert not list(folder.glob("runs/*"))
    done = tickbench("compare", "--resume", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = read_results(folder).runs
    assert [run.part for run in runs].count("together") == 3
    assert [(run.number, run.attempt, run.outcome) for run in runs] == [(n, 1, "finished") for n in range(1, 8)]


def test_an_interrupt_while_arms_run_at_once_leaves_nothing_behind(
    start_tickbench: Start, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("asyncio", "gevent", "strange", duration_s=0.2, more=AT_ONCE)
    comparing = start_tickbench("compare", "--suite", suite, "--out", tmp_path / "out")
    pids = while_arms_run_at_once(comparing)
    with comparing:
        comparing.send_signal(signal.SIGINT)
        output, _ = comparing.communicate(timeout=20)
    assert comparing.returncode == 130
    assert "Traceback" not in output
    wait_until(lambda: all(is_gone(pid) for pid in pids), 1)
    assert not list(one_folder(tmp_path / "out").glob("runs/*"))


def test_an_interrupt_in_the_midst_of_a_block_leaves_nothing_behind(
    start_tickbench: Start, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("asyncio", "strange", duration_s=4, more=MORE)
    comparing, pids = in_the_midst_of_a_block(start_tickbench, suite, tmp_path / "out", 0)
    with comparing:
        comparing.send_signal(signal.SIGINT)
        output, _ = comparing.communicate(timeout=20)
    assert comparing.returncode == 130
    assert "Traceback" not in output
    wait_until(lambda: all(is_gone(pid) for pid in pids), 1)
    assert not list(one_folder(tmp_path / "out").glob("runs/*"))


def test_a_block_whose_runs_were_not_all_written_is_made_anew_and_the_later_attempt_counts(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("asyncio", "gevent", more="slot_s = 0.05\n")
    assert tickbench("compare", "--suite", suite, "--out", tmp_path / "out").returncode == 0
    folder = one_folder(tmp_path / "out")
    for name in ("results.json", "report.html", "report.md", "runs.csv"):
        (folder / name).unlink()
    next((folder / "runs").glob("002-*.json")).unlink()  # as if it had been killed between the two
    done = tickbench("compare", "--resume", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    results = read_results(folder)
    assert [(run.number, run.attempt) for run in results.runs] == [(1, 1), (2, 2), (3, 2)]
    assert [results.index.mark(run) for run in results.runs] == ["superseded", "valid", "valid"]
