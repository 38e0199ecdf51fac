import errno
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickbench import cli
from tickbench.arms import parse_arm
from tickbench.children.commands import Commands, load_command, load_flags, python_command, server_command

Tickbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["--nope"],
        ["serve"],
        ["serve", "twisted"],
        ["cluster"],
        ["cluster", "twisted", "--processes", "2"],
        ["cluster", "asyncio"],
        ["cluster", "asyncio", "--processes", "0"],
        ["cluster", "asyncio", "--processes", "2", "--tls", "/nonexistent.pem"],
        ["cluster", "asyncio", "--processes", "2", "--host", "192.0.2.1"],
        ["cluster", "asyncio", "--processes", "2", "--host", "0.0.0.0"],  # noqa: S104 # nobody listens
        ["cluster", "asyncio", "--processes", "2", "--seed", "7"],
        ["cluster", "asyncio", "--processes", "2", "--", "--port", "8001"],
        ["cluster", "asyncio", "--processes", "2", "--port", "0", "--render", "/nonexistent"],
        ["load"],
        ["load", "localhost"],
        ["load", "ftp://localhost"],
        ["load", "http://"],
        ["load", "http://[::1"],
        ["load", "http://localhost:99999"],
        ["load", "wss://localhost:99999"],
        ["load", "http://user:secret%0A@localhost"],
        ["load", "http://localhost", "--header", "Host: x"],
        ["load", "http://localhost", "--deflate", "zip"],
        ["load", "http://[fe80::1]:8000"],
        ["load", "http://a..b"],
        ["conformance", "http://user:secret@localhost"],
        ["conformance", "http://a..b"],
        ["compare", "--arm", "url=ws://user:secret@localhost"],
        ["load", "http://localhost", "--users", "many"],
        ["load", "http://localhost", "--users", "0"],
        ["load", "http://localhost", "--duration", "0"],
        ["load", "http://localhost", "--out", "/nonexistent/summary.json"],
        ["load", "http://localhost", "--nope"],
        ["conformance"],
        ["conformance", "localhost"],
        ["conformance", "wss://localhost"],
        ["conformance", "http://localhost/connect?room=a.b"],
        ["conformance", "http://127.0.0.1:1"],
        ["conformance", "http://127.0.0.1:1", "--only", "nope"],
        ["conformance", "http://127.0.0.1:1", "--json", "/nonexistent/found.json"],
        ["compare", "--suite", "nope"],
        ["compare", "--suite", "/nonexistent.toml"],
        ["compare", "--arm", "twisted"],
        ["compare", "--arm", "asyncio:x"],
        ["compare", "--out", __file__],
        ["compare", "--out", f"{__file__}/results"],
        ["compare", "left over"],
        ["report"],
        ["report", "/nonexistent"],
        ["doctor", "left over"],
        ["bench", "sockets"],
        ["bench", "--repeats", "1"],
        ["bench", "--json", "/nonexistent/bench.json"],
        ["bench", "--chart", "/nonexistent/bench.html"],
        ["bench", "timer", "--chart", "bench.html"],
        ["bench", "fanout", "--chart", "/dev/null", "--json", "/dev/null"],
    ],
)
def test_wrong_usage_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.main(arguments, Commands(check=None)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "; " in err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], *([verb, "--help"] for verb in cli.VERBS)])
def test_help_is_printed(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: tickbench")
    assert err == ""


def test_every_verb_says_in_a_line_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([])
    out = capsys.readouterr().out
    for verb in cli.VERBS:
        assert f"\n  {verb} " in out
    assert "..." not in out.partition("Commands:")[2]


def test_a_variable_stands_for_a_flag(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKBENCH_SUITE", "from-the-variable")
    assert cli.main(["compare"]) == 2
    assert "'from-the-variable'" in capsys.readouterr().err


def test_serve_becomes_the_backend_with_its_flags_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda _, command, __: became.append(command))
    cli.main(["serve", "gevent", "--port", "0", "--help", "-x", "--new=1"])
    assert became == [[*python_command("backends.gevent_server"), "--port", "0", "--help", "-x", "--new=1"]]


def test_an_arms_settings_come_before_the_suites() -> None:
    command = server_command(parse_arm("asyncio:fanout=naive,pad=5"), {"bots": 10, "pad": 1})
    assert command[-6:] == ["--bots", "10", "--pad", "5", "--fanout", "naive"]


def test_a_command_gets_its_port_and_its_phase_and_nothing_else() -> None:
    commands = {"told": "serve --at {port}+{phase} --pad 1", "untold": "serve {port}"}
    told, untold = (parse_arm(name, commands) for name in commands)
    assert server_command(told, {"bots": 10, "phase": 0.25}, 80) == ["serve", "--at", "80+0.25", "--pad", "1"]
    assert server_command(told, {"bots": 10}, 80) == ["serve", "--at", "80+0", "--pad", "1"]
    assert server_command(untold, {"phase": 0.25}, 80) == ["serve", "80"]


def test_load_is_started_with_what_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    flags = load_flags("ws://localhost:1", 7, out, scenario="steady", duration_s=1.5, warm_up_s=0.5, more={})
    command = load_command(flags)
    assert "--headless" in command
    assert command[command.index("--users") + 1] == "7"
    assert command[command.index("--host") + 1] == "ws://localhost:1"


def test_a_load_in_slots_is_told_by_each_order_how_long_it_is(tmp_path: Path) -> None:
    """The load test would refuse a --duration of less than a second."""
    flags = load_flags("ws://x:1", 7, tmp_path, scenario="steady", duration_s=0.5, warm_up_s=0, more={}, in_slots=True)
    assert "--slots" in flags
    assert not {"--duration", "--warm-up"} & set(flags)


def test_a_file_that_the_system_does_not_give_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", denied)
    assert cli.main(["report", "results/theirs"]) == 2
    line = "error: results/theirs/suite.json can't be used (Permission denied); look at its permissions, and its disk\n"
    assert capsys.readouterr().err == line
