"""
The options of a load run: each one's flag, default, bounds, unit, help and variable, stated here alone.

The load test adds them to Locust's, on the command line and in its web UI; ``tickbench load`` passes them on.
"""

from __future__ import annotations

import math
import re
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtests.scenario import Scenario
from shared.measure.load_time import DEFAULT_SPAWN_RATE, load_time_s
from shared.system.outputs import check_output
from shared.wire.target import DEFAULT_PATH, Header, Target, parse_header, parse_target, printable_url

if TYPE_CHECKING:
    from argparse import Namespace

    from locust.argument_parser import LocustArgumentParser

DEFAULT_HOST = "ws://127.0.0.1:8000"
DAY_S = 86_400
LEAST_EXTRA = 100
"""They come in ten steps, and fewer than ten connections take no more than a few pages of memory."""

RUN_TIME_IS_OURS = "a run ends by itself; right would be --duration, the seconds that are measured"

Scenarios = Mapping[str, Scenario]


@dataclass(frozen=True, slots=True)
class NumberOption:
    """A number that can be asked for, a whole one if its default is one; ``unit`` and ``words`` are for the help."""

    flag: str
    default: float
    unit: str
    words: str
    least: float = 0
    most: float = DAY_S
    given_variable: str = ""
    """The environment variable that stands for it; empty: TICKBENCH_ and the flag."""

    @property
    def name(self) -> str:
        """What a parser calls it."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that stands for it."""
        return self.given_variable or f"TICKBENCH_{self.name.upper()}"

    def read(self, text: Any) -> Any:
        """Return the value, which may come from a form as text; raise ValueError where it can't be used."""
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = math.nan
        if not self.least <= value <= self.most:
            raise ValueError(f"{self.flag} {text}: right would be a number from {self.least:g} to {self.most:g}")
        return type(self.default)(value)


def _number(flag: str, default: float, unit: str, words: str, **more: Any) -> Any:
    """Return a field whose value is a :class:`NumberOption` of the command line."""
    return field(default=default, metadata={"number": NumberOption(flag, default, unit, words, **more)})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """The options of one run."""

    target: Target
    scenario_name: str
    scenario: Scenario
    out: Path | None
    users: int
    spawn_rate: float
    warm_up_s: float = _number("--warm-up", 2.0, "SECONDS", "seconds after the ramp that are not measured")
    duration_s: float = _number("--duration", 10.0, "SECONDS", "seconds after the warm-up that are measured", least=1)
    connect_timeout_s: float = _number(
        "--connect-timeout", 10.0, "SECONDS", "seconds in which a connection must get its first tick frame", least=0.1
    )
    room_size: int = _number(
        "--room-size",
        -1,
        "N",
        "connections a room; 0: all in the room of the URL; -1: as the scenario has it",
        least=-1,
        most=100_000,
    )
    share_percent: float = _number(
        "--share", 10.0, "PERCENT", "percent of the users that stall, or that come and go", most=100
    )
    echo_rate_hz: float = _number(
        "--echo-rate", 20.0, "HZ", "messages a second of an echo user; 0: each when the last came back", most=10_000
    )
    echo_bytes: int = _number("--echo-bytes", 430, "BYTES", "length of an echo message", most=1024 * 1024)
    extra_connections: int = _number(
        "--memory",
        0,
        "CONNECTIONS",
        "connections made after the measured window, to weigh the memory of one; 0: none, 1000: a good number",
        most=100_000,
        given_variable="TICKBENCH_LOAD_MEMORY",
    )
    deflate: bool = True
    """Whether clients offer to take compressed messages, as browsers do."""
    beside: frozenset[int] = frozenset()
    """Processes that work beside the server on purpose, such as a proxy: what they take is no disturbance."""
    slots: bool = False
    """Whether the window is measured in slots, by orders on stdin."""
    reconnects: bool = False
    """Whether users come back when they are cut off, by ``--reconnect`` or their scenario."""

    @property
    def announcement(self) -> str:
        """What is about to be run, and about how long that takes: ``tickbench load`` waits accordingly."""
        takes_s = load_time_s(
            self.users,
            spawn_rate=self.spawn_rate,
            warm_up_s=self.warm_up_s,
            duration_s=self.duration_s,
            extra_connections=self.extra_connections,
        )
        weighing = f", {self.extra_connections} more to be weighed" if self.extra_connections else ""
        times = f"warm-up {self.warm_up_s:g} s, measuring {self.duration_s:g} s{weighing}"
        return f"{self.users} connections, {times}, takes {takes_s:.0f} s"


NUMBERS: dict[str, NumberOption] = {of.name: of.metadata["number"] for of in fields(LoadOptions) if of.metadata}
"""Those that are options of ours, by field."""
USERS = NumberOption("--users", 100, "N", "connections", least=1, most=100_000)
SPAWN_RATE = NumberOption("--spawn-rate", DEFAULT_SPAWN_RATE, "HZ", "connections begun a second", least=0.01, most=1e6)
"""Both flags are Locust's own: their words are ours, and their defaults on our command line."""
WORKERS = NumberOption(
    "--workers",
    1,
    "N",
    "processes that share the connections; one carries some 3,000 at 20 Hz",
    least=1,
    most=64,
    given_variable="TICKBENCH_LOAD_WORKERS",
)
VARIABLES = {of.flag: of.variable for of in (USERS, SPAWN_RATE, WORKERS, *NUMBERS.values())} | {
    "--scenario": "TICKBENCH_SCENARIO",
    "--deflate": "TICKBENCH_LOAD_DEFLATE",
    "--header": "TICKBENCH_LOAD_HEADER",
    "--insecure": "TICKBENCH_LOAD_INSECURE",
    "--reconnect": "TICKBENCH_LOAD_RECONNECT",
    "--beside": "TICKBENCH_LOAD_BESIDE",
}
SECRET: Final = frozenset(("--host", "-H", "--header"))
"""What may hold a password, so its value is told nobody."""


def add_arguments(parser: LocustArgumentParser, scenarios: Scenarios) -> None:
    """Add our arguments to Locust's parser."""
    about = "; ".join(f"{name}: {scenario.about}" for name, scenario in scenarios.items())
    parser.set_defaults(host=DEFAULT_HOST, spawn_rate=SPAWN_RATE.default)
    # On the parser itself: the web UI does not show arguments of a group.
    parser.add_argument("--scenario", choices=list(scenarios), default="steady", help=about)
    for of in NUMBERS.values():
        parser.add_argument(of.flag, type=type(of.default), default=of.default, metavar=of.unit, help=of.words)
    parser.add_argument(
        "--deflate",
        choices=("on", "off"),
        default="on",
        help="whether clients offer to take compressed messages (permessage-deflate), as browsers do",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=None,
        metavar="HEADER",
        help="a header of every request, as 'Name: value'; may be given several times, in the variable a line each",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="take any certificate of a wss:// server, trusted or not",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--reconnect",
        action="store_true",
        help="users who are cut off come back as the page does, after a pause of full jitter; what they missed is told",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--beside",
        default="",
        metavar="PID,...",
        help="processes that work beside the server on purpose, such as a proxy: what they take is no disturbance",
        include_in_web_ui=False,
    )
    parser.add_argument(
        WORKERS.flag,
        dest="processes",
        type=_workers,
        default=SUPPRESS,
        metavar=WORKERS.unit,
        help=WORKERS.words,
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--out", default="", metavar="FILE", help="where the summary (JSON) is written", include_in_web_ui=False
    )
    parser.add_argument(
        "--slots",
        action="store_true",
        help="after the ramp, measure slots by orders on stdin (docs/measuring.md); --warm-up and --duration then "
        "mean nothing",
        include_in_web_ui=False,
    )


def foreign_settings(parser: LocustArgumentParser) -> list[str]:
    """Return in words what the last parse took from files and environment variables, a line for each source."""
    sources: dict[str, dict[str, tuple[Any, Any]]] = parser.get_source_to_settings_dict()
    names = {source: source.partition("|")[2] or "variables" for source in sources}
    return [
        f"set by {names[source]}: {', '.join(f'{name} = {_shown(*of)}' for name, of in settings.items())}"
        for source, settings in sources.items()
        if source.startswith(("config_file", "environment_variables")) and settings
    ]


def with_variables(message: str, parser: LocustArgumentParser) -> str:
    """Return a message with the environment variables of the last parse that set what it is about."""
    given: dict[str, tuple[Any, Any]] = parser.get_source_to_settings_dict().get("environment_variables", {})
    named = [
        f"{variable}={_shown(action, text)}"
        for variable, (action, text) in given.items()
        if any(re.search(rf"{flag}(?![\w-])", message) for flag in action.option_strings if flag.startswith("--"))
    ]
    return f"{message} (set by the variable {', '.join(named)})" if named else message


def _shown(action: Any, value: Any) -> Any:
    """Return the value of an argument as it may be told: what may hold a password is not."""
    return "(not shown)" if action is not None and SECRET & set(action.option_strings) else value


def check_locust(parsed: Namespace, scenarios: Scenarios) -> None:
    """
    Refuse arguments of Locust's own that would change what a run is.

    Raises:
        ValueError: one is given; the message says what would be right.

    """
    if parsed.run_time:
        raise ValueError(f"--run-time {parsed.run_time}: {RUN_TIME_IS_OURS}")
    if parsed.user_classes:
        names = ", ".join(map(printable_url, parsed.user_classes))
        plays = [name for name, scenario in scenarios.items() if scenario.user.__name__ in parsed.user_classes]
        right = " or ".join(f"--scenario {name}" for name in plays) or "--scenario"
        raise ValueError(f"{names}: the scenario says who comes, no user class; right would be {right}")
    for name in ("class_picker", "tags", "exclude_tags", "config_users"):
        if getattr(parsed, name):
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{flag}: the scenario says who comes and what they do; right would be --scenario")
    if parsed.slots:
        _check_slots(parsed, scenarios)


def _check_slots(parsed: Namespace, scenarios: Scenarios) -> None:
    """Refuse ``--slots`` where a run can't be cut into slots; the message says what would be right."""
    if not parsed.headless:
        raise ValueError("--slots: orders come on stdin, not from a web UI; right would be --headless, too")
    if parsed.processes or parsed.master or parsed.worker:
        raise ValueError("--slots: one process measures them, no workers; right would be no --workers")
    if parsed.scenario in scenarios and not scenarios[parsed.scenario].in_slots:
        fit = ", ".join(name for name, scenario in scenarios.items() if scenario.in_slots)
        raise ValueError(f"--slots: scenario {parsed.scenario} has a course of its own; right would be one of {fit}")
    if parsed.reconnect:
        raise ValueError("--slots: who is cut off between two of them is in no figure; right would be no --reconnect")


def read_options(
    parsed: Namespace, users: int | str, scenarios: Scenarios, login: tuple[Header, ...] = ()
) -> LoadOptions:
    """
    Return the options of a run, from the command line or from the form of the web UI.

    ``login`` is the user and the password of the URL, where these were taken out of it.

    Raises:
        ValueError: one can't be used; the message says what would be right.

    """
    scenario = _scenario(parsed.scenario, scenarios)
    numbers = {name: number.read(getattr(parsed, number.name)) for name, number in NUMBERS.items()}
    if numbers["room_size"] < 0:
        numbers["room_size"] = scenario.room_size
    options = LoadOptions(
        target=_target(parsed, scenario, login),
        scenario_name=parsed.scenario,
        scenario=scenario,
        out=Path(parsed.out) if parsed.out else None,
        users=USERS.read(users),
        spawn_rate=SPAWN_RATE.read(SPAWN_RATE.default if parsed.spawn_rate in (None, "") else parsed.spawn_rate),
        deflate=_choice("--deflate", parsed.deflate, ("on", "off")) == "on",
        beside=_processes(parsed.beside),
        slots=parsed.slots,
        reconnects=_reconnects(parsed, scenario, scenarios),
        **numbers,
    )
    several = any(getattr(parsed, name, None) for name in ("processes", "master", "worker"))
    if options.reconnects and several and not options.room_size:
        words = "workers that share a room can't tell its lives apart"
        raise ValueError(f"--reconnect: {words}; right would be --room-size, or no --workers")
    if 0 < options.extra_connections < LEAST_EXTRA:
        raise ValueError(f"--memory {options.extra_connections}: right would be 0, or {LEAST_EXTRA} and more")
    if options.out is not None:
        check_output("--out", options.out)
    return options


def _reconnects(parsed: Namespace, scenario: Scenario, scenarios: Scenarios) -> bool:
    if parsed.reconnect and scenario.reconnects is None:
        fit = ", ".join(name for name, each in scenarios.items() if each.reconnects is not None)
        words = f"users of scenario {parsed.scenario} come and go by plan, or never"
        raise ValueError(f"--reconnect: {words}; right would be one of {fit}")
    return parsed.reconnect or bool(scenario.reconnects)


def _scenario(name: str, scenarios: Scenarios) -> Scenario:
    if name not in scenarios:
        raise ValueError(f"--scenario {name}: no such scenario; right would be one of {', '.join(scenarios)}")
    return scenarios[name]


def _target(parsed: Namespace, scenario: Scenario, login: tuple[Header, ...]) -> Target:
    given = [parsed.header] if isinstance(parsed.header, str) else parsed.header or []
    try:
        headers = tuple(parse_header(line) for text in given for line in text.split("\n"))
    except ValueError as error:
        raise ValueError(f"--header {error}") from error
    target = parse_target(parsed.host or DEFAULT_HOST).with_headers((*login, *headers))
    if scenario.path is not None and target.path.endswith(DEFAULT_PATH):
        target = replace(target, path=target.beside(scenario.path.removeprefix("/")))
    return replace(target, verifies=not parsed.insecure)


def _processes(text: str) -> frozenset[int]:
    words = [word.strip() for word in text.split(",")] if text else []
    for word in words:
        if not re.fullmatch(r"[1-9][0-9]{0,8}", word):
            raise ValueError(
                f"--beside {text}: {word!r} is no process; right would be numbers with commas between them"
            )
        if not Path("/proc", word).is_dir():
            raise ValueError(f"--beside {text}: there is no process {word}")
    return frozenset(map(int, words))


def _choice(flag: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:  # a form may say anything
        raise ValueError(f"{flag} {text}: right would be one of {', '.join(choices)}")
    return text


def _workers(text: str) -> int:
    try:
        return int(WORKERS.read(text))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
