"""
A queue for turns of the event loop: newcomers and all others alternate, each in the order in which they came.

So a newcomer waits for those who came before it, and not for thousands of connections that always want something.
"""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """The queue; false while nobody waits in it."""

    __slots__ = ("_back", "_is_newcomers_turn", "_newcomers", "_others")

    def __init__(self) -> None:
        self._back: deque[T] = deque()  # taken out, and put back
        self._newcomers: deque[T] = deque()
        self._others: deque[T] = deque()
        self._is_newcomers_turn = True

    def __bool__(self) -> bool:
        return bool(self._back or self._newcomers or self._others)

    def append(self, who: T, *, is_new: bool) -> None:
        """Let ``who`` wait, as a newcomer or as one of the others."""
        (self._newcomers if is_new else self._others).append(who)

    def put_back(self, who: Sequence[T]) -> None:
        """Put back those who were taken out: they are first, in this order."""
        self._back.extendleft(reversed(who))

    @property
    def first(self) -> T:
        """Who is next; IndexError where nobody waits."""
        return self._next()[0]

    def popleft(self) -> T:
        """Take out and return who is next; IndexError where nobody waits."""
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
