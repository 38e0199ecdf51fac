"""
Keeps a room from having two owners: what an owner may do, and what everybody else takes of it.

An owner that was stopped (SIGSTOP, a host that swaps) and comes back does not know that its lease went to another. Two
things hold it off: its own clock says that the lease is over (:class:`Tenure`) before it ticks, and whoever has heard
of a newer owner takes nothing that carries an older number (:class:`Fence`). The clock of a machine that was suspended
stood still, as that of a virtual one may: then it is the fence alone.
"""

from __future__ import annotations

import struct

_NUMBER = struct.Struct(">Q")


def stamp(number: int, payload: bytes) -> bytes:
    """Return a payload with the number of the lease under which it was made."""
    return _NUMBER.pack(number) + payload


def read_stamp(data: bytes) -> tuple[int, bytes]:
    """Return number and payload; ValueError if there is no number."""
    if len(data) < _NUMBER.size:
        raise ValueError("no fencing number in front of it")
    return _NUMBER.unpack_from(data)[0], data[_NUMBER.size :]


class Fence:
    """The newest owner of a room that somebody has heard of. ``refused`` counts what came from older ones."""

    def __init__(self) -> None:
        self.newest = 0
        self.refused = 0

    def admits(self, number: int) -> bool:
        """Return whether to take something that carries this number."""
        if number < self.newest:
            self.refused += 1
            return False
        self.newest = number
        return True


class Tenure:
    """
    How long an owner may act, by its own clock.

    Its time counts from *before* it asked: it is over no later than the lease in the relay, however long the answer
    took.
    """

    def __init__(self, number: int, ttl_s: float, asked_at_s: float) -> None:
        self.number = number
        self.ttl_s = ttl_s
        self.until_s = asked_at_s + ttl_s

    def holds(self, now_s: float) -> bool:
        """Return whether the lease is still its own; if not, it must neither act nor renew, but ask for it back."""
        return now_s < self.until_s

    def renewed(self, asked_at_s: float) -> None:
        """Take it that the relay renewed it, as it was asked to at that time."""
        self.until_s = max(self.until_s, asked_at_s + self.ttl_s)

    def end(self) -> None:
        """Take it that it is lost, or was given back."""
        self.until_s = float("-inf")
