"""This process's part in one room that several have: waits until it is known, and for what the others say."""

import time

import gevent

from shared.edges.posts import TTL_S, edges_channel, lease_of, owners_channel
from shared.edges.tenancy import BaseTenancy
from shared.relay.bus import Event, RelayError

from .bus import Bus, Subscription
from .lease import Lease

LOOK_S = 0.01
"""How often it is looked whether somebody has said who the owner is."""


class Tenancy(BaseTenancy):
    """
    One room in one process, from :meth:`settle` to :meth:`close`.

    It asks for the lease as long as it lasts: an edge that gets it knows that the owner is gone.
    """

    def __init__(self, bus: Bus, name: str) -> None:
        me = bus.core.publisher
        super().__init__(name, me, Lease(bus, lease_of(name), me.hex(), TTL_S), bus.publish)
        self._bus = bus
        self._hears: Subscription | None = None
        self._settling: gevent.Greenlet[[], RelayError | None] | None = None

    def settle(self) -> None:
        """
        Find out whether this is the owner or an edge; whoever asks meanwhile waits, too.

        RelayError: nobody knows.
        """
        if self._settling is None:
            self._settling = gevent.spawn(self._try_to_settle)
        if (error := self._settling.get()) is not None:
            raise error

    def next(self, timeout_s: float) -> Event | None:
        """Return what the others have said, waiting for it if need be; None when nothing comes in time."""
        return self._hears.next(timeout_s) if self._hears else None

    def wait_until_lost(self) -> None:
        """Wait until the room has, or may have, another owner."""
        self._lease.wait_while(self.number if self.is_owner else 0)

    def close(self) -> None:
        """Have no part in it any more."""
        self.is_over = True
        if self._settling is not None:
            self._settling.kill()
        if self._hears is not None:
            self._bus.unsubscribe(self._hears)
        self._lease.close()

    # Private methods

    def _try_to_settle(self) -> RelayError | None:
        """Return what kept it from settling: what a greenlet raises is printed."""
        try:
            self._settle()
        except RelayError as error:
            return error
        return None

    def _settle(self) -> None:
        self._lease.open()
        self._hears = self._bus.subscribe(owners_channel(self.name))
        while not (number := self._lease.change(0, LOOK_S)):
            self.ask_for_owner(time.monotonic())
            while event := self._hears.next(0):
                if self.follow(event):
                    return
        self._bus.unsubscribe(self._hears)
        self._hears = self._bus.subscribe(edges_channel(self.name))
        self.own(number)
