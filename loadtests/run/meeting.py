"""
How a master and its workers meet: as Locust has it, but a person is told in a line what is wrong.

Of a worker that finds no master Locust says nothing for half a minute, and gives up after five without a reason; an
address that can't be used is a traceback. Importing this imports Locust, which patches the process.
"""

import logging
import socket
import sys
from typing import Any, NoReturn

from locust import runners
from locust.env import Environment
from locust.exception import RPCError

from loadtests.receive.transport import reason_of

logger = logging.getLogger("tickbench.load")

FAILED, WRONG_USAGE = 1, 2
KNOCK_S = 3.0
"""How long it is tried to find out why no master answers."""
ADVICE = "a master that workers on other hosts shall reach is started with --master-bind-host '*'"
BIND_FAILURE = "Socket bind failure: "

_search = runners.WorkerRunner.connect_to_master
_make_master, _make_worker = Environment.create_master_runner, Environment.create_worker_runner


def say_what_is_wrong() -> None:
    """Have each master of this process say why it can't listen, and each worker why it finds no master."""
    Environment.create_master_runner = _master  # type: ignore[assignment, method-assign] # no other way
    Environment.create_worker_runner = _worker  # type: ignore[assignment, method-assign] # as above
    runners.WorkerRunner.connect_to_master = _search_aloud  # type: ignore[method-assign] # as above


def _master(environment: Environment, master_bind_host: str = "*", master_bind_port: int = 5557) -> Any:
    _check_name("--master-bind-host", master_bind_host)
    try:
        return _make_master(environment, master_bind_host, master_bind_port)
    except RPCError as error:
        why = str(error).removeprefix(BIND_FAILURE).partition(" (")[0].lower()
        right = "right would be an address of this host, or '*' for all of them"
        _leave(f"--master-bind-host {master_bind_host}: {why} (port {master_bind_port}); {right}", WRONG_USAGE)


def _worker(environment: Environment, master_host: str, master_port: int) -> Any:
    _check_name("--master-host", master_host)
    return _make_worker(environment, master_host, master_port)


def _check_name(flag: str, name: str) -> None:
    """Refuse what can't be looked up as a name: gevent would print a traceback, whoever catches the error."""
    try:
        name.encode("idna")
    except UnicodeError:
        _leave(f"{flag} {name}: no name of a host; right would be a name or an address", WRONG_USAGE)


def _search_aloud(worker: Any) -> None:
    """Ask for the master once, as Locust does, which then calls this for the next time; end when it would give up."""
    if worker.retry:
        place = f"{worker.master_host}:{worker.master_port}"
        if worker.retry >= runners.CONNECT_RETRY_COUNT:
            asked_s = worker.retry * runners.CONNECT_TIMEOUT
            why = why_none(worker.master_host, worker.master_port)
            _leave(f"no master at {place} after {asked_s:g} s: {why}; {ADVICE}", FAILED)
        if worker.retry == 1:
            limit_s = runners.CONNECT_RETRY_COUNT * runners.CONNECT_TIMEOUT
            why = why_none(worker.master_host, worker.master_port)
            logger.warning("no master at %s yet: %s; it is awaited for %g s", place, why, limit_s)
    _search(worker)  # type: ignore[no-untyped-call] # untyped in Locust


def why_none(host: str, port: int) -> str:
    """Say in a few words why no master answers there."""
    try:
        with socket.create_connection((host, port), KNOCK_S):
            return "who listens there does not answer as Locust's master does"
    except socket.gaierror:
        return "no such host"
    except TimeoutError:
        return f"nobody answers within {KNOCK_S:g} s"
    except OSError as error:
        return reason_of(error)


def _leave(why: str, status: int) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    sys.exit(status)
