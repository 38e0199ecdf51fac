"""This process's part in one room that several have: whether it is the owner or an edge, and what it hears and says."""

import asyncio
import time

import msgspec

from shared.edges.posts import (
    SILENCE_S,
    TTL_S,
    FromOwner,
    Here,
    Owned,
    edges_channel,
    lease_of,
    open_at_edge,
    owners_channel,
    seal,
)
from shared.relay.bus import Down, Event, Message, RelayError

from .bus import Bus, Subscription
from .lease import Lease

ASK_S = 0.25
"""How often it is asked who the owner is."""
LOOK_S = 0.01
"""How often it is looked whether that has been answered."""
SETTLE_LIMIT_S = TTL_S + SILENCE_S
"""A lease that nobody renews is over by then."""


class Tenancy:
    """
    One room in one process, from :meth:`settle` to :meth:`close`.

    ``name`` is the room's. Once it has settled, ``number`` is that of the owner's lease; ``is_owner`` says whose that
    is. It asks for the lease as long as it lasts: an edge that gets it knows that the owner is gone.
    """

    def __init__(self, bus: Bus, name: str) -> None:
        self.name = name
        self.is_over = False
        self.number = 0
        self.is_owner = False
        self._bus = bus
        self._lease = Lease(bus, lease_of(name), bus.core.publisher.hex(), TTL_S)
        self._hears: Subscription | None = None
        self._says = ""
        self._settling: asyncio.Task[None] | None = None

    @property
    def me(self) -> bytes:
        """What others call this process by."""
        return self._bus.core.publisher

    def current_number(self) -> int:
        """Return the number of the owner's lease while this process is the owner, 0 when it may not be any more."""
        return self.number if self._lease.number == self.number else 0

    async def settle(self) -> None:
        """
        Find out whether this is the owner or an edge; whoever asks meanwhile waits, too.

        RelayError: nobody knows.
        """
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle())
        await asyncio.shield(self._settling)

    def publish(self, data: bytes) -> bool:
        """Say something in the channel of those that this process is one of; False if it is lost."""
        return self._bus.publish(self._says, data)

    async def next(self, timeout_s: float) -> Event | None:
        """Return what the others have said, waiting for it if need be; None when nothing comes in time."""
        return await self._hears.next(timeout_s) if self._hears else None

    async def wait_until_lost(self) -> None:
        """Wait until the room has, or may have, another owner."""
        number = self.number if self.is_owner else 0
        while await self._lease.change(number, TTL_S) == number:
            pass

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
        until_s = time.monotonic() + SETTLE_LIMIT_S
        ask_at_s = 0.0
        while time.monotonic() < until_s:
            if number := await self._lease.change(0, LOOK_S):
                await self._own(number)
                return
            if time.monotonic() >= ask_at_s:
                ask_at_s = time.monotonic() + ASK_S
                self._bus.publish(edges_channel(self.name), seal(0, Here([], [], wants_state=False)))
            while event := await self._hears.next(0):
                if isinstance(event, Down):
                    raise RelayError(f"the relay is gone: {event.why}")
                if isinstance(event, Message) and (found := said_by_owner(event)):
                    self.number, self._says = found[0], edges_channel(self.name)
                    return
        raise RelayError("nobody answers for the room")

    async def _own(self, number: int) -> None:
        if self._hears is not None:
            await self._bus.unsubscribe(self._hears)
        self._hears = await self._bus.subscribe(edges_channel(self.name))
        self.number, self.is_owner, self._says = number, True, owners_channel(self.name)
        self.publish(seal(number, Owned()))  # so that edges of an older owner learn of it


def said_by_owner(message: Message) -> tuple[int, FromOwner] | None:
    """Return the number of an owner and what it said; None if it is nothing of ours."""
    try:
        return open_at_edge(message.payload)
    except (ValueError, msgspec.MsgspecError):
        return None
