"""
The part of a connection that is the same on both backends: above all, what happens when its peer reads too slowly.

It skips frames, then catches up, or is ended. A backend's connection adds the reading and the waiting.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from shared.rooms.audience import Audience
from shared.rooms.room import Room
from shared.server.core import ServerCore
from shared.server.pipe import Pipe
from shared.wire.forms import PLAIN, World, own_frame
from shared.wire.frames import CloseCode, Opcode
from shared.wire.messages import ClientMessage, ErrorText, NewPlayer, encode_commands
from shared.wire.outbox import Outbox
from shared.wire.session import ENDED, SPARED_S, TOO_SLOW, Outgoing, Session


class Consumer(ABC):
    """
    A connection that is a member of a room, or about to become one, with the ``loop`` of it; one of ``/echo`` has none.

    ``fd`` is its descriptor while a tick's frame may be written to it, else -1; ``form`` is how it takes frames
    (:mod:`shared.wire.forms`). The ``outbox`` is of those who don't wait for their peer, as is the ``pipe``: others
    have none.
    """

    __slots__ = (
        "audience",
        "core",
        "fd",
        "form",
        "loop",
        "outbox",
        "pipe",
        "room",
        "serial",
        "session",
        "wakes_us",
        "ws",
    )

    is_here = True
    """Its room sends it frames from this process."""
    audience: Audience[Any] | None
    room: Room[Any] | None
    pipe: Pipe

    def __init__(self, core: ServerCore[Any], session: Session, ws: Any, loop: Any, form: int = PLAIN) -> None:
        self.core = core
        self.session = session
        self.ws = ws
        self.loop = loop
        self.room = loop.room if loop else None
        self.audience = loop.audience if loop else None
        self.fd = -1
        self.form = form
        self.outbox = Outbox()
        self.serial = core.roster.next_serial()
        self.wakes_us = 0  # when the server is to wake it

    @abstractmethod
    def flush(self) -> Any:
        """Send the session's messages."""

    def wake(self, now_us: int) -> Any:
        """Do what is due at the session's deadline; as :meth:`flush`, which it ends with."""
        self.session.wake(now_us)
        if self.session.state is ENDED:
            self.ws.abort()  # which ends the reader, too
        else:
            self.core.roster.wake_at_deadline(self)
        return self.flush()

    def abort(self) -> None:
        """End the connection at once."""
        self.session.abort()
        self.ws.abort()

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

    def update(self, *, takes_frame: bool) -> None:
        """Let ticks' frames be written if its pipe ``takes_frame`` now, and no other way of sending comes first."""
        may_write = takes_frame and not self.outbox.is_behind and self.session.is_open
        if may_write != (self.fd >= 0):
            self.offer(self.pipe.socket.fileno() if may_write else -1)

    def put(self, outgoing: Outgoing) -> None:
        """
        Have a message of its own wait for its pipe.

        Raises:
            SlowConsumerError: too many wait.

        """
        self.outbox.put(outgoing, is_stuck=not self.pipe.is_free and self.pipe.unsent_bytes() > 0)

    @property
    def is_drained(self) -> bool:
        """Whether the kernel has taken all, and nothing waits."""
        return self.pipe.is_free and not self.outbox

    def leave(self) -> None:
        """Take it out of its server and its room, as it has ended."""
        self.offer(-1)
        self.core.roster.remove(self)
        self.core.counters.count_end(self.session.close_label, dead=self.session.dead)
        if self.loop:
            self.loop.leave(self)
            if not self.loop.room.members:  # it was the last one: there is no tick left to empty the audience
                self.loop.audience.seat([])

    def skip(self, now_us: int) -> None:
        """Note that a tick was skipped for it."""
        self.outbox.note_skip(self.pipe.unsent_bytes(), self.core.stalls.running_us(now_us))
        self.core.roster.watch(self)

    @property
    def is_ready(self) -> bool:
        """Whether it has missed frames, and can be sent what it missed: the kernel has taken all before."""
        return self.session.is_open and self.outbox.is_behind and self.is_drained

    def take_missed(self, world: World) -> Outgoing:
        """Return what it has missed, after the ``world`` as it is now; it is behind no more."""
        self.outbox.note_catch_up()
        self.core.roster.slow.discard(self)
        text = self.room.catch_up(self, world.field) if self.room else world.field
        return Outgoing(Opcode.TEXT, text, b"" if self.form == PLAIN else world.frame(text, self.form))

    def frame_of(self, outgoing: Outgoing) -> bytes:
        """Return a message of its own as a frame, in its form."""
        return outgoing.frame or own_frame(outgoing.opcode, outgoing.payload, self.form)

    def watch(self, now_us: int) -> None:
        """End it as a slow consumer if its time is up; abort it if it has not even taken its close frame in time."""
        if not self.session.is_open:
            if self.core.stalls.running_us(now_us) >= self.session.deadline_us and not self.session.spare(now_us):
                self.abort()
        elif self._has_stalled(now_us) or (self.room and self.room.owes_too_much(self)):
            self.end_slow((), now_us)

    def end_slow(self, waiting: Iterable[Outgoing], now_us: int) -> None:
        """End it as a slow consumer: it gets the rest of its frame and a close frame, nothing else of ``waiting``."""
        self.core.counters.slow_closed += 1
        self.core.roster.watch(self)
        self.session.close(CloseCode.TRY_AGAIN_LATER, TOO_SLOW, now_us)
        last = [outgoing for outgoing in (*waiting, *self.session.take_outgoing()) if outgoing.opcode is Opcode.CLOSE]
        self.offer(-1)
        self.outbox.clear()
        self.pipe.cut_off(last)

    # Private methods

    def _has_stalled(self, now_us: int) -> bool:
        """Whether its peer has taken nothing for too long, although the server was not held up."""
        outbox, limit_us = self.outbox, round(self.core.config.limits.slow_limit_s * 1_000_000)
        running_us = self.core.stalls.running_us(now_us)
        if outbox.stalled_us(self.pipe.unsent_bytes(), running_us) < limit_us:
            return False
        spared_us = min(limit_us, round(SPARED_S * 1_000_000))
        return not (self.core.stalls.is_recent(now_us) and outbox.spare(running_us - limit_us + spared_us))
