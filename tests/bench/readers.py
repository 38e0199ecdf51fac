"""
What it costs to be told that a frame can be read: by a watcher of gevent's each, by one epoll for all, at the least.

The first is what the load test does. The second, an epoll of our own that the hub watches as one file, was to spare
libev's and gevent's part in each frame, and turns of the hub; it stands here to be asked again when either changes.

``python -m tests.bench.readers [--rounds 3] [--connections 500] [--seconds 1] [--json FILE]``. The planted server has
the first core, connections of the load test are in this process on the last one. In a round each way of travelling has
a server and connections, which are watched in one way after the other, from round to round in another order; the bare
loop (``epoll``, ``recvmsg_into`` and no more) comes last, as it leaves streams behind that nobody can go on with.
Measured is CPU time a frame: as frames come, and when those of a tick have all come before the first is read.
"""

import argparse
import json
import os
import select
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from socket import AF_INET
from typing import Any

import gevent
from gevent.pool import Pool

from loadtests.receive.arrivals import Latest
from loadtests.receive.connection import Connection
from loadtests.receive.endings import ConnectionObserver
from loadtests.receive.stamps import ANCILLARY_BYTES, now_us
from shared.system.descriptors import allow_many_descriptors
from shared.wire.target import parse_target
from tests.loadtests.conftest import planted
from tests.support.certificates import Authority
from tests.support.planted_law import Law

LAW = Law(tick_rate_hz=20, pad_bytes=350)
TRAVEL = {"plain": ("", False), "compressed": ("own", False), "TLS": ("", True)}
"""How contexts are kept, and whether through TLS."""
WAYS = ("a watcher each", "one epoll")
LEAST = "bare loop"
PACES = ("as they come", "all waiting")
GREETING = b'["new_player","load0"]'
READ = 1
MOST_EVENTS = 128
"""The most that are read in one go: then others have their turn."""
MOST_ROUNDS = 8
"""So often it is asked what there is, and what has come meanwhile, before the hub goes round."""


@dataclass(frozen=True)
class Outcome:
    round: int
    travel: str
    way: str
    pace: str
    frames: int
    us_a_frame: float


class OneEpoll:
    """One epoll for all connections, which the hub watches as one file."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}
        self._watcher: Any = gevent.get_hub().loop.io(self._epoll.fileno(), READ)
        self._watcher.start(self._on_ready)

    def add(self, descriptor: int, reader: "Reader") -> None:
        self._epoll.register(descriptor, select.EPOLLIN)
        self._readers[descriptor] = reader

    def discard(self, descriptor: int) -> None:
        if self._readers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        self._epoll.close()

    def _on_ready(self) -> None:
        readers, poll = self._readers, self._epoll.poll
        for _ in range(MOST_ROUNDS):
            events = poll(0, MOST_EVENTS)
            for descriptor, _events in events:
                reader = readers.get(descriptor)
                if reader is None:  # one that was called before it has ended it
                    continue
                try:
                    reader.callback(*reader.args)
                except BaseException:  # noqa: BLE001 - as the hub does; the others are called all the same
                    gevent.get_hub().handle_error(self._watcher, *sys.exc_info())
            if not events or len(events) == MOST_EVENTS:
                return


class Reader:
    """As much of a watcher of the hub's as a connection has a use for."""

    __slots__ = ("_descriptor", "_epoll", "args", "callback")

    def __init__(self, epoll: OneEpoll, descriptor: int) -> None:
        self._epoll = epoll
        self._descriptor = descriptor
        self.callback: Callable[..., None]
        self.args: tuple[Any, ...]

    def start(self, callback: Callable[..., None], *args: Any) -> None:
        self.callback, self.args = callback, args
        self._epoll.add(self._descriptor, self)

    def stop(self) -> None:
        self._epoll.discard(self._descriptor)

    close = stop


@dataclass
class Crowd:
    """Connections that all get the same ticks."""

    connections: list[Connection]
    observer: ConnectionObserver
    latest: Latest
    epoll: OneEpoll

    @property
    def frames(self) -> int:
        return len(self.observer.log)

    def watch(self, way: str) -> None:
        """Have all be watched in another way."""
        for connection in self.connections:
            if connection.is_over:
                sys.exit(f"{way}: a connection has come to its end")
            callback, arguments = connection._on_read()
            connection._reader.stop()
            connection._reader.close()
            connection._reader = self._reader(way, connection._socket.fileno())  # type: ignore[union-attr] # it is not over
            connection._reader.start(callback, *arguments)

    def pauses(self, seconds: float) -> Iterator[None]:
        """Block, and yield whenever all of a tick have come."""
        period_us = LAW.period_us
        due_us = self.observer.log.frame(self.latest.number).due_us + period_us // 2
        for _ in range(round(seconds * LAW.tick_rate_hz)):
            due_us += period_us * max(1, -((due_us - now_us()) // period_us))
            time.sleep(max(0, due_us - now_us()) / 1e6)
            yield

    def _reader(self, way: str, descriptor: int) -> Any:
        return gevent.get_hub().loop.io(descriptor, READ) if way == WAYS[0] else Reader(self.epoll, descriptor)


@contextmanager
def last_core() -> Iterator[None]:
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(usable)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


@contextmanager
def crowd(travel: str, count: int) -> Iterator[Crowd]:
    """Connect to a planted server, and wait until all get ticks."""
    deflate, secure = TRAVEL[travel]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate = str(Authority(folder).certify("bench", "IP:127.0.0.1").both) if secure else ""
        with planted(replace(LAW, deflate=deflate, tls=certificate), folder, pinned=True) as server, last_core():
            target, address = replace(parse_target(server.url), verifies=False), (AF_INET, ("127.0.0.1", server.port))
            observer = ConnectionObserver()
            latest = observer.log.latest("main")
            connections = [
                Connection(target, address, index, observer, lambda: GREETING, latest, may_deflate=bool(deflate))
                for index in range(count)
            ]
            came = Pool(50).map(lambda connection: connection.open(20), connections)
            if not all(came):
                sys.exit(f"{travel}: {came.count(False)} of {count} connections got no tick")
            epoll = OneEpoll()
            yield Crowd(connections, observer, connections[0]._latest, epoll)
            for connection in connections:
                connection._release()
            epoll.close()


def cost(frames: Callable[[], int], work: Callable[[], None]) -> tuple[int, float]:
    """Return how many frames came, and how much CPU time each took, in microseconds."""
    before, began_ns = frames(), time.process_time_ns()
    work()
    came = frames() - before
    return came, (time.process_time_ns() - began_ns) / 1000 / max(1, came)


def watched(of: Crowd, pace: str, seconds: float) -> tuple[int, float]:
    if pace == PACES[0]:
        return cost(lambda: of.frames, lambda: gevent.sleep(seconds))

    def work() -> None:
        for _ in of.pauses(seconds):
            all_read = of.frames + len(of.connections)
            for _ in range(25):
                gevent.sleep(0.001)
                if of.frames >= all_read:
                    break

    return cost(lambda: of.frames, work)


def bare(of: Crowd, pace: str, seconds: float) -> tuple[int, float]:
    epoll, receive, buffers = select.epoll(), {}, [bytearray(256 * 1024)]
    for connection in of.connections:
        connection._reader.stop()
        if connection._socket is not None:
            descriptor = connection._socket.fileno()
            epoll.register(descriptor, select.EPOLLIN)
            receive[descriptor] = connection._socket.recvmsg_into
    frames = 0

    def read(timeout_s: float) -> bool:
        nonlocal frames
        events = epoll.poll(timeout_s, len(receive))
        for descriptor, _ in events:
            receive[descriptor](buffers, ANCILLARY_BYTES)
        frames += len(events)
        return bool(events)

    def work() -> None:
        if pace == PACES[0]:
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                read(0.05)
        else:
            for _ in of.pauses(seconds):
                while read(0):
                    pass

    with epoll:
        return cost(lambda: frames, work)


def run(number: int, asked: argparse.Namespace) -> Iterator[Outcome]:
    for travel in TRAVEL:
        with crowd(travel, asked.connections) as of:
            ways = [*WAYS[number % len(WAYS) :], *WAYS[: number % len(WAYS)]]
            for way in ways if number % 2 == 0 else reversed(ways):
                of.watch(way)
                gevent.sleep(0.2)
                for pace in PACES:
                    yield Outcome(number, travel, way, pace, *watched(of, pace, asked.seconds))
            for pace in PACES:
                yield Outcome(number, travel, LEAST, pace, *bare(of, pace, asked.seconds))


def conclude(outcomes: list[Outcome]) -> None:
    for travel in TRAVEL:
        for pace in PACES:
            here = [each for each in outcomes if (each.travel, each.pace) == (travel, pace)]
            of = {way: {each.round: each.us_a_frame for each in here if each.way == way} for way in (*WAYS, LEAST)}
            for way, costs in of.items():
                words = f"{travel}, {pace}, {way}: {spread(list(costs.values()))} us a frame"
                for other in (WAYS[0], LEAST):
                    if way != other:
                        words += f"; to {other} {spread([costs[number] / of[other][number] for number in costs])}"
                sys.stdout.write(words + "\n")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each way, at each pace")
    parser.add_argument("--json", type=Path, help="where all figures are written")
    asked = parser.parse_args()
    allow_many_descriptors()
    outcomes: list[Outcome] = []
    for number in range(asked.rounds):
        outcomes += run(number, asked)
    if asked.json is not None:
        asked.json.write_text(json.dumps([vars(outcome) for outcome in outcomes], indent=1) + "\n")
    conclude(outcomes)


if __name__ == "__main__":
    main()
