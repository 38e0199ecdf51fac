"""The bus of one process: keeps a connection to its relay, and waits."""

import asyncio
import os
import time
from contextlib import suppress
from random import Random

from shared.relay.backoff import Backoff
from shared.relay.bus import ANSWER_S, SILENCE_S, Event, RelayError
from shared.relay.core import Asked, BusCore
from shared.relay.envelope import PUBLISHER_BYTES
from shared.relay.mailbox import Mailbox
from shared.relay.url import RelayUrl

from ..clock import give_turn
from . import make_link
from .bell import Bell
from .link import Link


class Subscription:
    """What comes from one channel, for the one who takes it."""

    def __init__(self, mailbox: Mailbox[Bell]) -> None:
        self.mailbox = mailbox
        self.is_over = False

    async def next(self, timeout_s: float) -> Event | None:
        """Return what has come, waiting for it if need be; None when nothing comes in time, or ever."""
        await self.mailbox.bell.until(lambda: self.is_over or len(self.mailbox), timeout_s)
        return None if self.is_over else self.mailbox.take()


class Bus:
    """See :mod:`shared.relay.bus`. ``core`` says whether the relay is there, and counts."""

    def __init__(self, url: RelayUrl) -> None:
        self.core = BusCore(os.urandom(PUBLISHER_BYTES), Bell)
        self._url = url
        self._backoff = Backoff(Random())  # noqa: S311 # it is to be unlike others, not secret
        self._subscriptions: list[Subscription] = []
        self._has_tried = Bell()
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin, and wait until the relay is there, or known not to be."""
        self._keeper = asyncio.create_task(self._keep())
        await self._has_tried.wait()

    async def close(self) -> None:
        """End; whoever waits for a subscription gets None."""
        for subscription in self._subscriptions:
            subscription.is_over = True
            subscription.mailbox.bell.set()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        self.core.went_down("the bus is closed")

    def publish(self, channel: str, payload: bytes) -> bool:
        """Hand a message over, without waiting; False if it is lost."""
        return self.core.publish(channel, payload)

    async def subscribe(self, channel: str) -> Subscription:
        """Get what is published from here on. RelayError if the relay is there, and does not say so."""
        subscription = Subscription(self.core.subscribe(channel))
        self._subscriptions.append(subscription)
        stands = False
        try:
            stands = await subscription.mailbox.bell.until(lambda: self.core.stands(subscription.mailbox), ANSWER_S)
        finally:
            if not stands:  # or who subscribes is ended
                await self.unsubscribe(subscription)
        if not stands:
            raise RelayError("the relay does not answer")
        subscription.mailbox.bell.set()
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Get nothing any more, from here on."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            subscription.is_over = True
            self.core.unsubscribe(subscription.mailbox)

    async def acquire(self, name: str, owner: str, ttl_s: float) -> int | None:
        """Ask for a lease; return its number, or None while it is another's. RelayError: nobody knows."""
        return await self._answer(self.core.acquire(name, owner, round(ttl_s * 1000))) or None

    async def renew(self, name: str, owner: str, number: int, ttl_s: float) -> bool:
        """Ask for more time; return whether the lease is still one's own. RelayError: nobody knows."""
        return bool(await self._answer(self.core.renew(name, owner, number, round(ttl_s * 1000))))

    async def regain(self, name: str, owner: str, number: int, ttl_s: float) -> bool:
        """Ask for a lease back; return whether nobody has had it since. RelayError: nobody knows."""
        return bool(await self._answer(self.core.regain(name, owner, number, round(ttl_s * 1000))))

    async def release(self, name: str, number: int) -> bool:
        """Give a lease back; return whether it was one's own. RelayError: nobody knows."""
        return bool(await self._answer(self.core.release(name, number)))

    # Private methods

    async def _answer(self, asked: Asked[Bell]) -> int:
        await asked.bell.rings(ANSWER_S)
        self.core.give_up(asked)
        return asked.value()

    async def _keep(self) -> None:
        while True:
            link, began_s = make_link(self._url), time.monotonic()
            try:
                await self._use(link)
            except Exception as error:
                self.core.failed(error, began_s)
                if not isinstance(error, (OSError, RelayError, *link.gone)):
                    raise  # that fault is ours
            finally:
                await link.close()
                self._has_tried.set()
            await asyncio.sleep(self._backoff.next_s())

    async def _use(self, link: Link) -> None:
        async with asyncio.timeout(SILENCE_S):
            await link.open()
        self._backoff.reset()
        self.core.went_up()
        self._has_tried.set()
        tasks = [asyncio.create_task(self._read(link)), asyncio.create_task(self._write(link))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if end is not None and not isinstance(end, asyncio.CancelledError):
                raise end

    async def _read(self, link: Link) -> None:
        while True:
            items = await link.receive()
            self.core.heard()
            for item in items:
                self.core.came(item)
            await give_turn()  # what has come already is taken without waiting

    async def _write(self, link: Link) -> None:
        while True:
            await self.core.bell.rings(self.core.ping_at_s - time.monotonic())
            self.core.bell.clear()
            self.core.look(time.monotonic())
            if items := self.core.take():
                async with asyncio.timeout(SILENCE_S):
                    answers = await link.send(items)
                for answer in answers:
                    self.core.came(answer)
