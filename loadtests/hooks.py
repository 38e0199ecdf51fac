"""How a run hangs on Locust's events. :func:`install` is called once, by the locustfile."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import gevent
from locust.runners import LocalRunner

from loadtests.options import add_arguments, read_options
from loadtests.probe import NoServerError, knock
from loadtests.run import FAILED, LoadRun, allow_many_descriptors, find_server
from loadtests.users import SnakeUser, forget_boards

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

WRONG_USAGE = 2


def install(events: Any) -> None:
    """Listen to Locust's ``events`` (which carry no types)."""
    events.init_command_line_parser.add_listener(_on_parser)
    events.init.add_listener(_on_init)
    events.test_start.add_listener(_on_test_start)
    events.test_stop.add_listener(_on_test_stop)
    events.quitting.add_listener(_on_quitting)


def _on_parser(parser: LocustArgumentParser, **_: Any) -> None:
    add_arguments(parser)


def _on_init(environment: Environment, **_: Any) -> None:
    """Refuse, before anything is started, what can't be done."""
    parsed: Any = environment.parsed_options
    if not isinstance(environment.runner, LocalRunner):
        _leave("runs with several workers are not supported; right would be no --master, --worker, --processes", 2)
    allow_many_descriptors()
    if not parsed.headless:
        return
    try:
        knock(read_options(parsed, parsed.num_users or 1).target)
    except ValueError as error:
        _leave(str(error), WRONG_USAGE)
    except NoServerError as error:
        _leave(str(error), FAILED)
    environment.process_exit_code = FAILED  # until a run is over
    if parsed.out:
        # A program reads the summary, or the last line where there is none: Locust's tables are no use to it.
        for name in ("locust", "locust.stats_logger"):
            logging.getLogger(name).setLevel(logging.ERROR)


def _on_test_start(environment: Environment, **_: Any) -> None:
    runner: Any = environment.runner
    parsed: Any = environment.parsed_options
    try:
        options = read_options(parsed, runner.target_user_count)
        base = find_server(options)
    except (ValueError, NoServerError) as error:
        sys.stderr.write(f"{error}\n")
        if environment.web_ui is None:
            gevent.spawn(runner.quit)
        raise gevent.GreenletExit from error  # ends Locust's greenlet, before it starts any user, without a traceback
    forget_boards()
    classes: Any = environment.available_user_classes
    environment.user_classes = [classes[options.scenario.user]]
    SnakeUser.run_of_load = LoadRun(environment, options, base)
    SnakeUser.run_of_load.start()


def _on_test_stop(**_: Any) -> None:
    if (run := _run()) is not None:
        run.stop()


def _on_quitting(environment: Environment, **_: Any) -> None:
    run = _run()
    if environment.web_ui is None and (run is None or not run.over):
        sys.stderr.write("the run was broken off: nothing was written\n")


def _run() -> LoadRun | None:
    return getattr(SnakeUser, "run_of_load", None)


def _leave(why: str, status: int) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    sys.exit(status)
