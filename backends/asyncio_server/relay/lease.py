"""Has a lease whenever it can be had, and keeps it."""

import asyncio
import time
from contextlib import suppress

from shared.relay.bus import RelayError
from shared.relay.claim import Claim

from .bell import Bell
from .bus import Bus


class Lease:
    """
    One process's part in who owns a room, from :meth:`open` to :meth:`close`.

    ``owner`` is a name that no other process has, nor this one when it is started again. Before each thing that an
    owner does (a tick, say) it asks for :attr:`number`; what it publishes carries that.
    """

    def __init__(self, bus: Bus, name: str, owner: str, ttl_s: float) -> None:
        self._bus = bus
        self._name = name
        self._owner = owner
        self._claim = Claim(ttl_s)
        self._changed = Bell()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def number(self) -> int:
        """The number of the lease, 0 while it is not ours."""
        return self._claim.number(time.monotonic())

    def open(self) -> None:
        """Begin to ask for it."""
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Ask no longer, and give it back."""
        if self._keeper is None:
            return
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper
        self._keeper = None
        self._changed.set()
        if number := self._claim.give_up():
            with suppress(RelayError):  # then it is over by itself
                await self._bus.release(self._name, number)

    async def change(self, number: int, timeout_s: float) -> int:
        """Wait until its number is not this one, for at most so long; return what it is."""
        await self._changed.until(lambda: self.number != number, timeout_s)
        return self.number

    async def wait_while(self, number: int) -> None:
        """Wait as long as it has this number, or may have it back; with 0, until it is ours. Closed, it has none."""
        while self._keeper is not None and self._claim.held == number:
            await self._changed.rings(self._claim.ttl_s)
            self._changed.clear()

    # Private methods

    async def _keep(self) -> None:
        while True:
            changes, was_ours = self._claim.changes, self.number
            with suppress(RelayError):  # nobody knows: as long as it is ours by our own clock, it is
                await self._ask()
            self._claim.note_absence(self._bus.core.absent_at_s)
            if self._claim.changes != changes or not (was_ours and self.number):
                self._changed.set()  # also of what is over by our own clock, or was
            await asyncio.sleep(self._claim.pause_s)

    async def _ask(self) -> None:
        bus, claim, ours, now_s = self._bus, self._claim, (self._name, self._owner), time.monotonic()
        if number := claim.to_regain(now_s):
            claim.renewed(await bus.regain(*ours, number, claim.ttl_s), now_s)
        elif number := claim.to_renew(now_s):
            claim.renewed(await bus.renew(*ours, number, claim.ttl_s), now_s)
        else:
            claim.acquired(await bus.acquire(*ours, claim.ttl_s), now_s)
