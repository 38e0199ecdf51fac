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
from tickbench.conformance.fitness import judge_fitness
from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import CheckResult, Conformance


def test_the_checks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conformance", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(check for check in CHECKS if check.grade == "measurement")
    assert lines[0].startswith("measurement: ")
    assert lines[1].split() == [first.name, *first.promise.split()]
    assert {line.split()[0] for line in lines} >= {check.name for check in CHECKS}


def test_a_list_can_be_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conformance", "--list", "--only", "pong", "--only", "binary"]) == 0
    words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert words == ["measurement:", "pong", "hardening:", "binary"]


def test_a_server_that_conforms(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    with run_server("gevent") as server:
        only = ["--only", "handshake-first", "--only", "binary", "--only", "busy"]
        assert cli.main(["conformance", server.url, *only, "--json", str(file)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in (out[0], out[2])] == ["measurement:", "hardening:"]
    assert [line.split()[:2] for line in (out[1], out[3])] == [["ok", "handshake-first"], ["ok", "binary"]]
    assert out[4].startswith("not tried  busy ")
    assert out[5].startswith("3 checks in ")
    assert out[5].endswith("2 ok, 0 faults, 1 not tried")
    assert out[6].startswith("fit to be measured: not known (")
    assert out[6].endswith(" checks of measurement were left out)")
    assert len(out) == 7
    found = msgspec.json.decode(file.read_bytes(), type=Conformance)
    assert [(result.name, result.level) for result in found.checks] == [
        ("handshake-first", "ok"),
        ("binary", "ok"),
        ("busy", "not tried"),
    ]
    assert [result.grade for result in found.checks] == ["measurement", "hardening", "hardening"]
    assert found.is_fit is None
    assert found.url == server.url.replace("http", "ws") + "/connect"
    assert json.loads(file.read_bytes())["schema"] == "tickbench.conformance/1"


def test_a_server_that_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    with run_server("asyncio", plant="1002 for binary") as server:
        assert cli.main(["conformance", server.url, "--only", "binary", "--only", "large"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("interoperability: ")
    assert out[1].startswith("ok         large")
    assert out[2].startswith("hardening: ")
    assert out[3] == "fault      binary  a binary message: the server closed with 1002 (text messages only)"
    assert out[4].strip() == "right would be: close 1003"
    assert out[5].endswith("1 ok, 1 fault")


def test_whoever_breaks_what_figures_rest_on_is_not_fit_to_be_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with run_server("asyncio", plant="tick last") as server:
        assert cli.main(["conformance", server.url, "--only", "tick-first"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "fit to be measured: no (tick-first: fault)"


def test_what_figures_rest_on_was_looked_at_and_a_fault_of_hardening_is_none_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    needed = [word for check in CHECKS if check.grade == "measurement" for word in ("--only", check.name)]
    with run_server("asyncio", "--tick-budget", "0", plant="1002 for binary") as server:
        assert cli.main(["conformance", server.url, *needed, "--only", "binary"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[-2].endswith("1 fault")
    assert out[-1] == "fit to be measured: yes"


def test_checks_that_were_left_out_or_could_not_be_made_leave_no_server_fit() -> None:
    needed = [check for check in CHECKS if check.grade == "measurement"]
    made = [CheckResult(name=check.name, promise=check.promise, grade=check.grade, level="ok") for check in needed]
    assert judge_fitness(made, CHECKS) == (True, None)
    left_out = judge_fitness(made[1:], CHECKS)
    assert left_out == (None, f"1 of {len(needed)} checks of measurement were left out")
    untried = msgspec.structs.replace(made[0], level="not tried")
    assert judge_fitness([untried, *made[1:]], CHECKS) == (False, f"{needed[0].name}: not tried")


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
