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
from collections.abc import Awaitable, Callable

from shared.measure.blocks import ClockBlock, FanoutBlock, Timed, one_line, read_blocks, turns
from shared.rooms.audience import Audience
from shared.server.config import parse_arguments
from shared.system.heap import settle_heap
from shared.wire.frames import Opcode, server_frame

from .clock import Clock
from .connection import Connection
from .fanout import FANOUTS
from .server import Server, choose_event_loop, listen

PAUSE_S = 0.02
"""Between two ticks."""

SETTLE_PAUSES = 250
"""After so many pauses readers that have not read are too slow for a bench."""


class Bench:
    """Times blocks on a server whose room does not tick by itself."""

    def __init__(self, server: Server, connections: int) -> None:
        self._server = server
        self._connections = connections
        self._members: list[Connection] = []
        self._audience: Audience[Connection]
        self._sockets: list[socket.socket] = []
        self._loop_clock = Clock("loop")

    async def run(self) -> None:
        """Wait until the room is full, answer what is asked, and stop the server."""
        lobby = self._server.core.lobby
        # There is no event for a full room.
        while "main" not in lobby.rooms or len(lobby.rooms["main"].members) < self._connections:  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_S)
        self._audience = self._server.room_loop("main").ticker.audience
        self._members = lobby.rooms["main"].recipients()
        self._sockets = [socket.socket(fileno=member.fd) for member in self._members]
        settle_heap()
        print("full", flush=True)  # noqa: T201 # whoever asks waits for it
        try:
            for block in read_blocks(sys.stdin):  # nothing else goes on meanwhile, and nothing should
                timed = await (self._fan_out(block) if isinstance(block, FanoutBlock) else self._wait(block))
                print(one_line(timed), end="", flush=True)  # noqa: T201 # the answer
        finally:
            for sock in self._sockets:
                sock.detach()  # the descriptor is the transport's
            os.kill(os.getpid(), signal.SIGTERM)

    async def _fan_out(self, block: FanoutBlock) -> Timed:
        text = b"x" * block.text_bytes
        us: dict[str, list[float]] = {way: [] for way in block.ways}
        for way in turns(block.ways, block.ticks):
            await self._settle()
            began_ns = time.perf_counter_ns()
            await self._tick(way, text)
            us[way].append((time.perf_counter_ns() - began_ns) / 1000 / len(self._members))
        return Timed(us)

    async def _tick(self, way: str, text: bytes) -> None:
        if way == "raw":
            frame = server_frame(Opcode.TEXT, text)
            for sock in self._sockets:
                if sock.send(frame) < len(frame):
                    raise RuntimeError("the kernel did not take all of a frame")
        elif way == "recording":  # what /stats and /metrics know of a tick
            now_us = self._server.clock.now_us()
            self._server.core.ticks.record(now_us - 5000, 250, 0, now_us - 4000, self._server.clock.now_us(), 50_000)
        else:
            self._audience.seat(self._members)
            await FANOUTS[way]().send(self._audience, text)

    async def _settle(self) -> None:
        """Wait until the readers have read all and sleep, as they do in a real period."""
        for _ in range(SETTLE_PAUSES):
            await asyncio.sleep(PAUSE_S)
            if all(member.fd >= 0 for member in self._members):
                return
        raise RuntimeError("the readers are too slow")

    async def _wait(self, block: ClockBlock) -> Timed:
        waits: dict[str, Callable[[int], Awaitable[None]]] = {
            "time.sleep": self._sleep_until,
            "timerfd": self._server.clock.sleep_until,
            "loop": self._loop_clock.sleep_until,
        }
        clock, members, text = self._server.clock, self._members[: block.connections], b"x" * block.text_bytes
        us: dict[str, list[float]] = {way: [] for way in block.ways}
        t0_us = clock.now_us()
        for n, way in enumerate(turns(block.ways, block.ticks), 1):
            due_us = t0_us + int(n * 1_000_000 / block.rate_hz)
            await waits[way](due_us)
            us[way].append(clock.now_us() - due_us)
            if members:
                self._audience.seat(members)
                await FANOUTS["frame-once"]().send(self._audience, text)
        return Timed(us)

    async def _sleep_until(self, due_us: int) -> None:
        while (wait_us := due_us - self._server.clock.now_us()) > 0:
            time.sleep(wait_us / 1_000_000)  # noqa: ASYNC251 # the bare call, which blocks the loop


async def run(connections: int, flags: list[str]) -> None:
    """Serve, and time what is asked for."""
    config = parse_arguments("asyncio", flags)
    server = Server(config)
    server.own(Bench(server, connections).run)
    await server.run(listen(config.host, config.port, config.backlog))


if __name__ == "__main__":
    flags = ["--port", "0", "--tick-rate", "0.0001", "--ping-interval", "86400", *sys.argv[2:]]
    with asyncio.Runner(loop_factory=choose_event_loop(parse_arguments("asyncio", flags))) as runner:
        runner.run(run(int(sys.argv[1]), flags))
