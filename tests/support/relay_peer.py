"""
A process that has buses, and does with them what it is told: ``python relay_peer.py BACKEND FD``.

Each line that comes over the socket is one order in JSON, ``[verb, ...]``; each answer one line. A test has one process
of each backend for many buses: what is told of them is the same for both.
"""

import sys
import time

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()

import asyncio
import json
import socket
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from shared.relay.bus import Down, Event, Lagged, Message, RelayError, Up
from shared.relay.url import parse_relay_url

LINE_BYTES = 1_000_000


def told(event: Event | None) -> list[Any] | None:
    """Return an event as JSON."""
    match event:
        case Message(payload, _):
            return ["message", payload.rstrip(b".").decode(), len(payload)]
        case Lagged():
            return ["lagged"]
        case Down(why):
            return ["down", why]
        case Up():
            return ["up"]
    return None


def lateness_us(event: Event | None) -> float:
    """Return how long ago that was published, by :meth:`Peer.publish_time`; both processes have the same clock."""
    assert isinstance(event, Message), event
    return (time.monotonic_ns() - int(event.payload.rstrip(b"."))) / 1000


AFTER = {"next": told, "late": lateness_us}
"""What is answered of what comes of an order."""


class Peer:
    """What both backends do alike; ``make_...`` make what is on a bus."""

    def __init__(self, make: Any, make_lease: Any, make_groups: Any) -> None:
        self.make, self.make_lease, self.make_groups = make, make_lease, make_groups
        self.groups: dict[str, Any] = {}
        self.got: list[Any] = []
        self.leases: dict[str, Any] = {}
        self.buses: dict[str, Any] = {}
        self.subscriptions: dict[str, Any] = {}

    def order(self, verb: str, *arguments: Any) -> Any:
        """Do what is told; what has to be awaited is returned as it is."""
        return getattr(self, verb)(*arguments)

    def held(self) -> list[int]:
        """Return how many descriptors and threads this process has."""
        return [len(list(Path(f"/proc/self/{what}").iterdir())) for what in ("fd", "task")]

    def open(self, bus: str, url: str) -> Any:
        self.buses[bus] = self.make(parse_relay_url(url))
        return self.buses[bus].open()

    def is_up(self, bus: str) -> bool:
        return bool(self.buses[bus].core.is_up)

    def publish(self, bus: str, channel: str, texts: list[str], size: int) -> list[bool]:
        return [self.buses[bus].publish(channel, text.encode().ljust(size, b".")) for text in texts]

    def subscribe(self, bus: str, channel: str) -> Any:
        return self.buses[bus].subscribe(channel)

    def keep(self, name: str, subscription: Any) -> None:
        self.subscriptions[name] = subscription

    def unsubscribe(self, bus: str, name: str) -> Any:
        return self.buses[bus].unsubscribe(self.subscriptions[name])

    def next(self, name: str, timeout_s: float) -> Any:
        return self.subscriptions[name].next(timeout_s)

    def late(self, name: str, timeout_s: float) -> Any:
        return self.subscriptions[name].next(timeout_s)

    def publish_time(self, bus: str, channel: str, size: int) -> bool:
        return bool(self.buses[bus].publish(channel, str(time.monotonic_ns()).encode().ljust(size, b".")))

    def waiting(self, name: str) -> int:
        return len(self.subscriptions[name].mailbox)

    def acquire(self, bus: str, name: str, owner: str, ttl_s: float) -> Any:
        return self.buses[bus].acquire(name, owner, ttl_s)

    def renew(self, bus: str, name: str, owner: str, number: int, ttl_s: float) -> Any:
        return self.buses[bus].renew(name, owner, number, ttl_s)

    def release(self, bus: str, name: str, number: int) -> Any:
        return self.buses[bus].release(name, number)

    def lease(self, name: str, bus: str, room: str, owner: str, ttl_s: float) -> None:
        self.leases[name] = self.make_lease(self.buses[bus], room, owner, ttl_s)
        self.leases[name].open()

    def number(self, name: str) -> int:
        return int(self.leases[name].number)

    def change(self, name: str, number: int, timeout_s: float) -> Any:
        return self.leases[name].change(number, timeout_s)

    def end_lease(self, name: str) -> Any:
        return self.leases.pop(name).close()

    def group(self, name: str, bus: str) -> None:
        self.groups[name] = self.make_groups(
            self.buses[bus], lambda member, event: self.got.append([member, told(event)])
        )

    def add(self, name: str, group: str, member: str) -> Any:
        return self.groups[name].add(group, member)

    def discard(self, name: str, group: str, member: str) -> Any:
        return self.groups[name].discard(group, member)

    def send(self, name: str, group: str, text: str) -> bool:
        return bool(self.groups[name].send(group, text.encode()))

    def deliveries(self) -> list[Any]:
        got, self.got = self.got, []
        return got

    def end_groups(self, name: str) -> Any:
        return self.groups[name].close()

    def close(self, bus: str) -> Any:
        return self.buses.pop(bus).close()


def serve_gevent(sock: socket.socket) -> None:
    """Take orders until the socket is closed."""
    from backends.gevent_server.relay.bus import Bus  # noqa: PLC0415 # one of the two
    from backends.gevent_server.relay.groups import Groups  # noqa: PLC0415
    from backends.gevent_server.relay.lease import Lease  # noqa: PLC0415

    peer = Peer(Bus, Lease, Groups)
    with sock.makefile("rw") as lines:
        for line in lines:
            verb, *arguments = json.loads(line)
            try:
                if verb == "subscribe":
                    peer.order("keep", arguments[2], peer.order("subscribe", *arguments[:2]))
                    answer = None
                else:
                    answer = peer.order(verb, *arguments)
            except RelayError as error:
                answer = {"error": str(error)}
            lines.write(json.dumps(AFTER[verb](answer) if verb in AFTER else answer) + "\n")
            lines.flush()


async def serve_asyncio(sock: socket.socket) -> None:
    """Take orders until the socket is closed."""
    from backends.asyncio_server.relay.bus import Bus  # noqa: PLC0415 # one of the two
    from backends.asyncio_server.relay.groups import Groups  # noqa: PLC0415
    from backends.asyncio_server.relay.lease import Lease  # noqa: PLC0415

    peer = Peer(Bus, Lease, Groups)
    reader, writer = await asyncio.open_connection(sock=sock, limit=LINE_BYTES)
    while line := await reader.readline():
        verb, *arguments = json.loads(line)
        try:
            answer = peer.order(verb, *arguments[:2]) if verb == "subscribe" else peer.order(verb, *arguments)
            if isinstance(answer, Awaitable):
                answer = await answer
            if verb == "subscribe":
                answer = peer.order("keep", arguments[2], answer)
        except RelayError as error:
            answer = {"error": str(error)}
        writer.write(json.dumps(AFTER[verb](answer) if verb in AFTER else answer).encode() + b"\n")
        await writer.drain()
    writer.close()
    await writer.wait_closed()


if __name__ == "__main__":
    ours = socket.socket(fileno=int(sys.argv[2]))
    if sys.argv[1] == "gevent":
        serve_gevent(ours)
    else:
        asyncio.run(serve_asyncio(ours))
