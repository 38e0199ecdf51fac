"""How a connection can end, and the observer that is told what becomes of connections."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from loadtests.receive.arrivals import ArrivalLog, ArrivedTick

COME_AGAIN_CODES: Final = frozenset((1001, 1012, 1013))
"""Going away, restarting, try again later (IANA's registry of close codes): the next connection may be welcome."""
COME_AGAIN_STATUSES: Final = frozenset(("HTTP status 502", "HTTP status 503", "HTTP status 504"))
"""What a server that stops says, and a proxy whose server is gone."""
HTTP_STATUS: Final = "HTTP status "
"""How the reason of a refusal by HTTP begins."""


class Fate(Enum):
    """How a connection ended."""

    REFUSED = "refused"
    """By the server, before its first tick frame."""
    TIMED_OUT = "timed out"
    """By us: no first tick frame in time."""
    OWN_LIMIT = "own limit"
    """For want of descriptors, ports or memory on our side."""
    CLOSED_EARLY = "closed early"
    """By the server, or for an error of the server's, after its first tick frame."""
    LEFT = "left"
    """By us, on purpose."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one connection."""

    fate: Fate
    why: str
    """In words without variable parts, so that equal reasons can be counted."""
    at_us: int
    """When, on CLOCK_REALTIME: what was sent later did not reach us."""
    close_code: int | None = None
    """Of the server's close frame, where it was the first to close."""
    broke_protocol: bool = False
    """The server sent what RFC 6455 or the wire protocol forbids: ``why`` says what."""
    complete: bool = False
    """The server's close frame followed the last frame that we got: nothing that it sent is missing."""

    @property
    def may_come_again(self) -> bool:
        """
        Whether another connection may be welcome, after this one was lost.

        It is not where we ended it ourselves, or want for something, where the server broke the protocol, and where it
        said by its code or status that it does not want us.
        """
        if self.fate in {Fate.LEFT, Fate.OWN_LIMIT} or self.broke_protocol:
            return False
        if self.close_code is not None:
            return self.close_code in COME_AGAIN_CODES
        return not self.why.startswith(HTTP_STATUS) or self.why in COME_AGAIN_STATUSES


class ConnectionObserver:
    """
    Is told what becomes of each connection, by its ``index``; this one takes no note.

    Times are microseconds of CLOCK_REALTIME.

    """

    def __init__(self) -> None:
        self.log = ArrivalLog()

    def entered(self, index: int, arrival_us: int) -> None:
        """Take note that the server has said that all later ticks will come."""

    def secured(self, index: int, us: int) -> None:
        """Take note that the handshake of TLS took so many microseconds, from the first byte sent to the last read."""

    def agreed(self, index: int, extensions: str) -> None:
        """Take note which extensions the server agreed on, as in its answer; empty: none."""

    def began(self, index: int, tick: ArrivedTick) -> None:
        """Take note which tick was the first that arrived; :meth:`connected` follows."""

    def connected(self, index: int, started_us: int, arrival_us: int) -> None:
        """Take note that the first tick frame has arrived."""

    def ended(self, index: int, ending: Ending) -> None:
        """Take note that the connection is over."""

    def told(self, index: int, error: str) -> None:
        """Take note of an ``error`` command."""

    def ponged(self, sent_us: int, server_us: int, arrival_us: int) -> None:
        """Take note that a ping sent at ``sent_us`` was answered, by the server's clock at ``server_us``."""
