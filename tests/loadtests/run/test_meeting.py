"""Master and workers that can't meet: what they say of it, and that they end."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loadtests.conftest import PATIENCE_S, load_command, start

IMPATIENT = """
from locust import runners

runners.CONNECT_TIMEOUT, runners.CONNECT_RETRY_COUNT = 0.1, 3
from loadtests.locustfile import *
"""

SILENT = "who listens there does not answer as Locust's master does"


@pytest.mark.parametrize(("listens", "why"), [(False, "connection refused"), (True, SILENT)])
def test_a_worker_says_why_it_finds_no_master(why: str, tmp_path: Path, *, listens: bool) -> None:
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(IMPATIENT)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if not listens:
            listener.close()
        worker = [sys.executable, "-m", "locust", "-f", str(locustfile), "--worker", "--master-port", str(port)]
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        with start(worker, streams=pipes) as process:
            try:
                _, stderr = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
    place = f"no master at 127.0.0.1:{port}"
    assert process.returncode == 1
    assert f"{place} yet: {why}; it is awaited for 0.3 s" in stderr
    *_, last = stderr.splitlines()
    assert last.startswith(f"{place} after 0.3 s: {why}; a master that workers on other hosts shall reach ")
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--worker", "--master-host", "no..such"], "--master-host no..such: no name of a host; right would be "),
        (
            ["--master", "--master-bind-host", "no..such"],
            "--master-bind-host no..such: no name of a host; right would ",
        ),
        (
            ["--master", "--master-bind-host", "192.0.2.1"],
            "--master-bind-host 192.0.2.1: cannot assign requested address (port 5557); right would be ",
        ),
    ],
)
def test_where_nobody_can_meet_is_said_in_one_line(words: list[str], why: str) -> None:
    command = load_command(*words)
    command.remove("--headless")
    with start(command, streams=dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)) as process:
        try:
            _, stderr = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 2
    assert stderr.splitlines()[-1].startswith(why)
    assert "Traceback" not in stderr
