"""
Handles the answers of a game in a thread or in another process: in order, and never while a frame is being sent.

A newcomer whose welcome overtook the frame of the step before it would see that step twice.
"""

from collections import deque
from collections.abc import Callable


class Answers:
    """Calls the functions that it is given, in order; between :meth:`hold` and :meth:`release` it keeps them."""

    def __init__(self) -> None:
        self.is_held = False  # a frame is being sent
        self._kept: deque[Callable[[], None]] = deque()

    def take(self, answer: Callable[[], None]) -> None:
        """Call ``answer``, now or after the release."""
        if self.is_held:
            self._kept.append(answer)
        else:
            answer()

    def hold(self) -> None:
        """Keep the answers that come from now on."""
        self.is_held = True

    def release(self) -> None:
        """Call the answers that were kept, until one of them holds the rest."""
        self.is_held = False
        while self._kept and not self.is_held:
            self._kept.popleft()()
