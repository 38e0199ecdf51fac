"""
Times this stack's fan-out and clocks beside the bare system calls, block by block (:mod:`shared.measure.blocks`).

``python -m backends.asyncio_server.bench CONNECTIONS [flags of the server]`` serves, prints ``full`` once the room
``main`` has so many members, and ends when its stdin does.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from functools import partial

from shared.server.benchmark import FLAGS, PAUSE_S, Bench
from shared.server.config import parse_arguments
from shared.system.listener import listen

from .clock import Clock
from .connection import Connection
from .fanout import FANOUTS
from .server import Server, choose_event_loop


async def run(connections: int, flags: list[str]) -> None:
    """Serve, and time what is asked for."""
    config = parse_arguments("asyncio", flags)
    server = Server(config)
    bench = Bench(
        server,
        {"timerfd": server.clock, "loop": Clock("loop")},
        FANOUTS,
        descriptor,
        time.perf_counter_ns,
        time.process_time_ns,
        partial(asyncio.sleep, PAUSE_S),
        socket.socket,
        time.sleep,
        connections,
    )
    server.own(do, bench)
    await server.run(listen(config.host, config.port, config.backlog))


def descriptor(connection: Connection) -> int:
    """Return the descriptor of a connection, whatever it sends by."""
    return int(connection.ws.transport.get_extra_info("socket").fileno())


async def do(bench: Bench) -> None:
    """Do all that a bench asks for, and stop the server."""
    try:
        for act in bench.program(sys.stdin):
            await act()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    flags = [*FLAGS, *sys.argv[2:]]
    with asyncio.Runner(loop_factory=choose_event_loop(parse_arguments("asyncio", flags))) as runner:
        runner.run(run(int(sys.argv[1]), flags))
