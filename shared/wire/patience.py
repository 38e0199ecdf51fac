"""
How long those who were told to go are waited for, the same on every stack.

Knows nothing of connections or clocks: how many are left, and what time it is, come in as arguments.
"""

GOING_US = 100_000
"""While in so much time somebody goes, the others may be about to: thousands answer one after the other."""


class Patience:
    """
    Lasts ``close_limit_s``, in which each peer has to answer, and longer while they still go; at most ``most_s``.

    Ask :meth:`lasts` again and again while somebody is left.
    """

    def __init__(self, close_limit_s: float, most_s: float, now_us: int) -> None:
        self._until_us = now_us + round(close_limit_s * 1_000_000)
        self._end_us = now_us + round(most_s * 1_000_000)
        self._left: int | None = None  # the last time

    def lasts(self, left: int, now_us: int) -> bool:
        """Say whether to wait on; ``left`` are those who have not gone by themselves."""
        if self._left is not None and left < self._left:
            self._until_us = max(self._until_us, now_us + GOING_US)
        self._left = left
        return now_us < min(self._until_us, self._end_us)
