"""
The load test with one of its senses deceived, as the variable TAMPER says: what no test can cause on a machine.

It changes where a thing is read, and nothing of what is made of it.
"""

import _socket
import errno
import os
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gevent
from locust import events
from locust.runners import LocalRunner

from loadtests.locustfile import *  # noqa: F403 - Locust looks for user classes here
from loadtests.receive import transport as client
from loadtests.run import conductor, measurement
from loadtests.surroundings import clocks
from loadtests.surroundings import cores as machine
from loadtests.surroundings import hub_lag as drift
from loadtests.surroundings import server_stats as stats

TAMPER = os.environ["TAMPER"]
STARTED_S = time.monotonic()
STEP_AFTER_S = 3.0
STEPS_US = {"clock step": 1500, "small clock step": 300}


def with_steal(seen: machine.MachineSample | None) -> machine.MachineSample | None:
    """Return what is seen on a machine whose hypervisor takes a tenth of each core."""
    assert seen is not None
    more_s = (time.monotonic() - STARTED_S) / 10
    return replace(seen, cores={cpu: replace(core, steal_s=core.steal_s + more_s) for cpu, core in seen.cores.items()})


def with_processes_hidden(seen: machine.MachineSample | None) -> machine.MachineSample | None:
    """Return what is seen in a container, of cores that are busy for a twelfth of the time."""
    assert seen is not None
    cores = {cpu: replace(core, idle_s=seen.at_s * 11 / 12, steal_s=0.0) for cpu, core in seen.cores.items()}
    return replace(seen, cores=cores, process_cpu_s=None)


class PortlessSocket(_socket.socket):
    """One socket in five finds no local port left."""

    made = 0

    def connect_ex(self, address: object) -> int:
        PortlessSocket.made += 1
        return errno.EADDRNOTAVAIL if PortlessSocket.made % 5 == 0 else super().connect_ex(address)  # type: ignore[arg-type]


class SteppedWatch(clocks.OffsetWatch):
    """A wall clock that somebody sets forward once."""

    def _read_us(self) -> int:
        stepped = time.monotonic() - STARTED_S > STEP_AFTER_S
        return super()._read_us() + (STEPS_US[TAMPER] if stepped else 0)


def send_some_home(environment: Any, **_: object) -> None:
    users, runner = environment.parsed_options.num_users - 5, environment.runner
    # Past the load test, which refuses it while a run is on.
    gevent.spawn_later(STEP_AFTER_S, lambda: LocalRunner.start(runner, users, 100))


def fetch_stats_late(*arguments: Any) -> Any:
    """Answer as a server does that is starved of everything but its ticks."""
    gevent.sleep(0.8)
    return stats.fetch_stats(*arguments)


if TAMPER == "fewer users":
    events.init.add_listener(send_some_home)  # type: ignore[no-untyped-call]
elif TAMPER == "slow stats":
    conductor.fetch_stats = fetch_stats_late  # type: ignore[attr-defined, assignment]
elif TAMPER == "no timer":
    drift.create_timer = lambda _: -1  # type: ignore[attr-defined, assignment]
elif TAMPER == "steal":
    for module in (measurement, conductor):
        module.sample_machine = lambda: with_steal(machine.sample_machine())  # type: ignore[attr-defined]
elif TAMPER == "hidden processes":
    for module in (measurement, conductor):
        module.sample_machine = lambda: with_processes_hidden(machine.sample_machine())  # type: ignore[attr-defined]
elif TAMPER == "ports":
    client._socket = SimpleNamespace(**{**vars(_socket), "socket": PortlessSocket})  # type: ignore[attr-defined, assignment]
else:
    measurement.OffsetWatch = SteppedWatch  # type: ignore[attr-defined]
