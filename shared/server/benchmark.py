"""
The program of a backend's bench: it times fan-outs and waits for due times, block by block.

It is a generator of what has to be waited for, so that a backend adds no more than the waiting.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from shared.measure.blocks import ClockBlock, FanoutBlock, Timed, one_line, read_blocks, turns
from shared.server.base_server import BaseServer
from shared.system.heap import settle_heap
from shared.wire.frames import Opcode, server_frame

FLAGS = ("--port", "0", "--tick-rate", "0.0001", "--ping-interval", "86400")
"""Of the server that is timed: no room of it ticks by itself."""

ROOM = "main"

PAUSE_S = 0.02
"""Between two ticks."""

SETTLE_PAUSES = 250
"""After so many pauses readers that have not read are too slow for a bench."""

IDLE_PAUSES = 5
"""In which a bench finds out what a pause costs that follows upon nothing."""

BUSY = 4
"""So many times that, and the server is still sending."""

Act = Callable[[], Any]
"""What is to be called, and awaited if it is a coroutine's function."""


@dataclass(frozen=True, slots=True)
class Bench:
    """
    Times a server whose room has ``connections``, with ``socket`` and ``sleep`` as the system has them.

    A fan-out takes as long as its call, and the CPU time that the process uses behind it: what some libraries are
    given to send they only write later.
    """

    server: BaseServer
    clocks: dict[str, Any]  # the server's own is ``timerfd``
    fanouts: dict[str, Any]
    descriptor: Callable[[Any], int]  # of a member
    now_ns: Callable[[], int]
    cpu_ns: Callable[[], int]  # of the process, so far
    pause: Act
    socket: Any
    sleep: Callable[[float], None]
    connections: int

    def program(self, requests: Iterable[str]) -> Iterator[Act]:
        """Yield what is to be done until the room is full, which is said, and for each request, which is answered."""
        rooms = self.server.core.lobby.rooms
        while ROOM not in rooms or len(rooms[ROOM].members) < self.connections:  # there is no event for a full room
            yield self.pause
        members = rooms[ROOM].recipients()
        sockets = [self.socket(fileno=self.descriptor(member)) for member in members]
        settle_heap()
        print("full", flush=True)  # noqa: T201 # whoever asks waits for it
        try:
            for block in read_blocks(requests):  # nothing else goes on meanwhile, and nothing should
                us: dict[str, list[float]] = {way: [] for way in block.ways}
                if isinstance(block, FanoutBlock):
                    yield from self._fan_out(block, members, sockets, us)
                else:
                    yield from self._wait(block, members[: block.connections], us)
                print(one_line(Timed(us)), end="", flush=True)  # noqa: T201 # the answer
        finally:
            for sock in sockets:
                sock.detach()  # the descriptor is the connection's

    # Private methods

    def _fan_out(
        self, block: FanoutBlock, members: list[Any], sockets: list[Any], us: dict[str, list[float]]
    ) -> Iterator[Act]:
        audience, clock = self.server.room_loop(ROOM).audience, self.clocks["timerfd"]
        text = b"x" * block.text_bytes
        yield from self._settle(members, 0)
        idle_ns = yield from self._idle_ns()
        for way in turns(block.ways, block.ticks):
            began_ns = self.now_ns()
            if way == "raw":
                frame = server_frame(Opcode.TEXT, text)
                for sock in sockets:
                    if sock.send(frame) < len(frame):
                        raise RuntimeError("the kernel did not take all of a frame")
            elif way == "recording":  # what /stats and /metrics know of a tick
                now_us = clock.now_us()
                self.server.core.ticks.record(now_us - 5000, 250, 0, now_us - 4000, clock.now_us(), 50_000)
            else:
                audience.seat(members)
                yield partial(self.fanouts[way]().send, audience, text)
            took_ns = self.now_ns() - began_ns
            rest_ns = yield from self._settle(members, idle_ns)
            us[way].append((took_ns + (0 if way == "recording" else rest_ns)) / 1000 / len(members))

    def _idle_ns(self) -> Generator[Act, None, float]:
        """Return the CPU time of a pause with nothing to do, when some on end were alike: it may have been held up."""
        used_ns: list[int] = []
        for _ in range(SETTLE_PAUSES):
            began_ns = self.cpu_ns()
            yield self.pause
            used_ns.append(self.cpu_ns() - began_ns)
            last = used_ns[-IDLE_PAUSES:]
            if len(last) == IDLE_PAUSES and max(last) <= BUSY * min(last):
                return median(last)
        raise RuntimeError("the server never is idle")

    def _settle(self, members: list[Any], idle_ns: float) -> Generator[Act, None, float]:
        """
        Wait until all is sent and the readers have read it and sleep, as they do in a real period.

        Return the CPU time that was used meanwhile, beyond that of as many idle pauses (``idle_ns``; 0: not known yet).
        """
        rest_ns = 0.0
        for _ in range(SETTLE_PAUSES):
            began_ns = self.cpu_ns()
            yield self.pause
            used_ns = self.cpu_ns() - began_ns
            rest_ns += max(0, used_ns - idle_ns)
            if (not idle_ns or used_ns <= BUSY * idle_ns) and all(map(self._has_taken_all, members)):
                return rest_ns
        raise RuntimeError("the readers are too slow")

    def _has_taken_all(self, member: Any) -> bool:
        if not member.session.is_open:
            raise RuntimeError("a reader's connection has ended")
        waits = self.server.config.fanout == "naive"  # then no descriptor is offered to the ticks
        return bool(member.ws.unsent_bytes() == 0 if waits else member.fd >= 0)

    def _wait(self, block: ClockBlock, members: list[Any], us: dict[str, list[float]]) -> Iterator[Act]:
        audience, text = self.server.room_loop(ROOM).audience, b"x" * block.text_bytes
        now_us = self.clocks["timerfd"].now_us
        t0_us = now_us()
        for n, way in enumerate(turns(block.ways, block.ticks), 1):
            due_us = t0_us + int(n * 1_000_000 / block.rate_hz)
            if way == "time.sleep":
                while (wait_us := due_us - now_us()) > 0:
                    self.sleep(wait_us / 1_000_000)  # the bare call, which blocks the event loop
            else:
                yield partial(self.clocks[way].sleep_until, due_us)
            us[way].append(now_us() - due_us)
            if members:
                audience.seat(members)
                yield partial(self.fanouts["frame-once"]().send, audience, text)
