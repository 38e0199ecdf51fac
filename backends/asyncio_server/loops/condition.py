"""
Condition: each connection's handler waits for its own message or for the tick, whichever is first, and sends the frame.

The article's example 3.4. Its handlers missed a tick that came while they were busy, took the condition's lock one by
one, and left a task behind at their end; here the loop knows who is still to get a tick, and wakes the handlers in the
order of the room, in slices. It goes on when everybody has written, so that the cost of a tick can be compared with the
other modes.
"""

import asyncio
from asyncio import Event

from shared.rooms.audience import Audience
from shared.wire.forms import Texts
from shared.wire.parser import Message
from shared.wire.session import CONNECTED

from ..clock import give_turn
from ..connection import Connection
from ..fanout import SLICE
from ..host import Host
from ..ticker import Ticker
from .managed import ManagedLoop


class ConditionLoop(ManagedLoop):
    """Owns what runs one room, which wakes the handlers instead of sending."""

    def __init__(self, host: Host, ticker: Ticker) -> None:
        super().__init__(host, ticker)
        self._waits_for_peer = host.config.fanout == "naive"
        self._writes_frames = host.config.fanout == "frame-once"
        self._text, self._frames = "", Texts(b"")
        self._owed: set[Connection] = set()  # handlers that have not sent this tick's frame yet
        self._skipped: list[Connection] = []
        self._woken: dict[Connection, Event] = {}  # what each of them waits for: a message or the tick
        self._all_sent = Event()
        ticker.fanout = self

    async def send(self, audience: Audience[Connection], text: bytes) -> list[Connection]:
        """Wake every handler and wait until each has sent a frame with ``text``; return those who could not."""
        if self._writes_frames:
            self._frames = Texts(text)
        else:
            self._text = text.decode()
        members = list(audience.members)
        self._owed = {connection for connection in members if self._takes(connection)}
        self._skipped = []
        if not self._waits_for_peer:
            self._skipped = [connection for connection in members if connection not in self._owed]
        if self._owed:
            self._all_sent.clear()
            for number, connection in enumerate(members, 1):
                if woken := self._woken.get(connection):
                    woken.set()
                if number % SLICE == 0:
                    await give_turn()
            await self._all_sent.wait()
        return self._skipped

    async def receive(self, connection: Connection) -> Message:
        """Wait for a connection's next message; until it comes, send the connection every tick."""
        if connection.session.state is CONNECTED:
            return await super().receive(connection)  # it is in no room, and owed no tick
        woken = self._woken[connection] = Event()
        message = asyncio.ensure_future(connection.ws.receive_message())
        message.add_done_callback(lambda _: woken.set())
        try:
            while True:
                if connection in self._owed:
                    await self._send(connection)
                if message.done():
                    return message.result()
                await woken.wait()
                woken.clear()
        finally:
            del self._woken[connection]
            message.cancel()
            del message  # it holds its error, which holds this frame: a circle

    def leave(self, connection: Connection) -> None:
        """Take a member out; it is owed nothing more."""
        self._settle(connection)
        super().leave(connection)

    # Private methods

    def _takes(self, connection: Connection) -> bool:
        return connection.session.is_open if self._waits_for_peer else connection.fd >= 0

    async def _send(self, connection: Connection) -> None:
        if self._takes(connection):
            if self._writes_frames:
                connection.pipe.write(self._frames[connection.form])
            else:
                await connection.writer.send_text(self._text)
        elif not self._waits_for_peer:
            self._skipped.append(connection)
        self._settle(connection)

    def _settle(self, connection: Connection) -> None:
        if connection in self._owed:
            self._owed.discard(connection)
            if not self._owed:
                self._all_sent.set()
