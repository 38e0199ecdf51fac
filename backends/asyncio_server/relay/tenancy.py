"""This process's part in one room that several have: waits until it is known, and for what the others say."""

import asyncio
import time

from shared.edges.posts import TTL_S, edges_channel, lease_of, owners_channel
from shared.edges.tenancy import BaseTenancy
from shared.relay.bus import Event

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
        self._settling: asyncio.Task[None] | None = None

    async def settle(self) -> None:
        """
        Find out whether this is the owner or an edge; whoever asks meanwhile waits, too.

        RelayError: nobody knows.
        """
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle())
        await asyncio.shield(self._settling)

    async def next(self, timeout_s: float) -> Event | None:
        """Return what the others have said, waiting for it if need be; None when nothing comes in time."""
        return await self._hears.next(timeout_s) if self._hears else None

    async def wait_until_lost(self) -> None:
        """Wait until the room has, or may have, another owner."""
        await self._lease.wait_while(self.number if self.is_owner else 0)

    async def close(self) -> None:
        """Have no part in it any more."""
        self.is_over = True
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait([self._settling])
        if self._hears is not None:
            await self._bus.unsubscribe(self._hears)
        await self._lease.close()

    # Private methods

    async def _settle(self) -> None:
        self._lease.open()
        self._hears = await self._bus.subscribe(owners_channel(self.name))
        while not (number := await self._lease.change(0, LOOK_S)):
            self.ask_for_owner(time.monotonic())
            while event := await self._hears.next(0):
                if self.follow(event):
                    return
        await self._bus.unsubscribe(self._hears)
        self._hears = await self._bus.subscribe(edges_channel(self.name))
        self.own(number)
