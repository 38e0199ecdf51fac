"""What a cluster is started with: settings that are written, and what is wrong in one line before anything runs."""

import configparser
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tickbench import cli
from tickbench.cluster import programs, running
from tickbench.cluster.health import ask_haproxy
from tickbench.cluster.plan import HERE, Cluster
from tickbench.cluster.ports import inner_ports
from tickbench.cluster.programs import find_programs
from tickbench.cluster.rendering import COMPOSE_HAPROXY, HAPROXY, ini_word
from tickbench.errors import InputError, RunFailedError
from tickbench.machine.system import ephemeral_range

TWO = ("cluster", "asyncio", "--processes", "2")


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line with which wrong usage ends."""
    assert cli.main(list(words)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1), err
    assert "; " in err
    return err


def test_what_is_written_haproxy_takes_and_supervisord_reads(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "one"
    flags = ["--seed", "50% ;a 'b' #c", "--bots", "2"]
    assert cli.main([*TWO, "--port", "7000", "--render", str(folder), "--", *flags]) == 0
    assert str(folder) in capsys.readouterr().out
    for name in (HAPROXY, COMPOSE_HAPROXY):
        command = [find_programs()["haproxy"], "-c", "-f", name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr
    settings = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))  # as supervisord reads them
    settings.read(folder / "supervisord.conf", "utf-8")
    for number in (1, 2):
        program = settings[f"program:server-{number}"]
        command = shlex.split(program["command"].replace("%%", "%"))
        assert command[:4] == [sys.executable, "-P", "-m", "backends.asyncio_server"]
        assert command[4:8] == flags
        assert command[8:] == ["--port", str(7000 + number), "--host", HERE, "--trusted-proxy", HERE]
    compose = (folder / "compose.yaml").read_text("utf-8")
    assert re.findall(r"^  server-\d", compose, re.MULTILINE) == ["  server-1", "  server-2"]
    assert '"127.0.0.1:7000:8080"' in compose
    assert "is there already" in complaint(capsys, *TWO, "--render", str(folder))


def test_with_the_page_for_operators_haproxy_takes_what_is_written_too(tmp_path: Path) -> None:
    assert cli.main([*TWO, "--port", "7000", "--render", str(tmp_path / "new"), "--", "--monitor"]) == 0
    for name in (HAPROXY, COMPOSE_HAPROXY):
        command = [find_programs()["haproxy"], "-c", "-f", name]
        done = subprocess.run(command, cwd=tmp_path / "new", capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr
        assert (tmp_path / "new" / name).read_text("utf-8").count("\nbackend process-") == 2


def test_the_page_for_operators_is_asked_for_by_a_flag_or_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def asks(*flags: str) -> bool:
        return Cluster(
            backend="gevent",
            flags=flags,
            host=HERE,
            address=HERE,
            port=7000,
            ports=(7001,),
            whole_port=7002,
            certificate=None,
        ).has_monitor

    assert [asks(), asks("--echo", "--monitor")] == [False, True]
    for value, is_asked in (("1", True), ("no", False), ("", False)):
        monkeypatch.setenv("TICKBENCH_MONITOR", value)
        assert asks() is is_asked


def test_a_word_that_no_setting_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match="control characters"):
        ini_word("a\nb")


def test_what_a_server_refuses_is_said_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(capsys, *TWO, "--", "--tick-rate", "none")
    assert line.startswith("error: a server of asyncio: ")
    assert "--tick-rate" in line


def test_a_program_that_is_missing_is_named_with_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "find_program", {"haproxy": "/x", "supervisorctl": "/x"}.get)
    assert "supervisord is not installed; apt-get install supervisor would" in complaint(capsys, *TWO)
    monkeypatch.setattr(programs, "find_program", {}.get)
    assert "apt-get install haproxy supervisor would" in complaint(capsys, *TWO)
    monkeypatch.setattr(programs, "find_program", {"haproxy": "/x", "supervisorctl": "/x", "supervisord": "/x"}.get)
    line = complaint(capsys, *TWO, "--relay", "redis")
    assert "redis-server is not installed; apt-get install redis-server would" in line


def test_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is taken" in complaint(capsys, *TWO, "--port", port)


def test_a_certificate_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    line = complaint(capsys, *TWO, "--port", "0", "--tls", str(tmp_path / "no.pem"))
    assert "haproxy refuses its settings" in line
    assert "no.pem" in line


def test_servers_have_ports_that_nobody_is_given_by_chance() -> None:
    ports = inner_ports(5)
    assert len(set(ports)) == 5
    assert not set(ports) & set(ephemeral_range() or ())


def test_a_server_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "server-1.log").write_text("error: 7 is too much; 6 would be right\n")
    (tmp_path / "haproxy.log").write_text("[ALERT] it is no use\n")
    for log, kind, words in (
        ("INFO exited: server-1 (exit status 2; not expected)", InputError, "server-1: 7 is too much; 6 would be"),
        ("WARN exited: haproxy (exit status 1; not expected)", RunFailedError, "status 1 .* it is no use"),
        ("INFO spawnerr: no permission to run command '/x'", RunFailedError, "no permission"),
    ):
        match = running.ENDED.search(log)
        assert match
        with pytest.raises(kind, match=words):
            running._complain(tmp_path, match)


def test_where_nobody_is_there_is_nothing_to_ask(tmp_path: Path) -> None:
    assert ask_haproxy(tmp_path, "show stat") == ""
