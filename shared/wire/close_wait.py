"""How long a server waits for the connections that it has told to close."""

GOING_US = 100_000
"""While one closes within this time, the others may be about to: thousands answer one after the other."""


class Patience:
    """
    Lasts ``close_limit_s``, in which each peer has to answer, longer while connections still close, at most ``most_s``.

    Ask :meth:`lasts` again and again while one is left. Times are microseconds of one clock.
    """

    def __init__(self, close_limit_s: float, most_s: float, now_us: int) -> None:
        self._until_us = now_us + round(close_limit_s * 1_000_000)
        self._end_us = now_us + round(most_s * 1_000_000)
        self._left: int | None = None  # at the last call

    def lasts(self, left: int, now_us: int) -> bool:
        """Say whether to wait longer; ``left`` is how many connections have not closed by themselves."""
        if self._left is not None and left < self._left:
            self._until_us = max(self._until_us, now_us + GOING_US)
        self._left = left
        return now_us < min(self._until_us, self._end_us)
