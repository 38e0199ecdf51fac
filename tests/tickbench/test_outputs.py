"""Files that a verb is told to write: looked at before anything is measured, written through, and no figure is lost."""

import errno
import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from shared.measure.summary import read_summary
from tests.support.shell import tickbench_line
from tickbench import cli
from tickbench.compare.results import ResultFolder, read_results
from tickbench.compare.runs import Run
from tickbench.compare.suite import Suite
from tickbench.errors import InputError
from tickbench.verbs import bench, compare
from tickbench.verbs.bench import BenchReport

Tickbench = Callable[..., subprocess.CompletedProcess[str]]
LOAD = ["load", "http://127.0.0.1:1", "--duration", "1", "--warm-up", "0"]


def test_a_summary_is_written_through_a_link(tickbench: Tickbench, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("out.json")
    done = tickbench(*LOAD, "--out", tmp_path / "link")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "link").is_symlink()
    assert read_summary((tmp_path / "out.json").read_bytes()).connections.connected == 300


def test_on_stdout_the_summary_is_alone(tickbench: Tickbench) -> None:
    done = tickbench(*LOAD, "--out", "/dev/stdout")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["schema"] == "tickbench.load/1"
    assert "tick lateness p99" in done.stderr


def test_stdout_that_is_a_file_is_written_on_and_not_replaced(tmp_path: Path) -> None:
    line = f"(echo first; {tickbench_line(*LOAD, '--out', '/dev/stdout')}; echo last) > {tmp_path}/all"
    subprocess.run(["/bin/bash", "-c", line], stderr=subprocess.DEVNULL, timeout=60, check=True)
    first, *summary, last = (tmp_path / "all").read_text("utf-8").splitlines()
    assert (first, last) == ("first", "last")
    assert read_summary("\n".join(summary).encode()).connections.connected == 300


def test_a_file_that_takes_nothing_loses_no_figure(tickbench: Tickbench, tmp_path: Path) -> None:
    done = tickbench(*LOAD, "--out", "/dev/full", TMPDIR=str(tmp_path))
    assert done.returncode == 1
    assert "tick lateness p99" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: --out /dev/full can't be written (No space left on device); the figures are in ")
    (kept,) = tmp_path.iterdir()
    assert line.endswith(f"{kept} instead")
    assert read_summary(kept.read_bytes()).connections.connected == 300


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (LOAD, "--out"),
        (["conformance", "http://127.0.0.1:1"], "--json"),
        (["bench", "timer"], "--json"),
        (["bench", "fanout"], "--chart"),
    ],
)
@pytest.mark.parametrize("place", ["/proc/out.json", "/dev/fd/99", "{tmp}/no folder/x", "{tmp}/circle"])
def test_what_cannot_be_written_is_said_before_the_run(
    arguments: list[str], flag: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert cli.main([*arguments, flag, place.format(tmp=tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"error: {flag} ")
    assert "give another file" in err


def test_a_bench_writes_one_file_where_the_other_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    report = BenchReport(environment=read_results(folder).environment)
    monkeypatch.setattr(bench, "measure", lambda *_: report)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.main(["bench", "timer", "--repeats", "2", "--json", "/dev/full"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: /dev/full can't be written (No space left on device); the figures are in ")
    assert json.loads(next(tmp_path.glob("tickbench-*-full")).read_bytes())["schema"] == "tickbench.bench/4"


# Results folders


def refuses_locks(number: int) -> Callable[..., None]:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            errno.ENOLCK,
            r"files cannot be locked in .* \(No locks available\); give a folder on a local disk with --out",
        ),
        (errno.EOPNOTSUPP, "files cannot be locked in .* with --out"),
        (errno.EWOULDBLOCK, "another tickbench makes runs for"),
    ],
)
def test_a_folder_that_cannot_be_locked_is_told_from_one_that_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuses_locks(number))
    with pytest.raises(InputError, match=words):
        ResultFolder(folder).hold()


def test_a_disk_without_room_is_seen_before_the_first_run(
    tmp_path: Path, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = os.statvfs(tmp_path)
    small = os.statvfs_result([*disk[:1], 4096, *disk[2:4], 256, *disk[5:10], disk.f_fsid])
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    with pytest.raises(InputError, match=r"is on a disk with 1 MiB left, of which a comparison may take 16; make room"):
        ResultFolder.create(tmp_path, suite, datetime(2026, 11, 21, 14, 30, tzinfo=UTC))


def test_a_run_that_cannot_be_written_is_kept_elsewhere(
    folder: Path, make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_is_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "write_text", disk_is_full)
    run = make_run(3, "gevent")
    with pytest.raises(InputError, match=r"No space left on device.*; move .* to .*/runs/003-gevent\.json") as error:
        ResultFolder(folder).write_run(run, "gevent")
    (kept,) = tmp_path.glob("tickbench-*-003-gevent.json")
    assert str(kept) in str(error.value)
    kept.rename(folder / "runs" / "003-gevent.json")
    assert read_results(folder).runs[2] == run


def test_figures_are_shown_where_no_report_can_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_is_full(*_: object) -> None:
        raise InputError("the disk is full; make room")

    monkeypatch.setattr(compare, "build_report", disk_is_full)
    console = Console(width=100)
    with console.capture() as said:
        assert compare.conclude(ResultFolder(folder), console, stopped=1) is None
    assert "no report: the disk is full; make room" in said.get()
    assert "tick lateness p50" in said.get()
    assert f"compare --resume {folder}" in said.get()
