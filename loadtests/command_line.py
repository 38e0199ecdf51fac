"""
The command line of the load test: Locust's, with our options, a URL, ``TICKBENCH_`` variables and no files.

Locust would also take settings from ``locust.conf`` and ``pyproject.toml`` in the working directory and from
``~/.locust.conf``, which may be meant for another load test. Importing this imports Locust, which reads its variables.
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NoReturn

from locust import argument_parser

from loadtests.options import SPAWN_RATE, USERS, VARIABLES, add_arguments, check_locust, read_options, with_variables
from loadtests.scenario import Scenario
from loadtests.scenarios import all_scenarios
from shared.wire.target import printable_url


class LoadParser(argument_parser.LocustArgumentParser):
    """Locust's parser, but a URL stands where Locust takes user classes, which a scenario chooses here."""

    def __init__(self, **settings: Any) -> None:
        ours = {"default_config_files": (), "formatter_class": argparse.ArgumentDefaultsHelpFormatter}
        super().__init__(**(settings | ours))

    def add_argument(self, *flags: str, **settings: Any) -> Any:
        """Add an argument, with what :mod:`loadtests.options` says of it."""
        for each in (USERS, SPAWN_RATE):
            if each.flag in flags:
                kind = type(each.default)
                settings |= {"type": kind, "default": each.default, "metavar": each.unit, "help": each.words}
        for flag in VARIABLES.keys() & set(flags):
            settings |= {"env_var": VARIABLES[flag], "help": f"{settings['help']} [{VARIABLES[flag]}]"}
        return super().add_argument(*flags, **settings)

    def parse_args(self, args: Sequence[str] | None = None, *given: Any, **named: Any) -> Any:
        """Parse arguments; exit with status 2 if they are wrong, or if there is no URL and no web UI to enter one."""
        parsed, words = super().parse_args(args, *given, **named), sys.argv if args is None else args
        if parsed.user_classes:
            parsed.host, *parsed.user_classes = parsed.user_classes
            if urls := [word for word in parsed.user_classes if "//" in word]:
                self.error(f"{printable_url(urls[0])}: one server is loaded at a time; leave all URLs but one out")
        elif parsed.headless and not parsed.worker and not any(word.startswith(("--host", "-H")) for word in words):
            self.error("which server is to be loaded is missing; a URL such as ws://127.0.0.1:8000 would be right")
        return parsed

    def format_help(self) -> str:
        """Return the help on our options, and on those of Locust's that mean something else here."""
        formatter = self._get_formatter()
        formatter.add_arguments([each for each in self._actions if VARIABLES.keys() & set(each.option_strings)])
        return f"{formatter.format_help()}\nLocust's own flags are taken, too: 'locust --help' lists them.\n"

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong, and exit with status 2."""
        sys.stderr.write(f"error: {with_variables(' '.join(message.split()), self)}\n")
        sys.exit(2)


def whole_parser() -> LoadParser:
    """Return a parser with all options, which Locust makes only once it has loaded the locustfile."""
    parser = LoadParser()
    argument_parser.setup_parser_arguments(parser)  # type: ignore[no-untyped-call] # untyped in Locust
    add_arguments(parser, all_scenarios())
    return parser


def check_lines() -> None:
    """
    Say of command lines what is wrong with each, without starting a load.

    Reads one line from stdin: a JSON list of command lines, each a list of words. Writes one line: a JSON list with a
    complaint for each of them, null where there is none.

    """
    parser, scenarios = whole_parser(), all_scenarios()
    lines = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps([complaint(parser, scenarios, line) for line in lines]) + "\n")


def complaint(parser: LoadParser, scenarios: dict[str, Scenario], line: Sequence[str]) -> str | None:
    """Return what is wrong with one command line; None if it is accepted."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            parsed = parser.parse_args(list(line))
        check_locust(parsed, scenarios)
        read_options(parsed, parsed.num_users, scenarios)
    except SystemExit:
        return said.getvalue().strip().removeprefix("error: ") or f"{' '.join(line)} loads nothing"
    except ValueError as error:
        return str(error)
    return None
