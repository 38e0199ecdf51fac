"""What one process knows of its part in one room that several have: whether it is the owner or an edge of whose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.edges.posts import SILENCE_S, TTL_S, Here, Owned, edges_channel, owners_channel, said_by_owner, seal
from shared.relay.bus import Down, Message, RelayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.relay.bus import Event

ASK_S = 0.25
"""How often it is asked who the owner is."""
SETTLE_LIMIT_S = TTL_S + SILENCE_S
"""A lease that nobody renews is over by then."""


class BaseTenancy:
    """
    All of a tenancy that does not wait; a backend adds that.

    ``name`` is the room's, ``me`` what others call this process by, ``lease`` its part in the room's, whose ``number``
    is 0 while that is not its own; ``publish`` sends bytes in a channel. Once it has settled, ``number`` is that of the
    owner's lease; ``is_owner`` says whose that is.
    """

    def __init__(self, name: str, me: bytes, lease: Any, publish: Callable[[str, bytes], bool]) -> None:
        self.name = name
        self.me = me
        self.is_over = False
        self.number = 0
        self.is_owner = False
        self._lease = lease
        self._publish = publish
        self._says = ""
        self._ask_at_s = 0.0
        self._until_s: float | None = None

    def current_number(self) -> int:
        """Return the number of the owner's lease while this process is the owner, 0 when it may not be any more."""
        return self.number if self._lease.number == self.number else 0

    def publish(self, data: bytes) -> bool:
        """Say something in the channel of those that this process is one of; False if it is lost."""
        return self._publish(self._says, data)

    # To settle, between two looks at the lease

    def ask_for_owner(self, now_s: float) -> None:
        """Ask who the owner is, as often as that is due; RelayError: nobody has said so for too long."""
        if self._until_s is None:
            self._until_s = now_s + SETTLE_LIMIT_S
        if now_s >= self._until_s:
            raise RelayError("nobody answers for the room")
        if now_s >= self._ask_at_s:
            self._ask_at_s = now_s + ASK_S
            self._publish(edges_channel(self.name), seal(0, Here([], [], wants_state=False)))

    def follow(self, event: Event) -> bool:
        """Take what has come from owners; return whether this is an edge of one. RelayError: the relay is gone."""
        if isinstance(event, Down):
            raise RelayError(f"the relay is gone: {event.why}")
        found = said_by_owner(event.payload) if isinstance(event, Message) else None
        if found is not None:
            self.number, self._says = found[0], edges_channel(self.name)
        return found is not None

    def own(self, number: int) -> None:
        """Be the owner, by the lease of that number, and let edges of an older one know."""
        self.number, self.is_owner, self._says = number, True, owners_channel(self.name)
        self.publish(seal(number, Owned()))
