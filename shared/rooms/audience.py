"""
Who gets a room's next frame, their descriptors side by side. Opens and writes nothing.

To look at one of a thousand objects costs a few hundred nanoseconds, since nothing of it is in a cache by then: a
twentieth of what the system call costs that sends it a frame. So the descriptors are kept in one array, from which a
fan-out reads, and gathered anew only when one of them has changed.
"""

from array import array
from typing import Generic, Protocol, TypeVar


class Reachable(Protocol):
    """One who can be written to by ``fd``, or, while that is -1, not now."""

    fd: int


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

    def seat(self, members: list[R]) -> None:
        """Take these members, of whom the list is not changed any more; the same list costs nothing."""
        if members is not self.members:
            self.members = members
            self.is_stale = True

    def fds(self, first: int, last: int) -> "array[int]":
        """
        Return the descriptors of ``members[first:last]`` as they are now; they hold until the event loop has a turn.

        The first slice of a tick gathers them all if one has changed; if one changes later, a slice gathers its own.
        """
        if self.is_stale:
            if first:
                return array("i", [member.fd for member in self.members[first:last]])
            self._fds = array("i", [member.fd for member in self.members])
            self.is_stale = False
        return self._fds[first:last]
