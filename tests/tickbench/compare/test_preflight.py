"""All that a suite would start is looked at before its first run, and what is wrong is one line."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.tickbench.compare.test_compare import wait_for_children
from tickbench import cli
from tickbench.children.checking import CommandLine, check_command_lines
from tickbench.children.commands import LOAD_TEST, Commands, check_command
from tickbench.children.processes import Nursery
from tickbench.compare.plan import next_run
from tickbench.compare.preflight import NOWHERE, check_settings, command_lines
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import CapacitySearch, Side, Suite, load_suite
from tickbench.compare.trial import Trial
from tickbench.errors import InputError
from tickbench.machine.pinning import Pinning

ROOT = Path(__file__).parents[3]
Tickbench = Callable[..., subprocess.CompletedProcess[str]]
UNASKED = Commands(check=None)
ANSWERS = """
import json, sys
lines = json.loads(sys.stdin.readline())
print(json.dumps(["no such thing." if "{word}" in line else None for line in lines]))
"""


def asking(word: str) -> Commands:
    """Have the children complain of every command line that has a word."""
    return Commands(check=lambda _: [sys.executable, "-c", ANSWERS.format(word=word)])


def test_every_arm_of_every_part_is_asked_about_once(whole_suite: Suite) -> None:
    lines = list(command_lines(whole_suite))
    assert len({(line.module, *line.arguments) for line in lines}) == len(lines)
    servers = {line.whose: line for line in lines if line.module.startswith("backends.")}
    assert "the side 'heavy', arm 'asyncio:mode=process'" in servers
    heavy = servers["the side 'heavy', arm 'gevent'"]
    assert (heavy.module, heavy.arguments[2:]) == ("backends.gevent_server", ["--bots", "10", "--bot-steps", "9"])
    loads = [line.whose for line in lines if line.module == "loadtests"]
    assert loads[0] == "the load of the blocks"
    assert "the load of the search 'arena'" in loads
    assert loads.count("the load of the side 'idle'") == 2


@pytest.mark.parametrize(
    ("word", "whose"),
    [
        ("naive", "arm 'asyncio:fanout=naive'"),
        ("--bot-steps", "the side 'heavy', arm "),
        ("players", "the load of the side 'players'"),
        ("--headless", "the load of the blocks"),
    ],
)
def test_a_complaint_says_what_of_the_suite_it_is_about(whole_suite: Suite, word: str, whose: str) -> None:
    with pytest.raises(InputError) as error:
        check_settings(whole_suite, asking(word))
    assert str(error.value).startswith(whose)
    assert str(error.value).endswith(": no such thing")


def test_a_suite_that_is_right_passes(whole_suite: Suite) -> None:
    check_settings(whole_suite, asking("nothing of it"))


def test_a_program_that_cannot_say_anything_is_a_complaint(whole_suite: Suite) -> None:
    script = "import sys; sys.exit('error: the backend asyncio needs the package aiohttp, which is not installed')"
    with pytest.raises(
        InputError, match="arm 'asyncio:fanout=naive' cannot be started: the backend asyncio needs the "
    ):
        check_settings(whole_suite, Commands(check=lambda _: [sys.executable, "-c", script]))


def test_a_server_that_runs_already_must_answer(suite: Suite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"url=ws://127.0.0.1:{listener.getsockname()[1]}/connect"
        check_settings(msgspec.structs.replace(suite, arms=[url]), UNASKED)
    with pytest.raises(InputError, match=r"arm 'url=ws://127.0.0.1:\d+/connect': nobody answers there .*; start that"):
        check_settings(msgspec.structs.replace(suite, arms=[url]), UNASKED)


def test_a_command_must_be_there(suite: Suite) -> None:
    named = msgspec.structs.replace(suite, arms=["mine"], commands={"mine": "no-such-program --port {port}"})
    with pytest.raises(InputError, match="command 'mine': there is no program 'no-such-program'; install it"):
        check_settings(named, UNASKED)
    check_settings(msgspec.structs.replace(named, commands={"mine": f"{sys.executable} x.py {{port}}"}), UNASKED)


def test_a_misspelt_setting_ends_a_comparison_before_its_first_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", "--arm", "asyncio", "--arm", "gevent:fanout=nave"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("error: arm 'gevent:fanout=nave': Invalid value for '--fanout': 'nave' is not one of ")
    assert list(tmp_path.iterdir()) == [], "no folder is made for it"


@pytest.mark.parametrize(
    ("flag", "value", "right"),
    [
        ("spawn-rate", 0, "right would be a number from 0.01 to "),
        ("spawn-rate", "fast", "invalid float value: 'fast'"),
        ("spawn-rate", float("inf"), "right would be a number from 0.01 to "),
        ("memory", 99, "right would be 0, or 100 and more"),
    ],
)
def test_a_flag_of_the_load_that_cannot_be_is_refused_by_the_load_test(
    suite: Suite, flag: str, value: float | str, right: str
) -> None:
    with pytest.raises(InputError, match=f"^the load of the blocks: .*--{flag}.*: {right}"):
        check_settings(msgspec.structs.replace(suite, load={flag: value}), Commands())


def test_the_load_test_takes_what_a_step_of_a_search_in_slots_starts_it_with(suite: Suite, tmp_path: Path) -> None:
    search = CapacitySearch("arena", "steady", 6, 2, "reach>=0.999", budget_s=60, slot_s=0.5)
    step = next_run(RunIndex(msgspec.structs.replace(suite, searches=[search])), ["arena"])
    assert step is not None
    asked: list[str] = []

    def load(arguments: Sequence[str]) -> list[str]:
        asked.extend(arguments)
        return [sys.executable, "-c", ""]

    with Nursery() as nursery:
        trial = Trial(Pinning(None, None), Commands(load=load), lambda _: None)
        trial.start_generator(step, NOWHERE, nursery, tmp_path, in_slots=True)
    check_command_lines([CommandLine("a step", LOAD_TEST, ["--headless", *asked])], check_command, os.environ)


def test_a_load_that_has_a_course_of_its_own_is_not_cut_into_slots(suite: Suite) -> None:
    stormy = msgspec.structs.replace(suite, scenario="storm", slot_s=1)
    complaint = (
        r"^the load of the blocks, in slots \(slot_s = 1\): .*scenario storm has a course of its own; right would"
    )
    with pytest.raises(InputError, match=complaint):
        check_settings(stormy, Commands())


def test_an_interrupt_ends_whoever_is_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tickbench", "compare", "--suite", "quick", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as comparing:
        children = wait_for_children(comparing.pid, 3)
        comparing.send_signal(signal.SIGTERM)
        output, _ = comparing.communicate(timeout=20)
    assert comparing.returncode == 128 + signal.SIGTERM, output
    assert not [child for child in children if child.is_running()]
    assert list(tmp_path.iterdir()) == []


def test_the_suites_that_come_with_tickbench_are_right() -> None:
    quick, default, full, loops = map(load_suite, ("quick", "default", "full", "loops"))
    parts: list[Side] = []
    for suite in (default, full, loops):  # in one: each asking starts three interpreters
        own = Side("own", suite.scenario, suite.connections, 1, 0, load=suite.load, server=suite.server)
        parts += [msgspec.structs.replace(side, arms=side.arms or suite.arms) for side in [*suite.sides, own]]
    check_settings(msgspec.structs.replace(quick, sides=parts, searches=full.searches), Commands())
