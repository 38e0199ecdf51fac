import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tickbench.compare.results import read_results

Tickbench = Callable[..., subprocess.CompletedProcess[str]]
WriteSuite = Callable[..., Path]


def test_a_comparison_runs_every_arm_and_reports_it(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    done = tickbench("compare", "--suite", suite_file("asyncio:fanout=naive", "gevent", repeats=2), "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    results = read_results(out / "latest")
    assert [run.outcome for run in results.runs] == ["finished"] * 4
    assert results.runs[0].arm == results.runs[3].arm
    assert (out / "latest" / "report.html").is_file()
    for name in ("report.md", "runs.csv", "results.json"):
        assert (out / "latest" / name).is_file()
    assert "report: " in done.stdout
    assert "4 runs: 2 arms x 2 repeats" in done.stdout


def test_servers_get_the_suites_flags_and_the_arms_on_a_core_of_their_own(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("asyncio:fanout=naive", more="[server]\nbots = 10\n")
    done = tickbench("compare", "--suite", suite, "--out", tmp_path, TICKBENCH_PAD="1", LOCUST_USERS="7")
    assert done.returncode == 0, done.stdout + done.stderr
    run = read_results(tmp_path / "latest").runs[0]
    assert run.server_settings == {"flags": {"--bots": "10", "--fanout": "naive"}, "cpus": run.cpus_server}
    assert run.server is not None
    assert (run.server.exit_status, run.server.was_killed) == (0, False)
    assert any("listening" in line for line in run.server.log_tail)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("dies", "the server ended with exit status 7 under load"), ("refuses", "before it was ready")],
)
def test_a_run_that_fails_is_kept_with_its_reason_and_the_others_go_on(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path, behaviour: str, reason: str
) -> None:
    suite = suite_file(f"asyncio:behaviour={behaviour}", "gevent", duration_s=0.6)
    done = tickbench("compare", "--suite", suite, "--out", tmp_path)
    assert done.returncode == 1
    runs = {run.arm: run for run in read_results(tmp_path / "latest").runs}
    assert runs["gevent"].outcome == "finished"
    failed = runs[f"asyncio:behaviour={behaviour}"]
    assert (failed.outcome, failed.fault) == ("failed", "server")
    assert reason in str(failed.reason)
    assert reason in (tmp_path / "latest" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("scenario", ["broken", "garbage"])
def test_a_load_run_that_fails_is_the_generator_s_fault(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path, scenario: str
) -> None:
    done = tickbench("compare", "--suite", suite_file("gevent", scenario=scenario), "--out", tmp_path)
    assert done.returncode == 1
    (run,) = read_results(tmp_path / "latest").runs
    assert (run.outcome, run.fault, run.load) == ("failed", "generator", None)


def test_runs_that_are_not_valid_are_finished_and_say_why(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path
) -> None:
    done = tickbench("compare", "--suite", suite_file("gevent", scenario="spoiled"), "--out", tmp_path)
    assert done.returncode == 0
    assert "not valid: steal of 7.1 % on core 0" in done.stdout


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_process_and_keeps_what_is_finished(
    start_tickbench: Callable[..., subprocess.Popen[str]], suite_file: WriteSuite, tmp_path: Path, signum: int
) -> None:
    suite = suite_file("asyncio", "gevent", repeats=10, duration_s=0.5)
    with start_tickbench("compare", "--suite", suite, "--out", tmp_path / "results") as comparing:
        wait_for_runs(tmp_path, 1)
        children = wait_for_children(comparing.pid, 2)
        comparing.send_signal(signum)
        output, _ = comparing.communicate(timeout=20)
    assert comparing.returncode == 128 + signum
    assert not [child for child in children if child.is_running()]
    results = read_results(tmp_path / "results" / "latest")
    assert 1 <= len(results.runs) < 20
    assert "what is finished is kept" in output
    assert "Traceback" not in output
    assert "stopped early" in (tmp_path / "results" / "latest" / "report.html").read_text("utf-8")


def test_an_interrupt_before_anything_is_finished_leaves_no_report_and_says_so(
    start_tickbench: Callable[..., subprocess.Popen[str]], suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("asyncio", duration_s=60)
    with start_tickbench("compare", "--suite", suite, "--out", tmp_path) as comparing:
        children = wait_for_children(comparing.pid, 2)
        comparing.send_signal(signal.SIGINT)
        output, _ = comparing.communicate(timeout=20)
    assert comparing.returncode == 130
    assert not [child for child in children if child.is_running()]
    assert "no report" in output
    assert "Traceback" not in output


def test_an_interrupted_load_run_leaves_nothing_behind(
    start_tickbench: Callable[..., subprocess.Popen[str]],
) -> None:
    with start_tickbench("load", "http://127.0.0.1:1", "--duration", "60") as loading:
        children = wait_for_children(loading.pid, 1)
        loading.send_signal(signal.SIGINT)
        loading.communicate(timeout=20)
    assert loading.returncode == 130
    assert not [child for child in children if child.is_running()]


@pytest.mark.parametrize(
    ("slo", "status", "words"),
    [
        ("tick_lateness_ms.p99<1000,reach>=0.5", 0, ""),
        ("tick_lateness_ms.p99<0.001,reach>=0.5", 4, "objective broken: gevent: tick_lateness_ms.p99 is"),
        ("lateness<1", 2, "there is no figure 'lateness'"),
    ],
)
def test_an_objective_that_an_arm_breaks_is_an_exit_status(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path, slo: str, status: int, words: str
) -> None:
    done = tickbench("compare", "--suite", suite_file("asyncio", "gevent"), "--out", tmp_path, "--slo", slo)
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert ("objective broken" in done.stdout) is (status == 4)


def test_an_arm_without_a_valid_run_neither_holds_an_objective_nor_breaks_it(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("gevent", scenario="spoiled")
    done = tickbench("compare", "--suite", suite, "--out", tmp_path, "--slo", "reach>0")
    assert done.returncode == 3
    assert "objective not judged: gevent: reach is" in done.stdout


def test_a_server_that_runs_already_is_an_arm_and_since_it_cannot_be_stopped_all_are_measured_in_whole_runs(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path, fake_server: Callable[..., list[str]]
) -> None:
    with subprocess.Popen(fake_server(), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        suite = suite_file("gevent", more="slot_s = 0.05\n")
        done = tickbench("compare", "--suite", suite, "--arm", f"url={url}", "--out", tmp_path)
        assert server.poll() is None, "it is not ours to end"
        server.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = read_results(tmp_path / "latest").runs
    assert (run.arm, run.server, run.slots_planned) == (f"url={url}", None, 0)
    assert "one after the other, as the server of a url= arm cannot be stopped" in done.stdout
    assert run.server_settings is not None


def test_a_command_line_of_the_suite_is_an_arm(tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path) -> None:
    command = f"{sys.executable} -m http.server --bind 127.0.0.1 {{port}}"
    suite = suite_file("mine", more=f'[commands]\nmine = "{command}"\n')
    done = tickbench("compare", "--suite", suite, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = read_results(tmp_path / "latest").runs
    assert run.server is not None
    assert (run.arm, run.server.command[:3], run.server.exit_status) == (
        "mine",
        [sys.executable, "-m", "http.server"],
        -15,
    )


def test_a_command_that_never_listens_is_a_failed_run(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("mine", more="[commands]\nmine = \"sh -c 'echo no luck; exit 3' {port}\"\n")
    done = tickbench("compare", "--suite", suite, "--out", tmp_path)
    assert done.returncode == 1
    (run,) = read_results(tmp_path / "latest").runs
    assert run.reason == "the server ended with exit status 3 before it was ready, its last line: no luck"


def wait_for_runs(tmp_path: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(list(tmp_path.glob("results/*/runs/*.json"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_children(pid: int, count: int) -> list[psutil.Process]:
    """Wait until so many children run at once; return them."""
    deadline = time.monotonic() + 20
    while len(children := psutil.Process(pid).children(recursive=True)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return children
