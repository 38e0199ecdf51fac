"""
The part of a connection that is the same on both backends: above all, what happens when its peer reads too slowly.

It skips frames, then catches up, or is ended. A backend's connection adds the reading and the waiting.
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
    """What a consumer needs of its connection's writer; nothing of it waits."""

    outbox: Outbox

    def is_drained(self) -> bool:
        """Whether the kernel has taken all."""

    def unsent_bytes(self) -> int:
        """Return how many bytes the kernel has not taken yet."""

    def keep(self, rest: bytes) -> None:
        """Send the ``rest`` of a tick's frame, which the kernel did not take when it was written to the descriptor."""

    def cut_off(self, last: list[Outgoing]) -> None:
        """Hand over the rest of what is on its way and ``last``, the close frame, and hang up; nothing more."""


class Consumer(ABC):
    """
    A connection that is a member of a room, or about to become one; one of ``/echo`` has no room.

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
        """End the connection at once."""

    def hear(self, opcode: Opcode, data: str | bytes | int, now_us: int) -> ClientMessage | None:
        """Take a message; return it if it is for the room, else None; refuse a newcomer if ticks have no time left."""
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
        """Let ticks' frames be written to ``fd``; none if it is -1."""
        if fd != self.fd:
            self.fd = fd
            if self.audience:
                self.audience.is_stale = True

    def let_go(self) -> None:
        """Empty the audience of a room that it was the last to leave: there is no tick left to do that."""
        if self.audience and self.room and not self.room.members:
            self.audience.seat([])

    def skip(self, now_us: int) -> None:
        """Note that a tick was skipped for it."""
        self.writer.outbox.note_skip(self.writer.unsent_bytes(), now_us)
        self.core.roster.watch(self)

    @property
    def is_ready(self) -> bool:
        """Whether it has missed frames, and can be sent what it missed: the kernel has taken all before."""
        return self.session.is_open and self.writer.outbox.is_behind and self.writer.is_drained()

    def take_missed(self, field: bytes) -> Outgoing:
        """Return what it has missed, after ``field`` as it is now; it is behind no more."""
        self.writer.outbox.note_catch_up()
        self.core.roster.slow.discard(self)
        return Outgoing(Opcode.TEXT, self.room.catch_up(self, field) if self.room else field)

    def watch(self, now_us: int) -> None:
        """End it as a slow consumer if its time is up; abort it if it has not even taken its close frame in time."""
        if not self.session.is_open:
            if now_us >= self.session.deadline_us and not self.session.spare(now_us):
                self.abort()
        elif self._has_stalled(now_us) or (self.room and self.room.owes_too_much(self)):
            self.end_slow((), now_us)

    def end_slow(self, waiting: Iterable[Outgoing], now_us: int) -> None:
        """End it as a slow consumer: it gets the rest of its frame and a close frame, nothing else of ``waiting``."""
        self.core.counters.slow_closed += 1
        self.core.roster.watch(self)
        self.session.close(CloseCode.TRY_AGAIN_LATER, TOO_SLOW, now_us)
        last = [outgoing for outgoing in (*waiting, *self.session.take_outgoing()) if outgoing.opcode is Opcode.CLOSE]
        self.writer.cut_off(last)

    # Private methods

    def _has_stalled(self, now_us: int) -> bool:
        """Whether its peer has taken nothing for too long, although the server was not held up."""
        outbox, limit_us = self.writer.outbox, round(self.core.config.limits.slow_limit_s * 1_000_000)
        if outbox.stalled_us(self.writer.unsent_bytes(), now_us) < limit_us:
            return False
        spared_us = min(limit_us, round(SPARED_S * 1_000_000))
        return not (self.core.stalls.is_recent(now_us) and outbox.spare(now_us - limit_us + spared_us))
