"""
The members of a room who get its next frame, with their file descriptors in one array, and their forms in another.

To read an attribute of one of a thousand objects takes a few hundred nanoseconds, as it is in no cache by then: a
twentieth of the system call that sends the frame. So a fan-out reads the descriptors from one array, which is gathered
anew only when one of them has changed.
"""

from array import array
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Generic, Protocol, TypeVar


class Reachable(Protocol):
    """A connection that can be written to by ``fd``; while that is -1, it can't. It takes frames in one ``form``."""

    fd: int
    form: int


R = TypeVar("R", bound=Reachable)


class Audience(Generic[R]):
    """
    The members of one room, in the order in which they are sent to.

    Whoever changes the ``fd`` of a member sets :attr:`is_stale`.
    """

    def __init__(self) -> None:
        self.members: list[R] = []
        self.is_stale = True
        self._fds = array("i")
        self._forms: array[int] | None = None
        self._are_alike = False

    def seat(self, members: list[R]) -> None:
        """Take these members, a list that nobody changes any more; the same list again costs nothing."""
        if members is not self.members:
            self.members = members
            self.is_stale = True
            self._forms = None

    def takers(self, first: int, last: int, frames: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
        """Return of each of ``members[first:last]`` its descriptor, as :meth:`fds` does, and its one of ``frames``."""
        fds = self.fds(first, last)
        if self._forms is None:
            self._forms = array("B", [member.form for member in self.members])
            self._are_alike = len(set(self._forms)) == 1
        if self._are_alike:  # as nearly everywhere: to look each frame up would cost half a percent of a send
            return zip(fds, repeat(frames[self._forms[0]]))
        return zip(fds, [frames[form] for form in self._forms[first:last]], strict=True)

    def fds(self, first: int, last: int) -> "array[int]":
        """
        Return the descriptors of ``members[first:last]`` as they are now; they hold until the event loop has a turn.

        The first slice of a tick gathers all anew if one has changed; if one changes later, each slice gathers its own.
        """
        if self.is_stale:
            if first:
                return array("i", [member.fd for member in self.members[first:last]])
            self._fds = array("i", [member.fd for member in self.members])
            self.is_stale = False
        return self._fds[first:last]
