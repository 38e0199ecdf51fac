import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.support.client import PATIENCE_S
from tests.support.server import run_server
from tickbench import cli
from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import Conformance


def test_the_checks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conformance", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [check.name for check in CHECKS]
    assert lines[0].endswith(CHECKS[0].promise)


def test_a_list_can_be_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conformance", "--list", "--only", "pong", "--only", "binary"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["pong", "binary"]


def test_a_server_that_conforms(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    with run_server("gevent") as server:
        only = ["--only", "handshake-first", "--only", "binary", "--only", "busy"]
        assert cli.main(["conformance", server.url, *only, "--json", str(file)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out[:2]] == [["ok", "handshake-first"], ["ok", "binary"]]
    assert out[2].startswith("not tried  busy ")
    assert out[3].startswith("3 checks in ")
    assert out[3].endswith("2 ok, 0 faults, 1 not tried")
    found = msgspec.json.decode(file.read_bytes(), type=Conformance)
    assert [(result.name, result.level) for result in found.checks] == [
        ("handshake-first", "ok"),
        ("binary", "ok"),
        ("busy", "not tried"),
    ]
    assert found.url == server.url.replace("http", "ws") + "/connect"
    assert json.loads(file.read_bytes())["schema"] == "tickbench.conformance/1"


def test_a_server_that_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    with run_server("asyncio", plant="1002 for binary") as server:
        assert cli.main(["conformance", server.url, "--only", "binary", "--only", "large"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("ok         large")
    assert out[1] == "fault      binary  a binary message: the server closed with 1002 (text messages only)"
    assert out[2].strip() == "right would be: close 1003"
    assert out[3].endswith("1 ok, 1 fault")


def test_an_interrupt_ends_it_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "tickbench", "conformance", url]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            silent.settimeout(PATIENCE_S)
            with silent.accept()[0], silent.accept()[0]:  # it has looked whether anybody listens, and asks now
                child.send_signal(signal.SIGINT)
                out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130
    assert b"Traceback" not in out + err
