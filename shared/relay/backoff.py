"""How long to wait before a relay that is gone is looked for again."""

from random import Random

FIRST_S = 0.05
LONGEST_S = 1.0


class Backoff:
    """
    Pauses that double, each drawn from its upper half: many who lost the same relay do not come back at once.

    The first is at most :data:`FIRST_S`, none is longer than :data:`LONGEST_S`.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._limit_s = FIRST_S

    def next_s(self) -> float:
        """Return how long to wait now."""
        limit_s, self._limit_s = self._limit_s, min(self._limit_s * 2, LONGEST_S)
        return limit_s * self._rng.uniform(0.5, 1)

    def reset(self) -> None:
        """Begin with short ones again: it was there."""
        self._limit_s = FIRST_S
