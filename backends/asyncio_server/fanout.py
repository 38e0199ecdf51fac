"""The ways of ``--fanout`` to send one tick's frame to every connection of a room."""

import os
from typing import Protocol

from shared.rooms.audience import Audience
from shared.wire.forms import Texts

from .clock import give_turn
from .connection import Connection

SLICE = 256
"""After so many connections the event loop has a turn, so that reads and accepts go on: about every 2 ms."""


class Fanout(Protocol):
    """A way to send a tick's frame."""

    async def send(self, audience: Audience[Connection], text: bytes) -> list[Connection]:
        """Send a frame with ``text`` to each; return those who did not take it."""


class NaiveFanout:
    """
    The loop of every tutorial: one send after the other, each waited for. One stalled peer silences the room.

    Or what the framework has instead, where its own tutorial sends to all in one call.
    """

    async def send(self, audience: Audience[Connection], text: bytes) -> list[Connection]:
        """Send to one after the other, or to all."""
        decoded = text.decode()
        members = [connection for connection in audience.members if connection.session.is_open]
        if members and (broadcast := members[0].ws.broadcast):
            await broadcast([connection.ws for connection in members], decoded)
            return []
        for connection in members:
            if connection.session.is_open:  # it may have closed while another was waited for
                await connection.writer.send_text(decoded)
        return []


class LibraryFanout:
    """The library's own send, to those whose last frame the kernel has taken: the tick waits for nobody."""

    async def send(self, audience: Audience[Connection], text: bytes) -> list[Connection]:
        """Send to those who take it, in slices."""
        decoded = text.decode()
        skipped = []
        for first in range(0, len(audience.members), SLICE):
            if first:
                await give_turn()
            for connection in audience.members[first : first + SLICE]:
                if connection.fd < 0:
                    skipped.append(connection)
                else:
                    await connection.writer.send_text(decoded)  # never waits: the kernel has taken all before
        return skipped


class FrameOnceFanout:
    """The frame is built once a form; the same bytes are written to each descriptor, without waiting."""

    async def send(self, audience: Audience[Connection], text: bytes) -> list[Connection]:
        """Send to those who take it, in slices."""
        frames, write = Texts(text), os.write
        skipped = []
        for first in range(0, len(audience.members), SLICE):
            if first:
                await give_turn()
            for place, (fd, frame) in enumerate(audience.takers(first, first + SLICE, frames), first):
                if fd < 0:
                    skipped.append(audience.members[place])
                    continue
                try:
                    sent = write(fd, frame)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    audience.members[place].session.receive_eof()  # its reader ends it: a lost peer must not end a tick
                    continue
                if sent != len(frame):
                    audience.members[place].pipe.keep(frame[sent:])
        return skipped


FANOUTS: dict[str, type[Fanout]] = {"naive": NaiveFanout, "library": LibraryFanout, "frame-once": FrameOnceFanout}
