"""The options that the load test adds to Locust's, on the command line and in its web UI, and how they are checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.scenario import Scenario
from shared.system.outputs import check_output
from shared.wire.target import DEFAULT_PATH, Target, parse_target

if TYPE_CHECKING:
    from argparse import Namespace

    from locust.argument_parser import LocustArgumentParser

DEFAULT_SPAWN_RATE = 500
"""Users a second; spread evenly over it, they fit into a listen backlog of 128."""
DEFAULT_HOST = "ws://127.0.0.1:8000"
MAX_ECHO_BYTES = 1024 * 1024
LEAST_EXTRA = 100
"""They come in ten steps, and fewer than ten connections take no more than a few pages of memory."""

RUN_TIME_IS_OURS = "a run ends by itself; right would be --duration, the seconds that are measured"

Scenarios = Mapping[str, Scenario]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The options of one run."""

    target: Target
    scenario_name: str
    scenario: Scenario
    users: int
    spawn_rate: float
    warm_up_s: float
    duration_s: float
    connect_timeout_s: float
    room_size: int
    """0: all connections are in the room of the target."""
    share_percent: float
    echo_rate_hz: float
    """Messages a second; 0: a closed loop, in which each is sent when the last came back."""
    echo_bytes: int
    out: Path | None
    extra_connections: int = 0
    """Connections made after the measured window, to weigh the memory of one; 0: none."""


def add_arguments(parser: LocustArgumentParser, scenarios: Scenarios) -> None:
    """Add our arguments to Locust's parser."""
    about = "; ".join(f"{name}: {scenario.about}" for name, scenario in scenarios.items())
    parser.set_defaults(host=DEFAULT_HOST, spawn_rate=DEFAULT_SPAWN_RATE)
    # On the parser itself: the web UI does not show arguments of a group.
    parser.add_argument("--scenario", choices=list(scenarios), default="steady", help=about)
    numbers: tuple[tuple[str, type, float, str, str], ...] = (
        ("--warm-up", float, 2.0, "SECONDS", "seconds after the ramp that are not measured"),
        ("--duration", float, 10.0, "SECONDS", "seconds after the warm-up that are measured"),
        ("--connect-timeout", float, 10.0, "SECONDS", "seconds in which a connection must get its first tick frame"),
        ("--room-size", int, -1, "N", "connections a room; 0: all in the room of the URL; -1: as the scenario has it"),
        ("--share", float, 10.0, "PERCENT", "percent of the users that stall, or that come and go"),
        ("--echo-rate", float, 20.0, "HZ", "messages a second of an echo user; 0: each when the last came back"),
        ("--echo-bytes", int, 430, "BYTES", "length of an echo message"),
        (
            "--memory",
            int,
            0,
            "CONNECTIONS",
            "connections made after the measured window, to weigh the memory of one; 0: none, 1000: a good number",
        ),
    )
    for flag, kind, default, unit, words in numbers:
        parser.add_argument(flag, type=kind, default=default, metavar=unit, help=words)
    parser.add_argument(
        "--out", default="", metavar="FILE", help="where the summary (JSON) is written", include_in_web_ui=False
    )


def foreign_settings(parser: LocustArgumentParser) -> list[str]:
    """Return in words what the last parse took from files and environment variables, a line for each source."""
    sources: dict[str, dict[str, tuple[Any, Any]]] = parser.get_source_to_settings_dict()
    names = {source: source.partition("|")[2] or "variables" for source in sources}
    return [
        f"set by {names[source]}: {', '.join(f'{name} = {value}' for name, (_, value) in settings.items())}"
        for source, settings in sources.items()
        if source.startswith(("config_file", "environment_variables")) and settings
    ]


def check_locust(parsed: Namespace, scenarios: Scenarios) -> None:
    """
    Refuse arguments of Locust's own that would change what a run is.

    Raises:
        ValueError: one is given; the message says what would be right.

    """
    if parsed.run_time:
        raise ValueError(f"--run-time {parsed.run_time}: {RUN_TIME_IS_OURS}")
    if parsed.user_classes:
        names = ", ".join(parsed.user_classes)
        plays = [name for name, scenario in scenarios.items() if scenario.user.__name__ in parsed.user_classes]
        right = " or ".join(f"--scenario {name}" for name in plays) or "--scenario"
        raise ValueError(f"{names}: the scenario says who comes, no user class; right would be {right}")
    for name in ("class_picker", "tags", "exclude_tags", "config_users"):
        if getattr(parsed, name):
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{flag}: the scenario says who comes and what they do; right would be --scenario")


def read_options(parsed: Namespace, users: int | str, scenarios: Scenarios) -> LoadOptions:
    """
    Return the options of a run, from the command line or from the form of the web UI.

    Raises:
        ValueError: one can't be used; the message says what would be right.

    """
    scenario = _scenario(parsed.scenario, scenarios)
    room_size = int(_number("--room-size", parsed.room_size, -1, 1e9))
    options = LoadOptions(
        target=_target(parsed.host or DEFAULT_HOST, scenario),
        scenario_name=parsed.scenario,
        scenario=scenario,
        users=int(_number("--users", users, 1)),
        spawn_rate=_number("--spawn-rate", parsed.spawn_rate or DEFAULT_SPAWN_RATE, 0.01),
        warm_up_s=_number("--warm-up", parsed.warm_up, 0),
        duration_s=_number("--duration", parsed.duration, 1),
        connect_timeout_s=_number("--connect-timeout", parsed.connect_timeout, 0.1),
        room_size=scenario.room_size if room_size < 0 else room_size,
        share_percent=_number("--share", parsed.share, 0, 100),
        echo_rate_hz=_number("--echo-rate", parsed.echo_rate, 0, 10_000),
        echo_bytes=int(_number("--echo-bytes", parsed.echo_bytes, 0, MAX_ECHO_BYTES)),
        out=Path(parsed.out) if parsed.out else None,
        extra_connections=int(_number("--memory", parsed.memory, 0, 100_000)),
    )
    if 0 < options.extra_connections < LEAST_EXTRA:
        raise ValueError(f"--memory {options.extra_connections}: right would be 0, or {LEAST_EXTRA} and more")
    if options.out is not None:
        check_output("--out", options.out)
    return options


def _scenario(name: str, scenarios: Scenarios) -> Scenario:
    if name not in scenarios:
        raise ValueError(f"--scenario {name}: no such scenario; right would be one of {', '.join(scenarios)}")
    return scenarios[name]


def _target(url: str, scenario: Scenario) -> Target:
    target = parse_target(url)
    if scenario.path is not None and target.path == DEFAULT_PATH:
        return replace(target, path=scenario.path)
    return target


def _number(flag: str, text: Any, least: float, most: float = 1e9) -> float:
    """Return a number that may have come from a form, as text."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not least <= value <= most:
        bounds = f"a number of at least {least:g}" if most == 1e9 else f"a number from {least:g} to {most:g}"
        raise ValueError(f"{flag} {text}: right would be {bounds}")
    return value
