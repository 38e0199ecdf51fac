"""A token bucket: limits how much of something a peer may have in a time (requests, CPU time)."""


class Allowance:
    """
    Refills by ``per_s`` a second, up to ``most``; to take more than is left makes a debt, which is refilled first.

    The unit is the caller's: requests, microseconds. Times are microseconds of any clock that never goes back.
    """

    __slots__ = ("_left", "_most", "_per_us", "_seen_us")

    def __init__(self, per_s: float, most: float, now_us: int = 0) -> None:
        self._per_us = per_s / 1_000_000
        self._most = self._left = most
        self._seen_us = now_us

    def has_some(self, now_us: int) -> bool:
        """Whether anything is left."""
        if now_us > self._seen_us:
            self._left = min(self._most, self._left + (now_us - self._seen_us) * self._per_us)
            self._seen_us = now_us
        return self._left > 0

    def take(self, amount: float) -> None:
        """Take some of it, or more than there is."""
        self._left -= amount

    def comes_back_s(self) -> float:
        """Return the seconds from the last :meth:`has_some` until something is left again."""
        return max(0.0, -self._left / self._per_us / 1_000_000)
