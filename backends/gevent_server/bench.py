"""
Times this stack's fan-out and clocks beside the bare system calls, block by block (:mod:`shared.measure.blocks`).

``python -m backends.gevent_server.bench CONNECTIONS [flags of the server]`` serves, prints ``full`` once the room
``main`` has so many members, and ends when its stdin does.
"""

# First of all, as in the backend's own entry point.
from gevent import monkey

monkey.patch_all()

import os
import signal
import sys
import time
from functools import partial

import gevent

from shared.server.benchmark import FLAGS, PAUSE_S, Bench
from shared.server.config import parse_arguments
from shared.system.listener import listen

from .clock import Clock
from .connection import Connection
from .fanout import FANOUTS
from .server import Server, choose_event_loop


def run(connections: int, flags: list[str]) -> None:
    """Serve, and time what is asked for."""
    config = parse_arguments("gevent", flags)
    choose_event_loop(config)
    server = Server(config)
    bench = Bench(
        server,
        {"timerfd": server.clock, "loop": Clock("loop")},
        FANOUTS,
        descriptor,
        time.perf_counter_ns,
        time.process_time_ns,
        partial(gevent.sleep, PAUSE_S),
        monkey.get_original("socket", "socket"),
        monkey.get_original("time", "sleep"),
        connections,
    )
    server.own(do, bench)
    server.run(listen(config.host, config.port, config.backlog))


def descriptor(connection: Connection) -> int:
    """Return the descriptor of a connection, whatever it sends by."""
    return int(connection.ws.socket.fileno())


def do(bench: Bench) -> None:
    """Do all that a bench asks for, and stop the server."""
    try:
        for act in bench.program(sys.stdin):
            act()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    run(int(sys.argv[1]), [*FLAGS, *sys.argv[2:]])
