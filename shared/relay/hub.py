"""
Our own hub: what a process says to it, and it to a process; who gets what.

One body is one item, as MessagePack. A Unix socket carries bodies behind their lengths (four bytes, network order), a
ZeroMQ socket as its messages. A process begins with a :class:`Hello`; whoever says something else first is told to
begin again (:class:`Stranger`), as happens when a hub is new and the connection was made again beneath us.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from shared.relay.bus import RelayError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from shared.relay.leases import LeaseTable

VERSION = 1
MOST_UNSENT_BYTES = 32 * 1024 * 1024
"""What a hub holds for a process that does not read; beyond it, the process is dropped, and comes again when it can."""
MOST_BODY_BYTES = 16 * 1024 * 1024 + 4096
"""The largest payload with its channel and envelope."""

_LENGTH = struct.Struct(">I")


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Begin. Answered with a :class:`Welcome`."""

    version: int = VERSION


class Publish(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Send data to whoever is subscribed. Not answered."""

    channel: str
    data: bytes


class Subscribe(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Get what is published from here on. Answered with a :class:`Subscribed`."""

    channel: str


class Unsubscribe(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Get it no more. Not answered."""

    channel: str


class Acquire(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Ask for a lease. Answered with an :class:`Answer`: its number or 0."""

    question: int
    name: str
    owner: str
    ttl_ms: int


class Renew(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Ask for more time. Answered with an :class:`Answer`: 1 or 0."""

    question: int
    name: str
    owner: str
    number: int
    ttl_ms: int


class Regain(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Ask for a lease back that may be over. Answered with an :class:`Answer`: 1 or 0."""

    question: int
    name: str
    owner: str
    number: int
    ttl_ms: int


class Release(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Give a lease back. Answered with an :class:`Answer`: 1 or 0."""

    question: int
    name: str
    number: int


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Ask whether it is there. Answered with a :class:`Pong`."""


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """You may go on."""


class Came(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Data was published."""

    channel: str
    data: bytes


class Subscribed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A subscription stands."""

    channel: str


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What a question of this number came to."""

    question: int
    value: int


class Pong(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """It is there."""


class Stranger(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The hub does not know who speaks: connect anew."""


Question = Acquire | Renew | Regain | Release
ToRelay = Publish | Subscribe | Unsubscribe | Question | Ping
FromRelay = Came | Subscribed | Answer | Pong

_encoder = msgspec.msgpack.Encoder()
_to_hub = msgspec.msgpack.Decoder(Hello | ToRelay)
_from_hub = msgspec.msgpack.Decoder(Welcome | FromRelay | Stranger)

encode = _encoder.encode
"""An item as a body."""


def decode_from_hub(body: bytes) -> Welcome | FromRelay | Stranger:
    """Return what a hub says; msgspec.DecodeError if it is no hub."""
    item: Welcome | FromRelay | Stranger = _from_hub.decode(body)
    return item


def check_welcome(body: bytes) -> None:
    """Raise RelayError, or msgspec.DecodeError, if that is not what a hub says first."""
    if decode_from_hub(body) != Welcome():
        raise RelayError("it is no relay of ours")


def read_bodies(bodies: Iterable[bytes]) -> list[FromRelay]:
    """Return what a hub says; RelayError if it does not know us, msgspec.DecodeError if it is no hub."""
    found: list[FromRelay] = []
    for item in map(decode_from_hub, bodies):
        if isinstance(item, Stranger):
            raise RelayError("it has begun anew")
        if not isinstance(item, Welcome):
            found.append(item)
    return found


def framed(body: bytes) -> bytes:
    """Return a body as a stream has it."""
    return _LENGTH.pack(len(body)) + body


class BodyReader:
    """Cuts a stream into bodies. RelayError for one that is too long: then it is no stream of ours."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the bodies that are whole by now."""
        self._data += data
        start = 0
        try:
            while len(self._data) - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._data, start)
                if length > MOST_BODY_BYTES:
                    raise RelayError(f"a body has {MOST_BODY_BYTES} bytes at most, not {length}")
                end = start + _LENGTH.size + length
                if len(self._data) < end:
                    break
                body = bytes(self._data[start + _LENGTH.size : end])
                start = end
                yield body
        finally:
            del self._data[:start]


C = TypeVar("C", bound="Hashable")


class Hub(Generic[C]):
    """
    Takes bodies of processes and hands out those that they are to get.

    ``send(process, body)`` is what carries them. A process that has left or was dropped is told to the hub by
    :meth:`left`; the hub drops nobody by itself.
    """

    def __init__(self, leases: LeaseTable, send: Callable[[C, bytes], None]) -> None:
        self._leases = leases
        self._send = send
        self._subscribers: dict[str, dict[C, None]] = {}
        self._channels: dict[C, set[str]] = {}

    def __len__(self) -> int:
        return len(self._channels)

    def came(self, process: C, body: bytes, now_ms: int, wall_ms: int) -> None:
        """Do what a process says; msgspec.DecodeError if it can't be read: whoever said it is to be dropped."""
        item = _to_hub.decode(body)
        if isinstance(item, Hello):
            self.left(process)
            self._channels[process] = set()
            self._send(process, encode(Welcome()))
        elif process not in self._channels:
            self._send(process, encode(Stranger()))
        elif isinstance(item, Publish):
            self._publish(item)
        elif isinstance(item, Subscribe):
            self._subscribers.setdefault(item.channel, {})[process] = None
            self._channels[process].add(item.channel)
            self._send(process, encode(Subscribed(item.channel)))
        elif isinstance(item, Unsubscribe):
            self._channels[process].discard(item.channel)
            self._remove(process, item.channel)
        elif isinstance(item, Ping):
            self._send(process, encode(Pong()))
        else:
            self._send(process, encode(Answer(item.question, self._answer(item, now_ms, wall_ms))))

    def left(self, process: C) -> None:
        """Forget a process; its leases run out by themselves."""
        for channel in self._channels.pop(process, ()):
            self._remove(process, channel)

    # Private methods

    def _publish(self, item: Publish) -> None:
        subscribers = self._subscribers.get(item.channel)
        if subscribers:
            body = encode(Came(item.channel, item.data))
            for process in list(subscribers):  # sending may find out that somebody has left
                self._send(process, body)

    def _remove(self, process: C, channel: str) -> None:
        subscribers = self._subscribers.get(channel, {})
        subscribers.pop(process, None)
        if not subscribers:
            self._subscribers.pop(channel, None)

    def _answer(self, item: Question, now_ms: int, wall_ms: int) -> int:
        if isinstance(item, Acquire):
            return self._leases.acquire(item.name, item.owner, item.ttl_ms, now_ms, wall_ms) or 0
        if isinstance(item, Renew):
            return int(self._leases.renew(item.name, item.owner, item.number, item.ttl_ms, now_ms))
        if isinstance(item, Regain):
            return int(self._leases.regain(item.name, item.owner, item.number, item.ttl_ms, now_ms))
        return int(self._leases.release(item.name, item.number, now_ms))
