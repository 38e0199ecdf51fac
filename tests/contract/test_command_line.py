"""A bad command line is answered with one line that says what is wrong, and exit status 2."""

import http.client
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.server.config import parse_arguments
from tests.conftest import Arm
from tests.support.server import START_LIMIT_S, RunningServer, start

pytestmark = pytest.mark.differs()

BAD = {
    "port out of range": ["--port", "65536"],
    "port that is no number": ["--port", "http"],
    "field too small": ["--field", "19x11"],
    "field too large": ["--field", "1001x1"],
    "field without a height": ["--field", "50"],
    "tick rate 0": ["--tick-rate", "0"],
    "tick rate below 0": ["--tick-rate", "-1"],
    "tick rate that is no number": ["--tick-rate", "abc"],
    "tick rate that is not finite": ["--tick-rate", "inf"],
    "unknown flag": ["--no-such-flag"],
    "unknown mode": ["--mode", "none"],
    "a stray argument": ["stray"],
    "more bots than players": ["--bots", "11"],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_flags(arm: Arm, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as stop:
        parse_arguments(arm.backend, [*arm.flags, *BAD[name]])
    assert stop.value.code == 2
    assert_one_line(capsys.readouterr().err)


def test_bad_command_lines(arm: Arm, tmp_path: Path) -> None:
    assert_refused(
        arm,
        {
            "a bad flag": ["--tick-rate", "0"],
            "a bad sum": ["--bots", "11"],
            "a host that is not ours": ["--host", "192.0.2.1"],
        },
        tmp_path,
    )


def test_bad_scores_files(arm: Arm, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("this is no database\n" * 100)
    (tmp_path / "folder").mkdir()
    assert_refused(
        arm,
        {
            "no database": ["--scores", str(other)],
            "a folder": ["--scores", str(tmp_path / "folder")],
            "in no folder": ["--scores", str(tmp_path / "nowhere" / "scores.db")],
        },
        tmp_path,
    )
    assert other.read_text().startswith("this is no database\n"), "it was left as it was"


def test_a_port_in_use(arm: Arm, server: RunningServer, tmp_path: Path) -> None:
    assert_refused(arm, {"port in use": ["--port", str(server.address[1])]}, tmp_path)


def test_fewer_descriptors_than_a_server_takes_for_itself_are_one_line(arm: Arm) -> None:
    line = f"ulimit -n 40 && exec {shell_command(arm)}"
    root, command = Path(__file__).parents[2], ["/bin/bash", "-c", line]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_LIMIT_S, check=False, cwd=root)
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr)
    assert "no more than 40 files may be open here; a server needs 64, see ulimit -n" in done.stderr


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_a_server_whose_ready_line_cannot_be_written_says_it_on_stderr_and_serves(arm: Arm, redirection: str) -> None:
    line = f"exec {shell_command(arm)} {redirection}"
    root = Path(__file__).parents[2]
    with subprocess.Popen(["/bin/bash", "-c", line], stderr=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stderr
        said = process.stderr.readline()
        assert said.startswith("stdout can't be written (")
        connection = http.client.HTTPConnection(said.split("http://")[1].strip(), timeout=5)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        process.terminate()
        assert process.wait(START_LIMIT_S) == 0
        assert process.stderr.read() == ""


def shell_command(arm: Arm) -> str:
    return shlex.join([sys.executable, "-m", f"backends.{arm.backend}_server", "--port", "0", *arm.flags])


def assert_refused(arm: Arm, cases: dict[str, Sequence[str]], folder: Path) -> None:
    """Start a server for each, all at once, and check what it says."""
    with ExitStack() as stack:
        running = {}
        for name, flags in cases.items():
            running[name] = stack.enter_context(
                start([f"-mbackends.{arm.backend}_server"], [*arm.flags, *flags], folder / name)
            )
            stack.callback(running[name].kill)
        status = {name: process.wait(START_LIMIT_S) for name, process in running.items()}
    said = {name: (folder / name).read_text() for name in cases}
    assert status == dict.fromkeys(cases, 2), said
    for text in said.values():
        assert_one_line(text)


def assert_one_line(text: str) -> None:
    assert text.startswith("error: ")
    assert text.index("\n") == len(text) - 1, text
