"""
When a server was held up: what it reads then may have come long before, and whose time is up may have spoken in time.

Knows nothing of clocks, or of what held it up: a process that was stopped, a step of the rules that took long, or
others whose turn it was first.
"""

STALL_US = 250_000
"""Longer than that from one turn of the event loop that is noted to the next, and the server was held up."""

BACKLOG_US = 1_000_000
"""As long as the stall was, but at least for that time, what came in it may lie unread."""

MAX_BACKLOG_US = 10_000_000
"""And for no longer than that."""


class Stalls:
    """
    One server's. Call :meth:`note_turn` some ten times a second.

    Times are microseconds of one clock.
    """

    __slots__ = ("_began_us", "_last_turn_us", "_read_by_us", "_turn_before_us")

    def __init__(self, now_us: int) -> None:
        self._last_turn_us = self._turn_before_us = now_us
        self._began_us = now_us  # the last stall
        self._read_by_us = now_us  # when what came in it is read, too

    def note_turn(self, now_us: int) -> None:
        """Note that the event loop looks at every connection, and does so from now on."""
        if now_us - self._last_turn_us > STALL_US:
            self.note(self._last_turn_us, now_us)
        self._turn_before_us, self._last_turn_us = self._last_turn_us, now_us

    def note(self, began_us: int, ended_us: int) -> None:
        """Note that what came from ``began_us`` on may be read no earlier than ``ended_us``."""
        # What came in the stall before this one may lie unread yet.
        self._began_us = began_us if began_us >= self._read_by_us else min(began_us, self._began_us)
        backlog_us = min(max(ended_us - began_us, BACKLOG_US), MAX_BACKLOG_US)
        self._read_by_us = max(self._read_by_us, ended_us + backlog_us)

    def note_wait(self, began_us: int, ended_us: int) -> None:
        """Note how long somebody whose words are here had to wait for others; that is a stall like any other."""
        if ended_us - began_us > STALL_US:
            self.note(began_us, ended_us)

    def arrived_since(self, now_us: int) -> int:
        """Return the earliest time at which what is read now may have arrived."""
        # Not since the last turn: what was there then may wait for its own.
        return min(self._began_us, self._turn_before_us) if now_us < self._read_by_us else self._turn_before_us

    def is_recent(self, now_us: int) -> bool:
        """Whether a stall goes on, or what peers said in it may lie unread: who seems to be silent need not be."""
        return now_us < self._read_by_us or now_us - self._last_turn_us > STALL_US


class NoStalls(Stalls):
    """Of a server that reads everything as it comes."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0)

    def arrived_since(self, now_us: int) -> int:
        """Return that it has just arrived."""
        return now_us

    def is_recent(self, now_us: int) -> bool:  # noqa: ARG002 # as the base
        """Say no."""
        return False


NO_STALLS = NoStalls()
