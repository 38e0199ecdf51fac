"""
A bounded queue of one connection's own messages, and the time since when its peer has been too slow for the ticks.

A writer puts in what it can't hand to the kernel yet, and takes it out when it can.
"""

from shared.wire.frames import Opcode
from shared.wire.session import Outgoing

MAX_MESSAGES = 16
"""For a connection that does not read; with one more it is a slow consumer. A close frame is always taken."""

LOW_WATER_BYTES = 16_384
"""``TCP_NOTSENT_LOWAT``: what the kernel holds unsent for a peer that does not read, or a little more than that."""

NO_LOW_WATER_BYTES = 2**31 - 1
"""For the last frames to a peer, for which nobody waits."""

FRAME_TURN = Outgoing(Opcode.CONTINUATION, b"")
"""Marks the place of a tick's frame that the writer itself holds; it is no message."""


class SlowConsumerError(Exception):
    """More messages wait for a connection than may."""


class Outbox:
    """
    The messages of one connection that wait, in order.

    Between its first skipped tick and its catch-up a connection is behind. Times are microseconds of one clock.
    """

    __slots__ = ("_is_spared", "_stalled_since_us", "_unsent_bytes", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Outgoing] = []
        self._stalled_since_us: int | None = None
        self._unsent_bytes = 0
        self._is_spared = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, outgoing: Outgoing, *, is_stuck: bool) -> None:
        """
        Queue a message; ``is_stuck`` says that the kernel has not taken all before it.

        Then only the newest pong is kept (RFC 6455, section 5.5.3).

        Raises:
            SlowConsumerError: it is stuck, and 16 messages wait already.

        """
        if not is_stuck:
            self._waiting.append(outgoing)
            return
        if outgoing.opcode is Opcode.PONG:
            self._waiting = [waiting for waiting in self._waiting if waiting.opcode is not Opcode.PONG]
        elif _is_message(outgoing) and sum(map(_is_message, self._waiting)) >= MAX_MESSAGES:
            raise SlowConsumerError
        self._waiting.append(outgoing)

    def take(self) -> Outgoing:
        """Remove and return the first message; IndexError where there is none."""
        return self._waiting.pop(0)

    def clear(self) -> None:
        """Drop all messages."""
        self._waiting.clear()

    # How slow it is

    @property
    def is_behind(self) -> bool:
        """Whether ticks were skipped for it that it has not caught up with."""
        return self._stalled_since_us is not None

    def note_skip(self, unsent_bytes: int, now_us: int) -> None:
        """Note that a tick was skipped, with ``unsent_bytes`` that the kernel has not taken yet."""
        if self._stalled_since_us is None:
            self._begin_to_stall(unsent_bytes, now_us)

    def note_catch_up(self) -> None:
        """Note that it has caught up."""
        self._stalled_since_us = None

    def stalled_us(self, unsent_bytes: int, now_us: int) -> int:
        """Return for how many us the kernel has taken nothing, counted from the first skipped tick; 0 if not behind."""
        if self._stalled_since_us is None:
            return 0
        if unsent_bytes != self._unsent_bytes or not unsent_bytes:
            self._begin_to_stall(unsent_bytes, now_us)
            return 0
        return now_us - self._stalled_since_us

    def spare(self, since_us: int) -> bool:
        """Count from ``since_us`` on instead, but only once until the kernel takes something; return whether it did."""
        if self._is_spared:
            return False
        self._is_spared, self._stalled_since_us = True, since_us
        return True

    def _begin_to_stall(self, unsent_bytes: int, now_us: int) -> None:
        self._stalled_since_us, self._unsent_bytes, self._is_spared = now_us, unsent_bytes, False


def _is_message(outgoing: Outgoing) -> bool:
    return outgoing.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.PING)
