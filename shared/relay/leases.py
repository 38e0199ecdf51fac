"""
Who owns what, until when: leases with a fencing number that only grows.

- ``acquire(name, owner, ttl)`` gives a number, or None while somebody else has it. Who has it already gets a new one;
- ``renew(name, owner, number, ttl)`` says whether it was still one's own, and is again for that time;
- ``regain(name, owner, number, ttl)`` is for who comes late: it says whether nobody has had it since, and then it is
  one's own again, by the same number: none was given in between, so whoever heeds numbers may go on with this one;
- ``release(name, number)`` gives it back, if it is one's own.

A number is larger than all before it, those of a relay that was lost with all that it knew included: it is at least the
wall clock's milliseconds, which must not have been set back meanwhile. A relay that has just begun may have forgotten
leases that their owners still count on. So it gives none before the time that is asked for has passed since its start;
and for so long it believes whoever renews one that it does not know. Of two, it believes the larger number: the other's
time was over when that was given.

All leases of a relay have times to live of about one length: a start is waited out by that which is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_LEASES = 100_000
"""More are not given: a relay's memory has a bound, whatever names players think of."""


@dataclass(slots=True)
class _Lease:
    number: int
    owner: str
    until_ms: int


class LeaseTable:
    """
    The leases of a relay that holds them itself.

    Times are of a monotonic clock, in ms; ``began_ms`` is when the relay did, None where none can have been before it.
    """

    def __init__(self, began_ms: int | None) -> None:
        self._began_ms = began_ms
        self._leases: dict[str, _Lease] = {}
        self._last = 0

    def acquire(self, name: str, owner: str, ttl_ms: int, now_ms: int, wall_ms: int) -> int | None:
        """Return the number of a lease that is the owner's from now on, or None."""
        held = self._held(name, now_ms)
        if held is not None:
            if held.owner != owner:
                return None
        elif self._is_young(ttl_ms, now_ms):
            return None
        if name not in self._leases and len(self._leases) >= MOST_LEASES:
            self._drop_what_is_over(now_ms)
            if len(self._leases) >= MOST_LEASES:
                return None
        self._last = max(self._last + 1, wall_ms)
        self._leases[name] = _Lease(self._last, owner, now_ms + ttl_ms)
        return self._last

    def renew(self, name: str, owner: str, number: int, ttl_ms: int, now_ms: int) -> bool:
        """Have a lease last for its whole time again; return whether it is the owner's."""
        held = self._held(name, now_ms)
        is_known = held is not None and held.number == number
        if not is_known and (not self._is_young(ttl_ms, now_ms) or (held is not None and held.number > number)):
            return False
        self._last = max(self._last, number)
        self._leases[name] = _Lease(number, owner, now_ms + ttl_ms)
        return True

    def regain(self, name: str, owner: str, number: int, ttl_ms: int, now_ms: int) -> bool:
        """Have a lease last for its whole time again, over or not, if that number is the last that was given for it."""
        lease = self._leases.get(name)
        if lease is None or lease.number != number or self._is_young(ttl_ms, now_ms):
            return False
        self._leases[name] = _Lease(number, owner, now_ms + ttl_ms)
        return True

    def release(self, name: str, number: int, now_ms: int) -> bool:
        """Give a lease back; return whether it was the owner's."""
        held = self._held(name, now_ms)
        if held is None or held.number != number:
            return False
        del self._leases[name]
        return True

    # Private methods

    def _held(self, name: str, now_ms: int) -> _Lease | None:
        lease = self._leases.get(name)
        return lease if lease is not None and now_ms < lease.until_ms else None

    def _is_young(self, ttl_ms: int, now_ms: int) -> bool:
        return self._began_ms is not None and now_ms < self._began_ms + ttl_ms

    def _drop_what_is_over(self, now_ms: int) -> None:
        self._leases = {name: lease for name, lease in self._leases.items() if now_ms < lease.until_ms}
