"""
Who waits for a turn: newcomers and all others, one of each in turns, both first come, first served.

So whoever comes in waits for those who came in before, and not for thousands who are here and always want something.
"""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """They wait in it; false while nobody does."""

    __slots__ = ("_back", "_is_newcomers_turn", "_newcomers", "_others")

    def __init__(self) -> None:
        self._back: deque[T] = deque()  # who had been called, and were put back
        self._newcomers: deque[T] = deque()
        self._others: deque[T] = deque()
        self._is_newcomers_turn = True

    def __bool__(self) -> bool:
        return bool(self._back or self._newcomers or self._others)

    def append(self, who: T, *, is_new: bool) -> None:
        """Let somebody wait."""
        (self._newcomers if is_new else self._others).append(who)

    def put_back(self, who: Sequence[T]) -> None:
        """Let those who had been called go first, in that order."""
        self._back.extendleft(reversed(who))

    @property
    def first(self) -> T:
        """Who is to be called next; IndexError where nobody waits."""
        return self._next()[0]

    def popleft(self) -> T:
        """Call the next; IndexError where nobody waits."""
        line = self._next()
        if line is not self._back:
            self._is_newcomers_turn = line is self._others
        return line.popleft()

    # Private methods

    def _next(self) -> deque[T]:
        if self._back:
            return self._back
        if self._newcomers and (self._is_newcomers_turn or not self._others):
            return self._newcomers
        return self._others
