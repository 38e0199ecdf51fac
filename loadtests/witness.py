"""What a connection tells about itself, and to whom. No behaviour, only names."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from loadtests.arrivals import ArrivalLog


class Fate(Enum):
    """How a connection ended."""

    REFUSED = "refused"
    """By the server, before its first tick frame."""
    TIMED_OUT = "timed out"
    """By us: no first tick frame in time."""
    OWN_LIMIT = "own limit"
    """For want of descriptors, ports or memory on our side."""
    CLOSED_EARLY = "closed early"
    """By the server, or for an error of its, after its first tick frame."""
    LEFT = "left"
    """By us, on purpose."""


class Witness(Protocol):
    """Who is told what becomes of a connection; ``index`` is the connection's."""

    log: ArrivalLog

    def connected(self, index: int, started_us: int, arrival_us: int) -> None:
        """Take note that the first tick frame has arrived."""

    def ended(self, index: int, at_us: int, fate: Fate, why: str) -> None:
        """Take note that the connection is over; ``why`` is in words that can be counted."""

    def told(self, error: str) -> None:
        """Take note of an ``error`` command."""

    def ponged(self, rtt_us: int) -> None:
        """Take note that a ping was answered."""
