"""
Check command lines without starting a load: ``python -m loadtests --check`` says what is wrong with each.

Reads one line from stdin: a JSON list of command lines, each a list of words. Writes one line: a JSON list with a
complaint for each of them, null where there is none.
"""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

from locust.argument_parser import LocustArgumentParser, get_empty_argument_parser, setup_parser_arguments

from loadtests.options import add_arguments, check_locust, read_options
from loadtests.scenario import Scenario
from loadtests.scenarios import all_scenarios


def answer() -> int:
    """Read command lines, say what is wrong with each, and return the exit status."""
    scenarios = all_scenarios()
    parser = get_empty_argument_parser(default_config_files=())
    setup_parser_arguments(parser)  # type: ignore[no-untyped-call] # untyped in Locust
    add_arguments(parser, scenarios)
    lines = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps([complaint(parser, scenarios, line) for line in lines]) + "\n")
    return 0


def complaint(parser: LocustArgumentParser, scenarios: dict[str, Scenario], line: Sequence[str]) -> str | None:
    """Return what is wrong with one command line; None if it is accepted."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            parsed = parser.parse_args(list(line))
        check_locust(parsed, scenarios)
        read_options(parsed, parsed.num_users, scenarios)
    except SystemExit:
        words = said.getvalue().rpartition("error: ")[2].split()  # argparse prints the program and its usage first
        return " ".join(words) or f"{' '.join(line)} loads nothing"
    except ValueError as error:
        return str(error)
    return None
