"""Settings that nobody gave with this run: ignored where a program asked for it, named where a person did."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.measure.summary import read_summary
from tests.loadtests.conftest import PATIENCE_S, ROOT, load_command, planted
from tests.support.planted_law import Law

PARSE = """
import json, sys
from locust import argument_parser, events
from loadtests.locust_hooks import install
from loadtests.scenarios import all_scenarios
install(events, all_scenarios())
for words in json.loads(sys.argv.pop()):
    sys.argv[1:] = words
    parsed = argument_parser.get_parser(default_config_files=()).parse_args()
    master = [parsed.master_bind_host, parsed.master_bind_port, parsed.master_host, parsed.master_port]
    print(json.dumps([*master, parsed.web_host]))
"""


def parsed(*commands: str) -> list[list[Any]]:
    words = json.dumps([command.split() for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", PARSE, words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_workers_of_one_run_meet_on_a_port_of_their_own_on_loopback() -> None:
    own, again = parsed("--processes 2"), parsed("--processes 2 --users 3")
    ((host, port, worker_host, worker_port, _),) = own
    assert host == worker_host == "127.0.0.1"
    assert port == worker_port != 5557
    assert again[0][1] != port


def test_workers_from_elsewhere_meet_where_they_are_asked_to() -> None:
    master, everywhere, given, both = parsed(
        "--master",
        "--master --master-bind-host *",
        "--processes 2 --master-bind-host 0.0.0.0",
        "--processes 2 --master-bind-port 7000 --master-port 7000",
    )
    assert master[:2] == ["127.0.0.1", 5557]
    assert everywhere[:2] == ["*", 5557]
    assert given[:4] == ["0.0.0.0", 5557, "127.0.0.1", 5557]  # noqa: S104 - it is what was asked for
    assert both[:4] == ["127.0.0.1", 7000, "127.0.0.1", 7000]


def test_the_web_ui_is_there_for_others_only_where_that_is_asked_for() -> None:
    by_default, everywhere, given = parsed("", "--web-host *", "--web-host 192.0.2.1")
    assert (by_default[-1], everywhere[-1], given[-1]) == ("127.0.0.1", "*", "192.0.2.1")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Make a folder, somebody's home too, whose settings are for another load."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("locust.conf", ".locust.conf"):
        (folder / name).write_text("room-size = 1\nmaster = true\n", "utf-8")
    (folder / "pyproject.toml").write_text("[tool.locust]\nspawn-rate = 1\n", "utf-8")
    for name in ("shared", "loadtests", "numpy", "msgspec"):
        (folder / f"{name}.py").write_text("raise RuntimeError('not this one')\n", "utf-8")
    return folder


def test_two_loads_at_once_are_what_was_asked_for_whatever_stands_there(elsewhere: Path, tmp_path: Path) -> None:
    foreign = {"HOME": str(elsewhere), "LOCUST_RUN_TIME": "1s", "LOCUST_USER_CLASSES": "Sleeper", "LOCUST_MASTER": "1"}
    with planted(Law(), tmp_path) as server:
        command = [sys.executable, "-m", "tickbench", "load", server.url, "--users", "20", "--workers", "2"]
        command += ["--duration", "1", "--warm-up", "1"]
        loads = [
            subprocess.Popen(
                [*command, "--out", f"{number}.json"],
                cwd=elsewhere,
                env={**os.environ, **foreign},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(2)
        ]
        errors = [process.communicate(timeout=PATIENCE_S)[1] for process in loads]
    assert all(process.returncode in {0, 3} for process in loads), errors
    for number in range(2):
        summary = read_summary((elsewhere / f"{number}.json").read_bytes())
        assert (summary.connections.connected, summary.generator.workers) == (20, 2)
    assert server.meta().rooms == ["main"]


def test_a_person_who_starts_locust_is_told_what_else_was_set(elsewhere: Path) -> None:
    (elsewhere / ".locust.conf").write_text("room-size = 1\n", "utf-8")
    (elsewhere / "locust.conf").write_text("scenario = idle\n", "utf-8")
    done = subprocess.run(
        load_command("--host", "http://127.0.0.1:1"),
        cwd=elsewhere,
        env={
            **os.environ,
            "HOME": str(elsewhere),
            "LOCUST_USERS": "3",
            "LOCUST_HOST": "ws://me:secret@127.0.0.1:1",
            "TICKBENCH_LOAD_HEADER": "Cookie: secret",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert f"set by {elsewhere}/.locust.conf: room-size = 1" in done.stderr
    assert "set by locust.conf: scenario = idle" in done.stderr
    assert "LOCUST_USERS = 3" in done.stderr
    assert "secret" not in done.stdout + done.stderr
