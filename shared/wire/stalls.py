"""
Remembers when a server was held up, so that no peer is blamed for messages that arrived in time and lay unread.

It does not matter what held it up: the process was stopped, a step of the rules took long, or others came first. But
while the process did not run at all, nobody's time passes either: all limits are of the time in which it ran.
"""

from collections.abc import Callable

STALL_US = 250_000
"""If it is longer from one :meth:`Stalls.note_turn` to the next, the server was held up."""

SEEN_US = 50_000
"""As often, whoever asks for the time, the CPU time is looked at: that takes a system call."""

BACKLOG_US = 1_000_000
"""After a stall, what arrived in it may lie unread for as long as the stall was, but at least for this time."""

MAX_BACKLOG_US = 10_000_000
"""And for no longer than this."""


class Stalls:
    """
    The stalls of one server. Call :meth:`note_turn` some ten times a second.

    Times are microseconds of one clock; ``cpu_us`` returns the CPU time of the process so far, without which it is
    taken to have run all the time.
    """

    __slots__ = (
        "_began_us",
        "_cpu_us",
        "_last_turn_us",
        "_read_by_us",
        "_seen_cpu_us",
        "_seen_us",
        "_still_us",
        "_turn_before_us",
        "woke_us",
    )

    def __init__(self, now_us: int, cpu_us: Callable[[], int] | None = None) -> None:
        self.woke_us = now_us
        """When the process went on after it stood still the last time; at first, when it began."""
        self._cpu_us = cpu_us
        self._seen_us = now_us
        self._seen_cpu_us = cpu_us() if cpu_us else 0
        self._still_us = 0  # in which the process did not run
        self._last_turn_us = self._turn_before_us = now_us
        self._began_us = now_us  # the last stall
        self._read_by_us = now_us  # by when what arrived in it has been read

    def note_turn(self, now_us: int) -> None:
        """Note that the event loop runs, and looks at every connection."""
        self._see(now_us)
        if now_us - self._last_turn_us > STALL_US:
            self.note(self._last_turn_us, now_us)
        self._turn_before_us, self._last_turn_us = self._last_turn_us, now_us

    def note(self, began_us: int, ended_us: int) -> None:
        """Note a stall: what arrived from ``began_us`` on could not be read before ``ended_us``."""
        # What came in the stall before this one may lie unread yet.
        self._began_us = began_us if began_us >= self._read_by_us else min(began_us, self._began_us)
        backlog_us = min(max(ended_us - began_us, BACKLOG_US), MAX_BACKLOG_US)
        self._read_by_us = max(self._read_by_us, ended_us + backlog_us)

    def running_us(self, now_us: int) -> int:
        """
        Return the time by a clock that stands still while the process does, which all limits are measured by.

        Be it that it was stopped (SIGSTOP), or had no core: a gap between two turns in which it took no CPU time is
        left out. One in which it computed is its own, and counts.
        """
        if now_us - self._seen_us > SEEN_US:
            self._see(now_us)
        return now_us - self._still_us

    def note_wait(self, began_us: int, ended_us: int) -> None:
        """Note how long a message that is here waited for others; if that was long, it is a stall like any other."""
        if ended_us - began_us > STALL_US:
            self.note(began_us, ended_us)

    def arrived_since(self, now_us: int) -> int:
        """Return the earliest time at which what is read now may have arrived."""
        # Not since the last turn: what was there then may have waited for this one.
        return min(self._began_us, self._turn_before_us) if now_us < self._read_by_us else self._turn_before_us

    def is_recent(self, now_us: int) -> bool:
        """Whether a stall goes on, or what arrived in it may lie unread: a peer that seems silent need not be."""
        return now_us < self._read_by_us or now_us - self._last_turn_us > STALL_US

    def _see(self, now_us: int) -> None:
        """Note the time and the CPU time, and whether the process stood still since the last time."""
        if self._cpu_us is None:
            return
        cpu_us, gap_us = self._cpu_us(), now_us - self._seen_us
        if gap_us > STALL_US and cpu_us - self._seen_cpu_us < gap_us:
            self._still_us += gap_us - (cpu_us - self._seen_cpu_us)
            self.woke_us = now_us
        self._seen_us, self._seen_cpu_us = now_us, cpu_us


class NoStalls(Stalls):
    """The stalls of a server that reads everything as it arrives: none."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0)

    def arrived_since(self, now_us: int) -> int:
        """Return ``now_us``."""
        return now_us

    def is_recent(self, now_us: int) -> bool:  # noqa: ARG002 # as the base
        """Return False."""
        return False


NO_STALLS = NoStalls()
