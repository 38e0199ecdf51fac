"""
What one connection is still owed, bounded: messages of its own that wait for their turn, and since when it is slow.

Knows nothing of sockets: a writer puts in what it can't hand over yet, and takes out when it can.
"""

from shared.wire.frames import Opcode
from shared.wire.session import Outgoing

MAX_MESSAGES = 16
"""Of its own for a connection that does not read; one more and it is a slow consumer. The close frame has a seat."""

LOW_WATER_BYTES = 16_384
"""``TCP_NOTSENT_LOWAT``: what the kernel holds unsent for a peer that does not read, or a little more than that."""

NO_LOW_WATER_BYTES = 2**31 - 1
"""For a peer's last words, which nobody waits for."""

FRAME_TURN = Outgoing(Opcode.CONTINUATION, b"")
"""Put in where a tick's frame that the writer itself holds has its turn; it is no message."""


class SlowConsumerError(Exception):
    """A connection is owed more than it may be."""


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
        Let a message wait: for the kernel if that ``is_stuck``, else for the writer's turn.

        Who is stuck gets of all pongs the newest only (RFC 6455, section 5.5.3).

        Raises:
            SlowConsumerError: it is stuck, and there are 16 already.

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
        """Return the message whose turn it is, and forget it."""
        return self._waiting.pop(0)

    def clear(self) -> None:
        """Forget what waits."""
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
        """Note that it is behind no more."""
        self._stalled_since_us = None

    def stalled_us(self, unsent_bytes: int, now_us: int) -> int:
        """Return how long the kernel has taken nothing of what it should, counted from the first skipped tick."""
        if self._stalled_since_us is None:
            return 0
        if unsent_bytes != self._unsent_bytes or not unsent_bytes:
            self._begin_to_stall(unsent_bytes, now_us)
            return 0
        return now_us - self._stalled_since_us

    def spare(self, since_us: int) -> bool:
        """Count from ``since_us`` on instead, once until the kernel takes something; return whether it does."""
        if self._is_spared:
            return False
        self._is_spared, self._stalled_since_us = True, since_us
        return True

    def _begin_to_stall(self, unsent_bytes: int, now_us: int) -> None:
        self._stalled_since_us, self._unsent_bytes, self._is_spared = now_us, unsent_bytes, False


def _is_message(outgoing: Outgoing) -> bool:
    return outgoing.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.PING)
