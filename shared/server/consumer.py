"""
What a connection does about a peer that does not take its frames, the same on every stack: skip, catch up, end.

A backend's connection adds the reading and the waiting. Knows nothing of sockets, tasks or clocks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Protocol

from shared.rooms.audience import Audience
from shared.rooms.room import Room
from shared.server.core import ServerCore
from shared.wire.frames import CloseCode, Opcode
from shared.wire.messages import ClientMessage, ErrorText, NewPlayer, encode_commands
from shared.wire.outbox import Outbox
from shared.wire.session import SPARED_S, TOO_SLOW, Outgoing, Session


class Outlet(Protocol):
    """What a connection's writer tells and takes without waiting."""

    outbox: Outbox

    def is_drained(self) -> bool:
        """Whether the kernel has taken all."""

    def unsent_bytes(self) -> int:
        """Return how much the kernel has not taken yet."""

    def keep(self, rest: bytes) -> None:
        """Send what the kernel did not take of a tick's frame that was written to the descriptor."""

    def cut_off(self, last: list[Outgoing]) -> None:
        """Hand over the rest of what is on its way and ``last``, the close frame, and hang up; nothing more."""


class Consumer(ABC):
    """
    A member of a room, or on its way to become one; with no room, one of ``/echo``.

    ``fd`` is its descriptor while a tick's frame may be written to it, else -1.
    """

    __slots__ = ("audience", "core", "fd", "room", "serial", "session", "wakes_us", "writer")

    writer: Outlet

    def __init__(
        self, core: ServerCore[Any], session: Session, room: Room[Any] | None, audience: Audience[Any] | None
    ) -> None:
        self.core = core
        self.session = session
        self.room = room
        self.audience = audience
        self.fd = -1
        self.serial = core.roster.next_serial()
        self.wakes_us = 0  # when the server is to wake it

    @abstractmethod
    def abort(self) -> None:
        """End it at once."""

    def hear(self, opcode: Opcode, data: str | bytes | int, now_us: int) -> ClientMessage | None:
        """Take a message; return what the room has to know of it. Nobody enters whom the ticks have no time for."""
        message = self.session.receive(opcode, data, now_us)
        if not isinstance(message, NewPlayer):
            return message
        if why := self.core.refuse_entry(now_us):
            self.core.counters.busy_closed += 1
            self.session.send(encode_commands([ErrorText(why)]))
            self.session.close(CloseCode.TRY_AGAIN_LATER, why, now_us)
            return None
        self.core.roster.enter(self)
        return message

    def offer(self, fd: int) -> None:
        """Let ticks' frames be written to ``fd``, or, if that is -1, none."""
        if fd != self.fd:
            self.fd = fd
            if self.audience:
                self.audience.is_stale = True

    def let_go(self) -> None:
        """Let a room that it left as the last one hold nobody: an empty room has no tick, and may stay for a while."""
        if self.audience and self.room and not self.room.members:
            self.audience.seat([])

    def skip(self, now_us: int) -> None:
        """Take note that a tick was skipped for it."""
        self.writer.outbox.note_skip(self.writer.unsent_bytes(), now_us)
        self.core.roster.watch(self)

    @property
    def is_ready(self) -> bool:
        """Whether it has missed frames, and the kernel has taken all before them."""
        return self.session.is_open and self.writer.outbox.is_behind and self.writer.is_drained()

    def take_missed(self, field: bytes) -> Outgoing:
        """Return what it has missed, ``field`` as it is now before all else; it is behind no more."""
        self.writer.outbox.note_catch_up()
        self.core.roster.slow.discard(self)
        return Outgoing(Opcode.TEXT, self.room.catch_up(self, field) if self.room else field)

    def watch(self, now_us: int) -> None:
        """End it as a slow consumer if its time is up, or if it has not even taken that."""
        if not self.session.is_open:
            if now_us >= self.session.deadline_us and not self.session.spare(now_us):
                self.abort()
        elif self._has_stalled(now_us) or (self.room and self.room.owes_too_much(self)):
            self.end_slow((), now_us)

    def end_slow(self, waiting: Iterable[Outgoing], now_us: int) -> None:
        """End it: it gets the rest of its frame, a close frame, and no more of what is ``waiting``."""
        self.core.counters.slow_closed += 1
        self.core.roster.watch(self)
        self.session.close(CloseCode.TRY_AGAIN_LATER, TOO_SLOW, now_us)
        last = [outgoing for outgoing in (*waiting, *self.session.take_outgoing()) if outgoing.opcode is Opcode.CLOSE]
        self.writer.cut_off(last)

    # Private methods

    def _has_stalled(self, now_us: int) -> bool:
        """Whether its peer has taken nothing for too long, and the server was there to hand something over."""
        outbox, limit_us = self.writer.outbox, round(self.core.config.limits.slow_limit_s * 1_000_000)
        if outbox.stalled_us(self.writer.unsent_bytes(), now_us) < limit_us:
            return False
        spared_us = min(limit_us, round(SPARED_S * 1_000_000))
        return not (self.core.stalls.is_recent(now_us) and outbox.spare(now_us - limit_us + spared_us))
