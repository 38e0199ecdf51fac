import argparse
import os
from argparse import Namespace
from pathlib import Path
from typing import Any, cast

import pytest

from loadtests.options import (
    DEFAULT_HOST,
    SPAWN_RATE,
    LoadOptions,
    add_arguments,
    check_locust,
    read_options,
)
from loadtests.scenario import Scenario

SCENARIOS = {
    "steady": Scenario("everybody watches", user=object, in_slots=True, reconnects=False),
    "players": Scenario("everybody plays", user=object, room_size=10, in_slots=True),
    "echo": Scenario("messages come back", user=object, path="/echo"),
    "deploy": Scenario("who is sent away comes back", user=object, room_size=10, reconnects=True),
}


class Parser(argparse.ArgumentParser):
    """As much of Locust's parser as ours has a use for."""

    def add_argument(self, *flags: Any, include_in_web_ui: bool = True, **settings: Any) -> Any:
        self.hidden = [*getattr(self, "hidden", ()), *(() if include_in_web_ui else flags)]
        return super().add_argument(*flags, **settings)


@pytest.fixture
def parser() -> Parser:
    parser = Parser(exit_on_error=False)
    add_arguments(cast("Any", parser), SCENARIOS)
    return parser


def parsed(**changes: object) -> Namespace:
    asked = {
        "host": "http://127.0.0.1:8000",
        "scenario": "steady",
        "spawn_rate": None,
        "warm_up": 2.0,
        "duration": 10.0,
        "connect_timeout": 10.0,
        "room_size": -1,
        "share": 10.0,
        "echo_rate": 20.0,
        "echo_bytes": 430,
        "memory": 0,
        "deflate": "on",
        "beside": "",
        "header": None,
        "insecure": False,
        "out": "",
        "slots": False,
        "reconnect": False,
    }
    return Namespace(**(asked | changes))


def options(**changes: object) -> LoadOptions:
    return read_options(parsed(**changes), 1, SCENARIOS)


# The command line


def test_the_defaults_can_be_done(parser: Parser) -> None:
    defaults = read_options(parser.parse_args([]), 3, SCENARIOS)
    assert defaults == LoadOptions(
        target=defaults.target,
        scenario_name="steady",
        scenario=SCENARIOS["steady"],
        users=3,
        spawn_rate=SPAWN_RATE.default,
        warm_up_s=2.0,
        duration_s=10.0,
        connect_timeout_s=10.0,
        room_size=0,
        share_percent=10.0,
        echo_rate_hz=20.0,
        echo_bytes=430,
        out=None,
    )
    assert defaults.target.url == f"{DEFAULT_HOST}/connect"


def test_every_argument_is_a_word_of_the_options(parser: Parser, tmp_path: Path) -> None:
    flags = (
        f"--scenario echo --warm-up 1 --duration 4 --connect-timeout 5 --room-size 7 --share 25.5 --echo-rate 0 "
        f"--echo-bytes 100 --memory 500 --out {tmp_path}/out.json"
    )
    asked = read_options(parser.parse_args(flags.split()), 1, SCENARIOS)
    assert (asked.scenario_name, asked.warm_up_s, asked.duration_s, asked.connect_timeout_s) == ("echo", 1, 4, 5)
    assert (asked.room_size, asked.share_percent, asked.echo_rate_hz, asked.echo_bytes) == (7, 25.5, 0, 100)
    assert (asked.extra_connections, asked.out) == (500, tmp_path / "out.json")


def test_the_help_tells_what_the_scenarios_are(parser: Parser) -> None:
    text = " ".join(parser.format_help().split())
    for name, scenario in SCENARIOS.items():
        assert f"{name}: {scenario.about}" in text


def test_a_web_ui_can_neither_name_a_file_nor_give_orders(parser: Parser) -> None:
    assert parser.hidden == ["--header", "--insecure", "--reconnect", "--beside", "--workers", "--out", "--slots"]


def test_an_unknown_scenario_is_refused_at_once(parser: Parser) -> None:
    with pytest.raises(argparse.ArgumentError, match="invalid choice: 'storm'"):
        parser.parse_args(["--scenario", "storm"])


# What it means


def test_what_was_asked_for(tmp_path: Path) -> None:
    asked = read_options(parsed(out=str(tmp_path / "out.json"), duration="3", host=None), 7, SCENARIOS)
    assert asked.target.url == "ws://127.0.0.1:8000/connect"
    assert (asked.users, asked.spawn_rate, asked.duration_s) == (7, SPAWN_RATE.default, 3.0)
    assert asked.out == tmp_path / "out.json"
    assert asked.scenario is SCENARIOS["steady"]
    assert options().out is None


def test_a_form_sends_text() -> None:
    asked = options(room_size="5", share="12.5", echo_rate="0", echo_bytes="64", spawn_rate="50")
    assert (asked.room_size, asked.share_percent, asked.echo_rate_hz, asked.echo_bytes) == (5, 12.5, 0.0, 64)
    assert asked.spawn_rate == 50


def test_the_size_of_rooms_is_the_scenario_s_unless_it_is_given() -> None:
    assert options().room_size == 0
    assert options(scenario="players").room_size == 10
    assert options(scenario="players", room_size=0).room_size == 0
    assert options(scenario="players", room_size=3).room_size == 3


def test_an_echo_has_a_path_of_its_own() -> None:
    assert options(scenario="echo").target.url == "ws://127.0.0.1:8000/echo"
    assert options(scenario="echo", host="ws://h:1/other").target.url == "ws://h:1/other"
    assert options(host="ws://h:1/?room=a").target.url == "ws://h:1/connect?room=a"


def test_what_is_beside_the_game_is_beside_it_under_a_prefix_too() -> None:
    assert options(scenario="echo", host="wss://h/game/connect").target.url == "wss://h:443/game/echo"


def test_clients_are_as_browsers_are_unless_they_are_told_not_to_be() -> None:
    assert options().deflate
    assert not options(deflate="off").deflate
    assert options().target.verifies
    assert not options(insecure=True).target.verifies


def test_users_come_back_where_they_are_asked_to_or_their_scenario_is_about_it() -> None:
    assert not options().reconnects
    assert options(reconnect=True).reconnects
    assert options(scenario="deploy").reconnects


def test_workers_that_have_rooms_of_their_own_can_tell_their_lives_apart() -> None:
    assert options(scenario="deploy", processes=2).reconnects
    for several in ({"processes": 2}, {"master": True}, {"worker": True}):
        with pytest.raises(ValueError, match=r"--reconnect: workers that share a room .* right would be --room-size"):
            options(reconnect=True, **several)


def test_headers_go_with_every_request() -> None:
    login = ("Authorization", "Basic bWU6c2VjcmV0")
    target = options(header=["A: b", "C: d"], host="ws://me:secret@h:1").target
    assert target.headers == (login, ("A", "b"), ("C", "d"))
    hidden = read_options(parsed(header=["A: b"], host="ws://h:1"), 1, SCENARIOS, (login,)).target
    assert hidden.headers == (login, ("A", "b"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"host": "x"}, "not a WebSocket URL"),
        ({"deflate": "zip"}, "--deflate zip: right would be one of on, off$"),
        ({"header": ["A"]}, "--header no header; right would be 'Name: value'$"),
        ({"beside": "1,x"}, "--beside 1,x: 'x' is no process; right would be numbers with commas between them$"),
        ({"beside": "999999999"}, "--beside 999999999: there is no process 999999999$"),
        ({"header": "Host: x"}, "--header Host: the handshake says it itself; leave it out$"),
        ({"scenario": "storm of the century"}, "right would be one of steady, players, echo, deploy"),
        (
            {"scenario": "echo", "reconnect": True},
            "--reconnect: users of scenario echo come and go by plan, or never; right would be one of steady, deploy$",
        ),
        ({"duration": 0.5}, "--duration 0.5: right would be a number from 1 to 86400$"),
        ({"duration": "soon"}, "--duration soon: right would be a number from 1 to 86400$"),
        ({"duration": None}, "--duration None"),
        ({"warm_up": -1.0}, "--warm-up -1.0: right would be a number from 0 to 86400$"),
        ({"warm_up": float("inf")}, "--warm-up inf"),
        ({"connect_timeout": float("nan")}, "--connect-timeout nan: right would be a number from 0.1 to 86400$"),
        ({"spawn_rate": -3}, "--spawn-rate -3: right would be a number from 0.01 to 1e\\+06$"),
        ({"room_size": -2}, "--room-size -2: right would be a number from -1 to 100000$"),
        ({"room_size": "ten"}, "--room-size ten"),
        ({"share": -0.1}, "--share -0.1: right would be a number from 0 to 100$"),
        ({"share": 100.1}, "--share 100.1: right would be a number from 0 to 100$"),
        ({"echo_rate": -1}, "--echo-rate -1: right would be a number from 0 to 10000$"),
        ({"echo_rate": 10_001}, "--echo-rate 10001: right would be a number from 0 to 10000$"),
        ({"echo_bytes": -1}, "--echo-bytes -1: right would be a number from 0 to 1"),
        ({"echo_bytes": 1024 * 1024 + 1}, "--echo-bytes 1048577"),
        ({"memory": -1}, "--memory -1: right would be a number from 0 to 100000$"),
        ({"memory": 99}, "--memory 99: right would be 0, or 100 and more$"),
        ({"out": "/"}, "--out / is a folder; give a file in it"),
        ({"out": "/no/such/folder/out.json"}, "there is no folder"),
    ],
)
def test_what_cannot_be_done(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        options(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": 1, "warm_up": 0, "connect_timeout": 0.1, "spawn_rate": 0.01},
        {"room_size": 0, "share": 0, "echo_rate": 0, "echo_bytes": 0},
        {"memory": 0},
        {"memory": 100},
        {"share": 100, "echo_rate": 10_000, "echo_bytes": 1024 * 1024},
    ],
)
def test_the_bounds_themselves_can_be_done(changes: dict[str, float]) -> None:
    asked = options(**changes)
    names = {"duration": "duration_s", "warm_up": "warm_up_s", "connect_timeout": "connect_timeout_s"}
    names |= {"share": "share_percent", "echo_rate": "echo_rate_hz", "memory": "extra_connections"}
    for name, value in changes.items():
        assert getattr(asked, names.get(name, name)) == value


# Locust's own arguments

UNSET: dict[str, object] = {
    "run_time": None,
    "user_classes": [],
    "class_picker": False,
    "tags": None,
    "exclude_tags": None,
    "slots": False,
    "reconnect": False,
    "headless": True,
    "processes": None,
    "master": False,
    "worker": False,
    "scenario": "steady",
}


class Sleeper:
    """Somebody who could come."""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"run_time": 5}, "--run-time 5: a run ends by itself; right would be --duration"),
        ({"user_classes": ["Sleeper"]}, "Sleeper: .* right would be --scenario idle$"),
        ({"user_classes": ["Sleeper", "Nobody"]}, "Sleeper, Nobody: the scenario says who comes"),
        ({"user_classes": ["wss://me:secret@x"]}, "^wss://x: the scenario says who comes"),
        ({"class_picker": True}, "--class-picker: the scenario says who comes .*; right would be --scenario"),
        ({"tags": ["quick"]}, "--tags: "),
        ({"exclude_tags": ["quick"]}, "--exclude-tags: "),
        ({"config_users": [[{"user_class_name": "Sleeper"}]]}, "--config-users: "),
    ],
)
def test_what_of_locust_s_would_make_another_run_is_refused(changes: dict[str, object], why: str) -> None:
    scenarios = {**SCENARIOS, "idle": Scenario("nobody says a word", user=Sleeper)}
    unset = {**UNSET, "config_users": None}
    check_locust(Namespace(**unset), scenarios)
    with pytest.raises(ValueError, match=why):
        check_locust(Namespace(**(unset | changes)), scenarios)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"scenario": "players"}, ""),
        ({"scenario": "echo"}, "scenario echo has a course of its own; right would be one of steady, players$"),
        ({"headless": False}, "right would be --headless, too$"),
        ({"reconnect": True}, "right would be no --reconnect$"),
        ({"processes": 1}, "right would be no --workers$"),
        ({"master": True}, "right would be no --workers$"),
        ({"worker": True}, "right would be no --workers$"),
    ],
)
def test_slots_need_a_load_without_a_course_in_one_process_that_hears_orders(
    changes: dict[str, object], why: str
) -> None:
    asked = {**UNSET, "config_users": None, **changes}
    check_locust(Namespace(**asked), SCENARIOS)
    if not why:
        check_locust(Namespace(**asked | {"slots": True}), SCENARIOS)
        return
    with pytest.raises(ValueError, match=f"^--slots: .*{why}"):
        check_locust(Namespace(**asked | {"slots": True}), SCENARIOS)


def test_processes_that_are_there_on_purpose_are_named_by_their_numbers() -> None:
    assert options(beside=f"1, {os.getpid()}").beside == {1, os.getpid()}
    assert options().beside == frozenset()


def test_a_header_a_line_is_taken_from_a_variable() -> None:
    assert options(header="X-Key: 1, 2\nCookie: a=b").target.headers == (("X-Key", "1, 2"), ("Cookie", "a=b"))


@pytest.mark.parametrize("users", [0, -1, "", "many"])
def test_a_run_has_at_least_one_user(users: int | str) -> None:
    with pytest.raises(ValueError, match=f"--users {users}: right would be a number from 1 to 100000$"):
        read_options(parsed(), users, SCENARIOS)
