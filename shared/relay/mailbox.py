"""What waits for one subscriber: bounded, and what is lost is told."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from shared.relay.bus import MOST_WAITING, MOST_WAITING_BYTES, Bell, Down, Event, Lagged, Message, Up
from shared.relay.envelope import Order, Sealed

B = TypeVar("B", bound=Bell)


class Mailbox(Generic[B]):
    """
    The events of one subscription, until they are taken.

    ``bell`` rings whenever there is something new. ``lags`` counts how often something was missing. What overflows
    takes with it all that waits: of frames that each say what changed, the rest is worth nothing once one is missing.
    """

    def __init__(
        self, channel: str, bell: B, *, most: int = MOST_WAITING, most_bytes: int = MOST_WAITING_BYTES
    ) -> None:
        self.channel = channel
        self.bell = bell
        self.lags = 0
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        self._most, self._most_bytes = most, most_bytes
        self._order = Order()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Sealed) -> None:
        """Add what has come, unless it was there before."""
        is_new, is_after_gap = self._order.takes(message.publisher, message.number, message.before)
        if not is_new:
            return
        if is_after_gap:
            self.lags += 1
            self._add(Lagged())
        size = len(message.payload)
        if len(self._waiting) >= self._most or (self._bytes and self._bytes + size > self._most_bytes):
            self._overflow()
            return
        self._bytes += size
        self._add(Message(message.payload, message.publisher))

    def tell(self, news: Down | Up) -> None:
        """Add that the relay is gone, or back. Only the newest is worth telling; behind it all begins anew."""
        if self._waiting and isinstance(self._waiting[-1], Down | Up):
            self._waiting.pop()
        if isinstance(news, Up):
            self._order.begin()
        self._add(news)

    def take(self) -> Event | None:
        """Remove and return what has waited for longest."""
        if not self._waiting:
            return None
        event = self._waiting.popleft()
        if isinstance(event, Message):
            self._bytes -= len(event.payload)
        return event

    # Private methods

    def _overflow(self) -> None:
        news = next((event for event in reversed(self._waiting) if isinstance(event, Down | Up)), None)
        self._waiting.clear()
        self._bytes = 0
        self.lags += 1
        if isinstance(news, Up):
            self._waiting.append(news)
        self._add(Lagged())

    def _add(self, event: Event) -> None:
        self._waiting.append(event)
        self.bell.set()
