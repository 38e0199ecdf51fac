"""Groups: whoever is in one gets what is sent to it, in whatever process. As Channels has them, on top of the bus."""

from collections.abc import Callable
from typing import Generic, TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from shared.relay.bus import Event, channel_of

from .bus import Bus, Subscription

WAIT_S = 60.0
"""How long is waited for what is sent, again and again until the subscription is over."""

M = TypeVar("M")


class Group(Generic[M]):
    """The members of one group in this process, in order of coming."""

    def __init__(self, subscription: Subscription, deliver: Callable[[M, Event], None]) -> None:
        self.members: dict[M, None] = {}
        self._subscription = subscription
        self._deliver = deliver
        self._pump = gevent.spawn(self._hand_out)

    def end(self, bus: Bus) -> None:
        """Deliver nothing more."""
        bus.unsubscribe(self._subscription)
        self._pump.kill()

    # Private methods

    def _hand_out(self) -> None:
        while not self._subscription.is_over:
            event = self._subscription.next(WAIT_S)
            if event is not None:
                for member in list(self.members):
                    self._deliver(member, event)


class Groups(Generic[M]):
    """
    The groups that have members in this process.

    ``deliver(member, event)`` is called with what comes; it neither waits nor raises.

    A process subscribes once to a group, however many members it has there. Of a process that died nothing is left: a
    group is who is subscribed, and the relay knows who is not any more.
    """

    def __init__(self, bus: Bus, deliver: Callable[[M, Event], None]) -> None:
        self._bus = bus
        self._deliver = deliver
        self._lock = BoundedSemaphore()  # over who subscribes to what
        self._groups: dict[str, Group[M]] = {}

    def add(self, name: str, member: M) -> None:
        """Put a member into a group: it gets what is sent from here on. RelayError: it is not in it."""
        with self._lock:
            if name not in self._groups:
                subscription = self._bus.subscribe(channel_of(name))
                self._groups[name] = Group(subscription, self._deliver)
            self._groups[name].members[member] = None

    def discard(self, name: str, member: M) -> None:
        """Take a member out of a group, if it is in it; nothing is delivered to it from now on."""
        if name in self._groups:
            self._groups[name].members.pop(member, None)
        with self._lock:
            if name in self._groups and not self._groups[name].members:
                self._groups.pop(name).end(self._bus)

    def send(self, name: str, payload: bytes) -> bool:
        """Send to all of a group, from inside or outside of it, without waiting; False if it is lost."""
        return self._bus.publish(channel_of(name), payload)

    def close(self) -> None:
        """Take everybody out of everything."""
        with self._lock:
            while self._groups:
                self._groups.popitem()[1].end(self._bus)
