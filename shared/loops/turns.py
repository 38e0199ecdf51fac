"""
How much of one turn of an event loop goes to peers: the same on every stack. Knows nothing of clocks and event loops.

A turn begins when the loop has looked at its sockets and timers, and ends when it does so again. A shell's ``Turns``
holds a :class:`Turn`, asks it before anything that a peer makes us do, and lets wait for a later turn whoever finds it
over, in a :class:`shared.loops.line.Line`.
"""

TURN_US = 1000
"""
So long after it has begun to serve peers, one turn of the event loop serves no more of them.

A tick that falls due meanwhile waits for what is left of that, and for the last of them. Less would make the loop look
at its sockets more often than it reads from them.
"""


class Turn:
    """
    What peers have had of this turn of the event loop: one of them at least, however late it is.

    Its time begins with the first of them, and what else is done in between counts: a tick, too, kept others waiting.
    """

    __slots__ = ("_ends_us",)

    def __init__(self) -> None:
        self._ends_us: int | None = None  # None: it has served nobody yet

    def begin(self) -> None:
        """Take note that the event loop has looked at its sockets."""
        self._ends_us = None

    def spend(self, cost_us: int) -> None:
        """Take off its time what will be done without asking, in this turn or a later one."""
        if self._ends_us is not None:
            self._ends_us -= cost_us

    def is_over(self, now_us: int) -> bool:
        """Say whether the next peer has to wait for another turn; ``now_us`` are microseconds of any steady clock."""
        if self._ends_us is None:
            self._ends_us = now_us + TURN_US
            return False
        return now_us >= self._ends_us
