"""
Managed: the loop runs while somebody is in the room, and somebody owns it.

The article's example 3.3. Its greenlet is killed and joined, and what it raises ends the room, never in silence.
"""

from typing import TYPE_CHECKING

import gevent

from shared.loops.lifecycle import CLOSED, RUNNING, STOPPING, Event, Lifecycle

if TYPE_CHECKING:
    from backends.gevent_server.server import Server
    from backends.gevent_server.ticker import Ticker


class ManagedLoop:
    """Owns the greenlet of one room."""

    def __init__(self, server: "Server", ticker: "Ticker") -> None:
        self.ticker = ticker
        self._server = server
        self._lifecycle = Lifecycle()
        self._occupied = False
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def update(self) -> None:
        """Look whether somebody is in the room, and start or end the loop."""
        occupied = bool(self.ticker.room.members)
        if occupied != self._occupied:
            self._occupied = occupied
            self._feed(Event.OCCUPIED if occupied else Event.VACATED)

    def stop(self) -> None:
        """End the loop for good and wait until it has ended."""
        self._feed(Event.CLOSE)
        if self._greenlet:
            self._greenlet.join()

    # Private methods

    def _feed(self, event: Event) -> None:
        match self._lifecycle.feed(event):
            case state if state is RUNNING:
                self._greenlet = gevent.spawn(self._run)
                self._greenlet.link(self._ended)
            case state if state in (STOPPING, CLOSED) and self._greenlet:
                self._greenlet.kill(block=False)

    def _run(self) -> None:
        self.ticker.resume()
        try:
            while True:
                self.ticker.tick(self.ticker.wait())
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends this room and is logged with its traceback
            self._feed(Event.FAILED)
            self._server.room_crashed(self, error)

    def _ended(self, _: "gevent.Greenlet[..., None]") -> None:
        self._feed(Event.STOPPED)
