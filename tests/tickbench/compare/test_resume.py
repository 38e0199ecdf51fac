"""A comparison that was killed goes on: the same runs, none twice, none lost, the same report, times apart."""

import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tickbench.children.commands import Commands
from tickbench.compare.results import ResultFolder, read_results
from tickbench.verbs.compare import conclude, reopen

Tickbench = Callable[..., subprocess.CompletedProcess[str]]
WriteSuite = Callable[..., Path]

MORE = """
again = "gevent"
compare = ["asyncio", "gevent"]
verdicts = ["tick_lateness_ms.p50"]

[[sides]]
name = "stall"
scenario = "stall"
connections = 30
duration_s = 0.1
warm_up_s = 0

[[searches]]
name = "arena"
scenario = "counted"
duration_s = 0.1
warm_up_s = 0
slo = "tick_lateness_ms.p99<1000,connections.requested<=700"
budget_s = 300
precision = 1.45
start = 300
slot_s = 0.1
"""
SEARCHED = [300, 2_400, 845, 500, 650, 650, 650, 845, 845]
"""What broke is left, what is between is looked for, and at last both bounds are confirmed, all on one server."""


def one_folder(out: Path) -> Path:
    (folder,) = (path for path in out.iterdir() if path.is_dir() and not path.is_symlink())
    return folder


def kill_after(start: Callable[..., subprocess.Popen[str]], runs: int, *arguments: str | Path, out: Path) -> None:
    """Kill a comparison as soon as it has made so many runs, in the middle of the next."""
    with start("compare", *arguments) as comparing:
        deadline = time.monotonic() + 60
        while len(list(out.glob("*/runs/[0-9]*.json"))) < runs:
            assert comparing.poll() is None, comparing.stdout.read() if comparing.stdout else ""
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)
        comparing.send_signal(signal.SIGKILL)
        comparing.communicate(timeout=20)


def written(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "runs").glob("[0-9]*.json")}


def planned(folder: Path) -> list[tuple[Any, ...]]:
    return [
        (run.number, run.part, run.block, run.arm, run.again, run.connections, run.attempt)
        for run in read_results(folder).runs
    ]


def without_times(page: str) -> str:
    """Leave out of a report what differs from one comparison to the next in any case."""
    for pattern in (
        r"\d{4}-\d\d-\d\dT[0-9:.+]+",  # times
        r"\d{4}-\d\d-\d\d-\d{6}-small(-\d+)?",  # the folder's name
        r", resumed ",
        r"\b\d+\.\d s\b",  # how long a run took
        r"<dt>(load average|steal|recorded)</dt><dd>[^<]*</dd>",
    ):
        page = re.sub(pattern, "", page)
    return page


def test_a_comparison_that_is_killed_twice_goes_on_to_the_same_runs_and_the_same_report(
    tickbench: Tickbench,
    start_tickbench: Callable[..., subprocess.Popen[str]],
    suite_file: WriteSuite,
    tmp_path: Path,
) -> None:
    suite = suite_file("asyncio", "gevent", repeats=2, more=MORE)
    whole = tickbench("compare", "--suite", suite, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    broken = tmp_path / "broken"
    kill_after(start_tickbench, 8, "--suite", suite, "--out", broken, out=broken)  # in a side
    folder = one_folder(broken)
    first = written(folder)
    assert 8 <= len(first) < 12
    kill_after(start_tickbench, 12, "--resume", folder, out=broken)  # in a search; test_resume_blocks.py kills blocks
    before = written(folder)
    assert 12 <= len(before) < 26
    (folder / "runs" / ".099-x.json.123").write_text("{", "utf-8")  # of one that was killed while it wrote
    done = tickbench("compare", "--resume", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(before)} runs are there already" in done.stdout
    after = {file.name: file.read_bytes() for file in (folder / "runs").iterdir()}
    assert first.items() <= before.items() <= after.items(), "what was there stays as it was"
    assert planned(folder) == planned(tmp_path / "whole" / "latest")
    assert len(planned(folder)) == 2 * 3 + 2 + 2 * len(SEARCHED)
    for arm in ("asyncio", "gevent"):
        assert [load for _, part, _, its, _, load, _ in planned(folder) if (part, its) == ("arena", arm)] == SEARCHED
    pages = [
        without_times((place / "report.html").read_text("utf-8")) for place in (folder, tmp_path / "whole" / "latest")
    ]
    assert pages[0] == pages[1]
    assert len(json.loads((folder / "suite.json").read_text("utf-8"))["resumed_at"]) == 2


def test_what_is_finished_is_not_made_again(tickbench: Tickbench, finished: Path, tmp_path: Path) -> None:
    before = (finished / "runs").stat().st_mtime_ns
    done = tickbench("compare", "--resume", tmp_path / "out" / "latest")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "latest" / "runs").stat().st_mtime_ns == before
    assert done.stdout.startswith("nothing to do: every run is there already (1)\n"), "it says so, first of all"
    assert json.loads((tmp_path / "out" / "latest" / "suite.json").read_text("utf-8"))["resumed_at"] == []


def test_another_environment_is_refused(tickbench: Tickbench, finished: Path) -> None:
    folder = finished
    record = json.loads((folder / "environment.json").read_text("utf-8"))
    record["machine"]["cpu_model"] = "Another CPU"
    record["packages"]["aiohttp"] = "0.1"
    (folder / "environment.json").write_text(json.dumps(record), "utf-8")
    done = tickbench("compare", "--resume", folder)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "processor was Another CPU" in done.stderr
    assert "aiohttp was 0.1" in done.stderr


@pytest.mark.parametrize("name", ["suite.json", "environment.json", "runs/001-blocks-gevent.json"])
@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda text: text[: len(text) // 2], "damaged"),
        (lambda text: text.replace("/1", "/99", 1), "has schema"),
        (lambda _: "", "damaged"),
        (lambda text: text.replace('"', "'"), "damaged"),
    ],
)
@pytest.mark.parametrize("verb", [("report",), ("compare", "--resume")])
def test_a_folder_that_is_not_whole_is_refused_and_stays_as_it_is(
    tickbench: Tickbench,
    finished: Path,
    tmp_path: Path,
    name: str,
    damage: Callable[[str], str],
    complaint: str,
    verb: tuple[str, ...],
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    (folder / name).write_text(damage((folder / name).read_text("utf-8")), "utf-8")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    done = tickbench(*verb, folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert complaint in done.stderr
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_what_a_resumed_suite_is_cannot_be_changed(tickbench: Tickbench, finished: Path) -> None:
    for option in (["--suite", "quick"], ["--arm", "asyncio"], ["--out", "elsewhere"]):
        done = tickbench("compare", "--resume", finished, *option)
        assert done.returncode == 2
        assert "leave --suite, --arm and --out out" in done.stderr


def later_results(folder: Path) -> None:
    file = folder / "results.json"
    file.write_text(file.read_text("utf-8").replace("tickbench.results/1", "tickbench.results/2"), "utf-8")


def half_of_the_results(folder: Path) -> None:
    file = folder / "results.json"
    file.write_text(file.read_text("utf-8")[:300], "utf-8")


def no_run(folder: Path) -> None:
    for file in (folder / "runs").iterdir():
        file.unlink()


def no_folder_of_runs(folder: Path) -> None:
    shutil.rmtree(folder / "runs")


def gap(folder: Path) -> None:
    (file,) = (folder / "runs").iterdir()
    file.write_text(file.read_text("utf-8").replace('"number": 1', '"number": 2', 1), "utf-8")


def suite_that_does_not_fit(folder: Path) -> None:
    record = json.loads((folder / "suite.json").read_text("utf-8"))
    record["suite"]["compare"] = ["gevent", "gevent"]
    (folder / "suite.json").write_text(json.dumps(record), "utf-8")


@pytest.mark.parametrize("verb", [("report",), ("compare", "--resume")])
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (later_results, "tickbench.results/2"),
        (half_of_the_results, "results.json is damaged"),
        (no_run, "has run 1, of which|no run that ended"),
        (no_folder_of_runs, "no folder runs"),
        (gap, "is run 2, but there is no run 1"),
        (suite_that_does_not_fit, "suite.json is damaged .*two different arms"),
    ],
)
def test_a_folder_of_which_something_is_gone_is_refused_and_stays_as_it_is(
    tickbench: Tickbench, finished: Path, spoil: Callable[[Path], None], complaint: str, verb: tuple[str, ...]
) -> None:
    spoil(finished)
    before = {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()}
    done = tickbench(*verb, finished)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stdout + done.stderr
    assert re.search(complaint, done.stderr)
    assert {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()} == before


def test_runs_that_another_made_meanwhile_are_not_made_again(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look at the folder and the lock another process writes its last run and ends."""
    tickbench("compare", "--suite", suite_file("asyncio", "gevent"), "--out", tmp_path / "out")
    folder = one_folder(tmp_path / "out")
    (folder / "results.json").unlink()
    last = next((folder / "runs").glob("002-*.json"))
    kept = last.read_bytes()
    last.unlink()

    def hold(_: ResultFolder) -> None:
        last.write_bytes(kept)

    monkeypatch.setattr(ResultFolder, "hold", hold)
    _, begun = reopen(folder, Commands(check=None))
    assert [run.number for run in begun.runs] == [1, 2]


def test_two_at_once_are_refused(
    tickbench: Tickbench, start_tickbench: Callable[..., subprocess.Popen[str]], suite_file: WriteSuite, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with start_tickbench("compare", "--suite", suite_file("gevent", duration_s=30), "--out", out) as comparing:
        deadline = time.monotonic() + 20
        while not list(out.glob("*/environment.json")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        done = tickbench("compare", "--resume", one_folder(out))
        comparing.send_signal(signal.SIGINT)
        comparing.communicate(timeout=20)
    assert done.returncode == 2
    assert "another tickbench makes runs" in done.stderr


def test_what_is_printed_to_be_pasted_is_quoted_for_a_shell(folder: Path, tmp_path: Path) -> None:
    """A folder of which a shell would make several words, a variable and a command."""
    odd = folder.rename(tmp_path / "it's $HOME; [b]x & co")
    said = io.StringIO()
    conclude(ResultFolder(odd), Console(file=said, width=80, highlight=False), stopped=130)
    line = said.getvalue().splitlines()[-1]
    assert shlex.split(line.removeprefix("go on with: ")) == ["tickbench", "compare", "--resume", str(odd)]
