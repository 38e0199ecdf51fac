"""
The bus: what it promises, whatever carries it, and what a subscriber gets.

A ``Bus`` (``backends/*/relay/bus.py``; asyncio's waits are awaited) has

- ``publish(channel, payload) -> bool``: hands bytes over, and never waits. False: they are lost, for the relay is gone
  or takes less than is published;
- ``subscribe(channel) -> Subscription``: whatever is published from its return on is received, by its own process too.
  It waits for the relay's word, but not for a relay that is gone: then the first thing to come is a :class:`Down`;
- ``unsubscribe(subscription)``: from its return on nothing comes;
- ``acquire``, ``renew``, ``regain`` and ``release``: see :mod:`shared.relay.leases`;
- ``close()``: leaves no descriptor, no thread and nothing that waits.

A subscription's ``next(timeout_s)`` is one of the four things below. Promised is

- *at most once*, and *in order* of one publisher and channel. Between publishers there is no order;
- *bounded memory*: a subscriber that reads too slowly loses everything that waits for it, and is told so
  (:class:`Lagged`);
- *no silent loss*: where a message of a publisher is missing between two others, there is a :class:`Lagged` in its
  place. What is lost at the end of a stream shows when the stream goes on;
- *a relay that is gone* is told (:class:`Down`), looked for again and again with growing pauses
  (:mod:`shared.relay.backoff`), and told when it is back and the subscription stands again (:class:`Up`). What was
  published meanwhile is lost.

Behind a :class:`Lagged` or an :class:`Up`, a subscriber has to resync: what it has may be too old for what comes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from errno import ECONNREFUSED
from typing import Protocol

MOST_PAYLOAD_BYTES = 16 * 1024 * 1024
"""The largest message: the whole field of 1,000 x 1,000 cells goes through."""
MOST_WAITING = 256
"""Messages that may wait for one subscriber, or to be sent."""
MOST_WAITING_BYTES = 16 * 1024 * 1024
"""Bytes of them; one message may be larger than what is left."""
MOST_CHANNEL_BYTES = 128
"""The longest name of a channel, in UTF-8."""

PING_S = 0.5
"""After how long without anything to send a relay is asked whether it is there."""
SILENCE_S = 2.0
"""After how long without a word, or without taking what is sent, it counts as gone."""
ANSWER_S = 2.0
"""How long the answer to a question is waited for."""


class RelayError(Exception):
    """The relay is gone, or does not answer: whether it did what it was asked for is not known."""


class Bell(Protocol):
    """What wakes who waits: an event of asyncio or of gevent."""

    def set(self) -> None:
        """Wake them."""


@dataclass(frozen=True, slots=True)
class Message:
    """What was published."""

    payload: bytes
    publisher: bytes = b""
    """Which bus it came from: eight bytes that no other has."""


@dataclass(frozen=True, slots=True)
class Lagged:
    """Messages are missing here: resync."""


@dataclass(frozen=True, slots=True)
class Down:
    """The relay is gone; nothing comes until it is back."""

    why: str


@dataclass(frozen=True, slots=True)
class Up:
    """The relay is back, and sends again what is published from here on: resync."""


Event = Message | Lagged | Down | Up


def why(error: Exception) -> str:
    """Say why a relay is gone."""
    return "it does not answer" if isinstance(error, TimeoutError) and not str(error) else str(error)


def is_absent(error: BaseException | None) -> bool:
    """Say whether an error to connect means that nobody listens there: then the relay is there for nobody else, too."""
    if error is None:
        return False
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return True
    if isinstance(error, OSError) and (numbers := re.findall(r"\[Errno (\d+)\]", str(error))):  # of several addresses
        return all(int(number) == ECONNREFUSED for number in numbers)
    return is_absent(error.__cause__) or is_absent(error.__context__)


def check_channel(channel: str) -> None:
    """Raise ValueError if that is no name of a channel."""
    if not 0 < len(channel.encode()) <= MOST_CHANNEL_BYTES:
        raise ValueError(f"a channel's name has 1 to {MOST_CHANNEL_BYTES} bytes, not {len(channel.encode())}")


def channel_of(group: str) -> str:
    """Return the channel that a group is."""
    return f"group/{group}"


def check_payload(payload: bytes) -> None:
    """Raise ValueError if that is too large for a message."""
    if len(payload) > MOST_PAYLOAD_BYTES:
        raise ValueError(f"a message has {MOST_PAYLOAD_BYTES} bytes at most, not {len(payload)}")
