"""
What a message carries beside its payload, so that a loss shows: who published it, its number, and that before it.

A publisher numbers what it publishes, over all channels; a message names the number before it *in its channel*, zero
where there is none. What is missing between two messages is seen by whoever gets the second.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

PUBLISHER_BYTES = 8
MOST_CHANNELS = 4096
"""Channels whose last number a publisher keeps; one that is forgotten begins anew, at the price of a resync."""
MOST_PUBLISHERS = 256
"""Publishers whose last number a subscription keeps."""

_HEAD = struct.Struct(f">{PUBLISHER_BYTES}sQQ")


class Sealed(NamedTuple):
    """A message as it travels."""

    publisher: bytes
    number: int
    before: int
    """The number of the publisher's message before this one in the channel; 0 where it knows of none."""
    payload: bytes


def seal(message: Sealed) -> bytes:
    """Return a message as bytes."""
    return _HEAD.pack(message.publisher, message.number, message.before) + message.payload


def unseal(data: bytes) -> Sealed | None:
    """Return the message that these bytes are; None if they are none, as when a stranger uses the channel."""
    if len(data) < _HEAD.size:
        return None
    publisher, number, before = _HEAD.unpack_from(data)
    return Sealed(publisher, number, before, data[_HEAD.size :])


class Numbers:
    """The numbers that one publisher gives."""

    def __init__(self) -> None:
        self._last = 0
        self._in_channel: dict[str, int] = {}

    def next(self, channel: str) -> tuple[int, int]:
        """Return the number of the next message of a channel, and that of the one before it there."""
        self._last += 1
        before = self._in_channel.pop(channel, 0)
        if len(self._in_channel) >= MOST_CHANNELS:
            del self._in_channel[next(iter(self._in_channel))]  # the one that has been silent for longest
        self._in_channel[channel] = self._last
        return self._last, before


class Order:
    """What a subscription has of each publisher."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}

    def takes(self, publisher: bytes, number: int, before: int) -> tuple[bool, bool]:
        """
        Return whether a message is new, and whether others before it are missing.

        The first of a publisher misses nothing: what came before it was published before the subscription stood.
        """
        last = self._last.pop(publisher, None)
        if last is None and len(self._last) >= MOST_PUBLISHERS:
            del self._last[next(iter(self._last))]  # the one that has been silent for longest
        is_new = last is None or number > last
        self._last[publisher] = number if is_new or last is None else last
        return is_new, is_new and last is not None and before != last

    def begin(self) -> None:
        """Forget them: what comes from here on is a new beginning."""
        self._last.clear()
