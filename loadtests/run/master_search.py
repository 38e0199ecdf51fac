"""
A worker's search for its master: as Locust searches, but a person is told what is wrong.

Locust says nothing for half a minute, and after five gives up without a reason. Importing this imports Locust, which
patches the process.
"""

import logging
import socket
import sys
from typing import Any

from locust import runners

from loadtests.receive.transport import reason_of

logger = logging.getLogger("tickbench.load")

FAILED = 1
KNOCK_S = 3.0
"""How long it is tried to find out why no master answers."""
ADVICE = "a master that workers on other hosts shall reach is started with --master-bind-host '*'"

_search = runners.WorkerRunner.connect_to_master


def say_why_none() -> None:
    """Have every worker of this process say where it searches, and why it finds nobody."""
    runners.WorkerRunner.connect_to_master = _search_aloud  # type: ignore[method-assign] # no other way


def _search_aloud(worker: Any) -> None:
    """Ask for the master once, as Locust does, which then calls this for the next time; end when it would give up."""
    if worker.retry:
        place = f"{worker.master_host}:{worker.master_port}"
        if worker.retry >= runners.CONNECT_RETRY_COUNT:
            asked_s = worker.retry * runners.CONNECT_TIMEOUT
            why = why_none(worker.master_host, worker.master_port)
            sys.stderr.write(f"no master at {place} after {asked_s:g} s: {why}; {ADVICE}\n")
            sys.exit(FAILED)
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
    except (socket.gaierror, UnicodeError):  # UnicodeError: the name is not valid
        return "no such host"
    except TimeoutError:
        return f"nobody answers within {KNOCK_S:g} s"
    except OSError as error:
        return reason_of(error)
