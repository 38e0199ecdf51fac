"""A variable has one meaning, over every verb and both servers; where it is wrong, the message names it."""

import importlib
from collections.abc import Iterator

import click
import pytest

import shared.server.config
from loadtests.options import VARIABLES
from shared.server.config import LOOPS, fail_usage, parse_arguments
from shared.system.variables import with_variables
from tickbench import cli

MEANT_ALIKE = {
    "TICKBENCH_SLO": "objectives, of one run or of every arm",
    "TICKBENCH_HOST": "the address that is listened on, by one server or by HAProxy before several",
    "TICKBENCH_PORT": "its port; each server of a cluster is given one",
    "TICKBENCH_LOAD_HEADER": "headers of requests to a server that runs already",
    "TICKBENCH_LOAD_INSECURE": "whether any certificate of such a server is taken",
}
"""Variables that several verbs have, looked at: they mean the same."""


def all_options() -> Iterator[tuple[str, click.Parameter]]:
    """Yield each option with whose it is: of every verb and of the servers."""
    for name, place in cli.VERBS.items():
        module, _, attribute = place.partition(":")
        for parameter in getattr(importlib.import_module(module), attribute).params:
            yield f"tickbench {name}", parameter
    for backend in LOOPS:
        command = click.command(name=backend)(lambda **_: None)
        for option in shared.server.config._options(backend):
            option(command)
        for parameter in command.params:
            yield "serve", parameter


def test_a_variable_has_one_meaning() -> None:
    meanings = {variable: {("load test", flag)} for flag, variable in VARIABLES.items()}
    for whose, parameter in all_options():
        if isinstance(parameter.envvar, str):
            meanings.setdefault(parameter.envvar, set()).add((whose, parameter.opts[0]))
    ambiguous = {variable: places for variable, places in meanings.items() if len(places) > 1}
    assert set(ambiguous) == set(MEANT_ALIKE), ambiguous
    assert ("serve", "--tick-rate") in meanings["TICKBENCH_TICK_RATE"]
    assert meanings["TICKBENCH_WORKERS"] == {("serve", "--workers")}
    assert meanings["TICKBENCH_OUT"] == {("tickbench compare", "--out")}
    assert len(meanings) > 50


@pytest.mark.parametrize(
    ("variable", "text", "flag"),
    [
        ("TICKBENCH_PORT", "http", "--port"),
        ("TICKBENCH_FIELD", "9x9", "--field"),
        ("TICKBENCH_FANOUT", "nave", "--fanout"),
        ("TICKBENCH_BOTS", "50", "--bots"),
    ],
)
def test_serve_names_the_variable_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, text: str, flag: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SystemExit) as exited:
        parse_arguments("asyncio", [])
    err = capsys.readouterr().err
    assert exited.value.code == 2
    assert err.count("\n") == 1
    assert flag in err
    assert f"(set by the variable {variable}={text})" in err


@pytest.mark.parametrize(
    ("arguments", "variable", "text"),
    [
        (["compare"], "TICKBENCH_SUITE", "from-the-variable"),
        (["compare"], "TICKBENCH_ARM", "twisted"),
        (["compare"], "TICKBENCH_SLO", "lateness<1"),
        (["load", "http://127.0.0.1:1"], "TICKBENCH_USERS", "many"),
        (["load", "http://127.0.0.1:1"], "TICKBENCH_LOAD_OUT", "/nonexistent/out.json"),
        (["bench"], "TICKBENCH_REPEATS", "1"),
    ],
)
def test_every_verb_names_the_variable_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    variable: str,
    text: str,
) -> None:
    monkeypatch.setenv(variable, text)
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"(set by the variable {variable}={text})" in err


def test_what_was_typed_is_not_said_to_come_from_a_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKBENCH_USERS", "many")
    monkeypatch.setenv("TICKBENCH_SUITE", "quick")
    assert cli.main(["load", "http://127.0.0.1:1", "--users", "few"]) == 2
    assert cli.main(["compare", "--arm", "twisted"]) == 2
    monkeypatch.setenv("TICKBENCH_SCENARIO", "steady")
    assert cli.main(["load", "http://127.0.0.1:1", "--users", "3", "--slo", "e"]) == 2, "of whose name it is a part"
    assert "variable" not in capsys.readouterr().err
    assert with_variables("wrong", None) == "wrong"


def test_what_kubernetes_sets_for_a_service_called_tickbench_is_no_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKBENCH_PORT", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("TICKBENCH_SERVICE_HOST", "10.0.0.1")
    assert parse_arguments("gevent", []).port == 8000
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "TICKBENCH_PORT=tcp://10.0.0.1:8000 is what Kubernetes sets" in err
    assert parse_arguments("gevent", ["--port", "81"]).port == 81
    assert capsys.readouterr().err == ""


def test_a_service_s_address_that_is_typed_is_no_port(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments("asyncio", ["--port", "tcp://10.0.0.1:8000"])
    assert "--port" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        fail_usage("outside of any command")
