"""The bus of one process: keeps a connection to its relay, and waits."""

import asyncio
import os
import time
from contextlib import suppress
from random import Random

from shared.relay.backoff import Backoff
from shared.relay.bus import ANSWER_S, PING_S, SILENCE_S, Event, RelayError, is_absent, why
from shared.relay.core import Asked, BusCore
from shared.relay.envelope import PUBLISHER_BYTES
from shared.relay.mailbox import Mailbox
from shared.relay.url import RelayUrl

from ..clock import give_turn
from . import make_link
from .link import Link

MOST_PINGS = round(SILENCE_S / PING_S)
"""Unanswered in a row: then the relay is gone. Counted, as a process that was stopped must not take it for silence."""


class Subscription:
    """What comes from one channel; one task takes it."""

    def __init__(self, mailbox: Mailbox[asyncio.Event]) -> None:
        self.mailbox = mailbox
        self.is_over = False

    async def next(self, timeout_s: float) -> Event | None:
        """Return what has come, waiting for it if need be; None when nothing comes in time, or ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.is_over:
                    if (event := self.mailbox.take()) is not None:
                        return event
                    self.mailbox.bell.clear()
                    await self.mailbox.bell.wait()
        return None


class Bus:
    """See :mod:`shared.relay.bus`. ``core`` says whether the relay is there, and counts."""

    def __init__(self, url: RelayUrl) -> None:
        self.core = BusCore(os.urandom(PUBLISHER_BYTES), asyncio.Event)
        self.absent_at_s = float("-inf")
        """When it was last seen that nobody listens at the relay's place."""
        self._url = url
        self._backoff = Backoff(Random())  # noqa: S311 # it is to be unlike others, not secret
        self._unanswered = 0
        self._subscriptions: list[Subscription] = []
        self._has_tried = asyncio.Event()
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
        try:
            async with asyncio.timeout(ANSWER_S):
                while not self.core.stands(subscription.mailbox):
                    subscription.mailbox.bell.clear()
                    await subscription.mailbox.bell.wait()
        except TimeoutError:
            await self.unsubscribe(subscription)
            raise RelayError("the relay does not answer") from None
        except BaseException:  # who subscribes is ended
            await self.unsubscribe(subscription)
            raise
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

    async def release(self, name: str, number: int) -> bool:
        """Give a lease back; return whether it was one's own. RelayError: nobody knows."""
        return bool(await self._answer(self.core.release(name, number)))

    # Private methods

    async def _answer(self, asked: Asked[asyncio.Event]) -> int:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await asked.bell.wait()
        self.core.give_up(asked)
        return asked.value()

    async def _keep(self) -> None:
        while True:
            link, began_s = make_link(self._url), time.monotonic()
            try:
                await self._use(link)
            except Exception as error:
                if is_absent(error):
                    self.absent_at_s = began_s
                self.core.went_down(why(error))
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
        self._unanswered = 0
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
            self._unanswered = 0
            for item in items:
                self.core.came(item)
            await give_turn()  # what has come already is taken without waiting

    async def _write(self, link: Link) -> None:
        ping_at_s = time.monotonic() + PING_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ping_at_s - time.monotonic()):
                    await self.core.bell.wait()
            self.core.bell.clear()
            if time.monotonic() >= ping_at_s:
                ping_at_s = time.monotonic() + PING_S
                if self._unanswered >= MOST_PINGS:
                    raise RelayError(f"it has not answered for {SILENCE_S:g} s")
                self._unanswered += 1
                self.core.ping()
            if items := self.core.take():
                async with asyncio.timeout(SILENCE_S):
                    for answer in await link.send(items):
                        self.core.came(answer)
