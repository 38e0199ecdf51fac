"""
The load test with one of its senses deceived, as the variable TAMPER says: what no test can cause on a machine.

It changes where a thing is read, and nothing of what is made of it.
"""

import _socket
import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
from locust import events

from loadtests import client, clocks, conductor, drift, machine, stats
from loadtests.locustfile import *  # noqa: F403 - Locust looks for user classes here

TAMPER = os.environ["TAMPER"]
STARTED_S = time.monotonic()
STEP_AFTER_S = 3.0
STEPS_US = {"clock step": 1500, "small clock step": 300}


class StealingStat:
    """/proc/stat of a machine whose hypervisor takes a tenth of each core."""

    def read_text(self, encoding: str) -> str:
        lines = Path("/proc/stat").read_text(encoding).splitlines()
        return "\n".join(self._with_steal(line) for line in lines)

    def _with_steal(self, line: str) -> str:
        fields = line.split()
        if fields[0].startswith("cpu") and fields[0] != "cpu":
            fields[8] = str(int(fields[8]) + int(10 * (time.monotonic() - STARTED_S)))
        return " ".join(fields)


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
    gevent.spawn_later(STEP_AFTER_S, lambda: environment.runner.start(environment.parsed_options.num_users - 5, 100))


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
    machine.sample_machine.__defaults__ = (StealingStat(),)
elif TAMPER == "ports":
    client._socket = SimpleNamespace(**{**vars(_socket), "socket": PortlessSocket})  # type: ignore[attr-defined, assignment]
else:
    from loadtests import measurement

    measurement.OffsetWatch = SteppedWatch  # type: ignore[attr-defined]
