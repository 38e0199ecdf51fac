"""
How long a user waits before the next try to connect: full jitter, by the law of the page (``shared/web/client.js``).

Anything up to a ceiling that grows by half each time, so that those whom a server sends away at once do not come back
at once. Where it doubled, whoever tried twice while nobody listened was away for up to seven seconds, though a balancer
is started again within two.
"""

import random
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 1.0
"""The first ceiling."""
LONGEST_S: Final = 10.0
"""The highest."""
GROWTH: Final = 1.5
"""Of the ceiling, with each try."""
PROVEN_S: Final = 10.0
"""A connection that held longer has the first ceiling again behind it."""


class Pauses:
    """The pauses of one user; ``chance`` draws evenly from 0 to 1."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._ceiling_s = FIRST_S

    def held(self, seconds: float) -> None:
        """Say that a connection was lost that had held so long."""
        if seconds > PROVEN_S:
            self._ceiling_s = FIRST_S

    def next_s(self) -> float:
        """Return how many seconds to wait before the next try."""
        ceiling_s, self._ceiling_s = self._ceiling_s, min(LONGEST_S, GROWTH * self._ceiling_s)
        return ceiling_s * self._chance()
