"""The listeners on Locust's events that begin, feed and end a run. The locustfile calls :func:`install` once."""

import logging
import signal
import socket
import sys
import uuid
from functools import partial
from typing import Any, NoReturn

import gevent
import msgspec
from locust import User, runners
from locust.argument_parser import LocustArgumentParser
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.options import (
    LoadOptions,
    Scenarios,
    add_arguments,
    check_locust,
    foreign_settings,
    read_options,
    with_variables,
)
from loadtests.run import webui
from loadtests.run.checkout import checkout, difference
from loadtests.run.conductor import FAILED, Conductor
from loadtests.run.locust_run import LocustRun
from loadtests.run.locust_table import show_finer
from loadtests.run.logins import Logins
from loadtests.run.meeting import say_what_is_wrong
from loadtests.run.messages import RunStart
from loadtests.run.slot_conductor import SlotConductor
from loadtests.run.worker import LoadWorker
from loadtests.run.workers import ORDER, REPORT, REPORT_INTERVAL_S, MasterLink, RemoteWorker, Workers
from loadtests.surroundings.reachability import NoServerError, UntrustedError, check_server
from loadtests.surroundings.server_stats import FoundServer, find_server
from loadtests.users.game_users import SnakeUser, forget_boards
from shared.system.descriptors import allow_many_descriptors

logger = logging.getLogger("tickbench.load")

WRONG_USAGE = 2
LOOPBACK = "127.0.0.1"
RUN_ARGUMENT = "tickbench_run"
"""The parsed option in which the master sends its workers a :class:`~loadtests.run.messages.RunStart`."""
REMOTE_ORDER_TAKES_S = 1.5
WORKERS_WAIT_S = 300
"""How long a master waits for the workers that it expects: as long as each of them searches for it."""


def install(events: Any, scenarios: Scenarios) -> None:
    """Listen to Locust's ``events`` (which carry no types)."""
    hooks = Hooks(scenarios)
    show_finer()
    say_what_is_wrong()
    events.init_command_line_parser.add_listener(hooks.on_parser)
    events.init.add_listener(hooks.on_init)
    events.test_start.add_listener(hooks.on_test_start)
    events.test_stop.add_listener(hooks.on_test_stop)
    events.quitting.add_listener(hooks.on_quitting)
    events.report_to_master.add_listener(hooks.on_report_to_master)
    events.worker_report.add_listener(hooks.on_worker_report)


class Hooks:
    """The listeners, and what this process has of the current run: a conductor, a worker with users, or both."""

    def __init__(self, scenarios: Scenarios) -> None:
        self._scenarios = scenarios
        self._run: LocustRun | None = None  # a worker has none
        self._remote: dict[str, RemoteWorker] = {}  # the workers of a master
        self._worker: LoadWorker | None = None
        self._master: MasterLink | None = None  # of a worker
        self._port = 0
        self._foreign: list[str] = []
        self._logins = Logins()
        self._parser: LocustArgumentParser

    def on_parser(self, parser: LocustArgumentParser, **_: Any) -> None:
        """Add our arguments; a master and the web UI listen on all interfaces only where that is asked for."""
        add_arguments(parser, self._scenarios)
        self._parser = parser
        # By default Locust's web UI has no login, and it loads whatever host is entered there.
        parser.set_defaults(master_bind_host=LOOPBACK, web_host=LOOPBACK, expect_workers_max_wait=WORKERS_WAIT_S)
        known, _ = parser.parse_known_args()
        self._foreign = foreign_settings(parser)
        if known.processes and (known.master_bind_host, known.master_bind_port) == (LOOPBACK, known.master_port):
            # A port of its own, so that workers of another run on this machine don't connect to this master.
            self._port = self._port or free_port()
            parser.set_defaults(master_bind_port=self._port, master_port=self._port)

    def on_init(self, environment: Environment, **_: Any) -> None:
        """Refuse options that can't work, before anything is started, and prepare the runner."""
        parsed: Any = environment.parsed_options
        allow_many_descriptors()
        # Python would raise it in whichever greenlet is running, which may take it for its own end.
        gevent.signal_handler(signal.SIGINT, gevent.kill, gevent.getcurrent(), KeyboardInterrupt)
        environment.dispatcher_class = _dispatcher_of(environment)
        if parsed.headless and (parsed.out or parsed.slots):
            # A program reads the summary, or the last line where there is none: Locust's tables are no use to it.
            for name in ("locust", "locust.stats_logger"):
                logging.getLogger(name).setLevel(logging.ERROR)
        for words in self._foreign:
            logger.warning(words)
        runner = environment.runner
        try:
            self._logins.hide(environment)
            check_locust(parsed, self._scenarios)
            if not isinstance(runner, WorkerRunner) and (parsed.headless or parsed.autostart):
                self._check_run(parsed)
                environment.process_exit_code = FAILED  # until a run is over
        except (ValueError, UntrustedError) as error:
            _leave(environment, with_variables(str(error), self._parser), WRONG_USAGE)
        except NoServerError as error:
            _leave(environment, str(error), FAILED)
        if isinstance(runner, WorkerRunner):
            runners.WORKER_REPORT_INTERVAL = REPORT_INTERVAL_S
            runner.register_message(ORDER, self.on_order)
        else:
            self._run = LocustRun(environment, runner)
            if isinstance(runner, MasterRunner) and not parsed.processes and runner.master_bind_host == LOOPBACK:
                words = "workers are awaited at %s:%d; for those on other hosts, --master-bind-host '*' would be right"
                logger.info(words, LOOPBACK, runner.master_bind_port)
            if environment.web_ui is not None:
                webui.install(environment.web_ui, parsed, self._run, self._scenarios, self._logins)

    def _check_run(self, parsed: Any) -> None:
        """Raise an error if a run would fail at once; tell whoever waits for its summary how long it takes."""
        users = 1 if parsed.num_users is None else parsed.num_users
        options = read_options(parsed, users, self._scenarios, self._logins.of(parsed.host))
        if parsed.headless and parsed.out and not parsed.slots:
            print(options.announcement, file=sys.stderr, flush=True)  # noqa: T201 # tickbench load reads it
        check_server(options.target)

    def on_test_start(self, environment: Environment, **_: Any) -> None:
        """Begin a run."""
        try:
            self._begin(environment)
            return
        except (ValueError, NoServerError) as error:
            why = str(error)
        except Exception as error:  # a bug of ours must not leave the caller waiting
            logger.exception("the run can't begin")
            why = f"the load generator failed: {error!r}"
        self._cannot_begin(environment, why)

    def _begin(self, environment: Environment) -> None:
        runner: Any = environment.runner
        parsed: Any = environment.parsed_options
        start = RunStart("", "", 0.0, self._logins.of(parsed.host))
        if self._run is None:
            start = _start_of(parsed)
            parsed.host, parsed.spawn_rate = start.host, start.spawn_rate
            parsed.out = ""  # the master writes it, on its own host
        users = runner.target_user_count if self._run is not None else max(1, runner.target_user_count)
        options = read_options(parsed, users, self._scenarios, start.login)
        server = find_server(options.target)
        forget_boards()
        if self._run is None:
            self._start_worker(LoadWorker(options, server, runner.worker_index))
            self._master = MasterLink(start.run, self._worker)
        elif isinstance(runner, MasterRunner):
            run = uuid.uuid4().hex
            share = options.spawn_rate / max(1, runner.worker_count)
            told = RunStart(run, options.target.url, share, start.login, checkout())
            setattr(parsed, RUN_ARGUMENT, msgspec.to_builtins(told))
            self._remote = {client.id: RemoteWorker(runner, run, client.id) for client in runner.clients.all}
            workers = Workers(self._remote, REMOTE_ORDER_TAKES_S, server_checks=len(self._remote))
            self._run.begin(Conductor(self._run, options, server, workers))
        else:
            worker = LoadWorker(options, server, None)
            self._start_worker(worker)
            self._run.begin(self._conductor(self._run, options, server, Workers({"": worker})))

    @staticmethod
    def _conductor(run: LocustRun, options: LoadOptions, server: FoundServer, workers: Workers) -> Conductor:
        if not options.slots:
            return Conductor(run, options, server, workers)
        return SlotConductor(run, options, server, workers, partial(run.bring_users, spawn_rate=options.spawn_rate))

    def on_test_stop(self, **_: Any) -> None:
        """End a run."""
        if self._run is not None:
            self._run.break_off()  # if it is not over
        if self._worker is not None:
            self._worker.stop()

    def on_quitting(self, **_: Any) -> None:
        """Report a run that ends without a result."""
        if self._run is not None:
            self._run.quit()

    def on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        """Send our report along with Locust's."""
        if self._master is not None:
            data[REPORT] = self._master.report()

    def on_worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """Take our report out of a worker's report to Locust."""
        report = data.pop(REPORT, None)
        if report is not None and client_id in self._remote:
            self._remote[client_id].take_report(report)

    def on_order(self, msg: Any, **_: Any) -> None:
        """Do what the master says."""
        if self._master is not None:
            self._master.take_order(msg.data)

    def _start_worker(self, worker: LoadWorker) -> None:
        if self._worker is not None:
            self._worker.stop()
        self._worker = SnakeUser.worker = worker
        SnakeUser.is_off = False
        worker.start()

    def _cannot_begin(self, environment: Environment, why: str) -> None:
        """Say why there is no run; a worker says it to its master."""
        if self._run is None:
            given = getattr(environment.parsed_options, RUN_ARGUMENT, None)
            self._master = MasterLink(given["run"] if isinstance(given, dict) else "", None, why)
            SnakeUser.is_off = True
            return
        self._run.cannot_begin(why)
        raise gevent.GreenletExit  # ends Locust's greenlet, before it starts any user, without a traceback


def _start_of(parsed: Any) -> RunStart:
    """Return what the master says of a run; raise ValueError where it says nothing of the kind, or is another's."""
    try:
        start = msgspec.convert(getattr(parsed, RUN_ARGUMENT, None), RunStart)
    except msgspec.ValidationError as error:
        raise ValueError(f"the master began no run of this load test: {error}") from error
    if words := difference(checkout(), of_master=start.checkout):
        raise ValueError(words)
    return start


def _dispatcher_of(environment: Environment) -> type[UsersDispatcher]:
    """Return a dispatcher that starts only users of the scenario that is chosen when a run begins."""

    class ScenarioDispatcher(UsersDispatcher):
        def __init__(self, worker_nodes: list[Any], user_classes: list[type[User]]) -> None:
            parsed: Any = environment.parsed_options
            chosen = [user for user in user_classes if user.__module__.endswith(f".{parsed.scenario}")]
            super().__init__(worker_nodes, chosen or user_classes)

    return ScenarioDispatcher


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _leave(environment: Environment, why: str, status: int) -> NoReturn:
    runner: Any = environment.runner
    if isinstance(runner, MasterRunner):
        runner.quit()  # so that its workers end too
    sys.stderr.write(f"{why}\n")
    sys.exit(status)
