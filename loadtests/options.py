"""The command line's arguments of a load run, beside Locust's own; they appear in its web UI as well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.scenarios import SCENARIOS, Scenario
from loadtests.target import Target, parse_target

if TYPE_CHECKING:
    from argparse import Namespace

    from locust.argument_parser import LocustArgumentParser

DEFAULT_SPAWN_RATE = 500
"""Users a second: what a listen backlog of 128 bears, as they are spread evenly over the second."""
DEFAULT_HOST = "ws://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What is asked of a run."""

    target: Target
    scenario_name: str
    users: int
    spawn_rate: float
    warm_up_s: float
    measure_s: float
    connect_timeout_s: float
    out: Path | None

    @property
    def scenario(self) -> Scenario:
        """The scenario by its name."""
        return SCENARIOS[self.scenario_name]


def add_arguments(parser: LocustArgumentParser) -> None:
    """Add ours to Locust's."""
    about = ", ".join(f"{name}: {scenario.about}" for name, scenario in SCENARIOS.items())
    parser.set_defaults(host=DEFAULT_HOST, spawn_rate=DEFAULT_SPAWN_RATE)
    # On the parser itself: what stands in a group does not appear in the web UI.
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="steady", help=about)
    for flag, default, about in (
        ("--warm-up", 2.0, "seconds after the ramp that are not measured"),
        ("--measure", 10.0, "seconds after the warm-up that are measured"),
        ("--connect-timeout", 10.0, "seconds in which a connection must get its first tick frame"),
    ):
        parser.add_argument(flag, type=float, default=default, metavar="SECONDS", help=about)
    parser.add_argument(
        "--out", default="", metavar="FILE", help="where the summary (JSON) is written", include_in_web_ui=False
    )


def read_options(parsed: Namespace, users: int) -> LoadOptions:
    """
    Return what was asked for, by the command line or by the form of the web UI.

    Raises:
        ValueError: it can't be done; the message says what would be right.

    """
    options = LoadOptions(
        target=parse_target(parsed.host or DEFAULT_HOST),
        scenario_name=_scenario_name(parsed.scenario),
        users=users,
        spawn_rate=_seconds("--spawn-rate", parsed.spawn_rate or DEFAULT_SPAWN_RATE, least=0.01),
        warm_up_s=_seconds("--warm-up", parsed.warm_up, least=0),
        measure_s=_seconds("--measure", parsed.measure, least=1),
        connect_timeout_s=_seconds("--connect-timeout", parsed.connect_timeout, least=0.1),
        out=Path(parsed.out) if parsed.out else None,
    )
    if options.out is not None and (options.out.is_dir() or not options.out.absolute().parent.is_dir()):
        raise ValueError(f"--out {options.out}: no file can be made there; right would be a file in an existing folder")
    return options


def _scenario_name(name: str) -> str:
    if name not in SCENARIOS:
        raise ValueError(f"--scenario {name}: no such scenario; right would be one of {', '.join(SCENARIOS)}")
    return name


def _seconds(flag: str, text: str | float, least: float) -> float:
    """Return a number that may have come from a form, as text."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value < 1e9:
        raise ValueError(f"{flag} {text}: right would be a number of at least {least:g}")
    return value
