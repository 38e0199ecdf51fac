"""Streams as they may be: closed, full, without a reader, not in UTF-8; and a working folder that is gone."""

import errno
import io
import os
import pty
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.shell import tickbench_line
from tickbench import cli
from tickbench.streams import SteadyStream

NOT_UTF_8 = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}


def in_shell(redirections: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = f"{tickbench_line(*arguments)} {redirections}; exit ${{PIPESTATUS[0]}}"
    return subprocess.run(
        ["/bin/bash", "-c", line],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **NOT_UTF_8},
    )


@pytest.mark.parametrize(("redirections", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")])
def test_what_stdout_does_not_take_is_said_on_stderr_behind_one_line(redirections: str, why: str) -> None:
    done = in_shell(redirections, "lines")
    first, *rest = done.stderr.splitlines()
    assert first == f"error: stdout can't be written ({why}); what is said there follows here"
    assert any("managed" in line for line in rest)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == 1


def test_a_reader_that_has_enough_is_no_error() -> None:
    done = in_shell("| head -1", "lines")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_with_no_stream_at_all_nothing_is_said_and_the_status_tells() -> None:
    assert in_shell("<&- >&- 2>&-", "lines").returncode == 1
    assert in_shell("<&- >&- 2>&-", "report", "/nowhere").returncode == 2


def test_figures_of_a_load_run_are_on_stderr_where_stdout_is_full(tmp_path: Path) -> None:
    fast = ["--duration", "1", "--warm-up", "0"]
    done = in_shell(">/dev/full", "load", "http://127.0.0.1:1", *fast, "--out", tmp_path / "out.json")
    assert "tick lateness p99" in done.stderr
    assert (tmp_path / "out.json").is_file()


def test_a_terminal_that_is_not_in_utf_8_shows_the_progress_all_the_same(
    suite_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Of a comparison: its spinner and its bar are no ASCII."""
    ours, theirs = pty.openpty()
    line = tickbench_line("compare", "--suite", suite_file("asyncio", duration_s=1), "--out", tmp_path / "out")
    environment = {**os.environ, **NOT_UTF_8, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(shlex.split(line), stdout=theirs, stderr=theirs, env=environment) as comparing:
        os.close(theirs)
        said = read_until_end(ours)
        assert comparing.wait(30) == 0, said
    assert b"Traceback" not in said
    assert b"report: " in said


def read_until_end(terminal: int) -> bytes:
    said, deadline = b"", time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            said += os.read(terminal, 65536)
    except OSError:  # EIO: nobody has the other end any more
        pass
    finally:
        os.close(terminal)
    return said


def test_a_working_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    tickbench = Path(sys.executable).with_name("tickbench")
    line = f"cd {shlex.quote(str(gone))} && rmdir ../gone && {shlex.quote(str(tickbench))} lines"
    done = subprocess.run(["/bin/bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith("error: the working folder is gone (No such file or directory); cd to ")


@pytest.mark.parametrize(
    "arguments", [["load", "http://127.0.0.1:1"], ["compare", "--out", "results"], ["bench", "timer", "--repeats", "2"]]
)
def test_no_usable_temporary_folder_is_one_line_before_anything_is_begun(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("error: no temporary folder can be made (")
    assert "; set TMPDIR to " in err
    assert list(tmp_path.iterdir()) == []


class Full(io.StringIO):
    """A stream that takes ``room`` characters, from the next flush on."""

    def __init__(self, room: int, error: OSError) -> None:
        super().__init__()
        self.room = room
        self.error = error

    def flush(self) -> None:
        if self.tell() > self.room:
            raise self.error


def test_all_that_was_not_handed_over_is_said_elsewhere() -> None:
    other = io.StringIO()
    steady = SteadyStream(Full(4, OSError(errno.ENOSPC, "No space left")), other)
    for text in ("one\n", "two\n", "three\n"):
        steady.write(text)
        steady.flush()
    assert other.getvalue().splitlines()[1:] == ["two", "three"]
    assert steady.failed


def test_a_reader_that_left_is_told_nothing_more_and_nobody_else_is() -> None:
    other = io.StringIO()
    steady: Any = SteadyStream(Full(0, BrokenPipeError(errno.EPIPE, "Broken pipe")), other)
    for _ in range(3):
        print("text", file=steady, flush=True)
    assert other.getvalue() == ""
    assert not steady.failed
