"""
What comes back from a game that is elsewhere, in order, and never while a frame is being sent. Knows nothing of games.

A welcome that overtakes the frame of the step before it would let a newcomer see that step twice.
"""

from collections import deque
from collections.abc import Callable


class Answers:
    """Calls what it is given, in order; between :meth:`hold` and :meth:`release` it keeps it."""

    def __init__(self) -> None:
        self.is_held = False  # a frame is being sent
        self._kept: deque[Callable[[], None]] = deque()

    def take(self, answer: Callable[[], None]) -> None:
        """Call ``answer``, now or when it is its turn."""
        if self.is_held:
            self._kept.append(answer)
        else:
            answer()

    def hold(self) -> None:
        """Keep what comes."""
        self.is_held = True

    def release(self) -> None:
        """Call what was kept, until one of them holds the rest."""
        self.is_held = False
        while self._kept and not self.is_held:
            self._kept.popleft()()
