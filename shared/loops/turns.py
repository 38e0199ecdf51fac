"""
Limits the time that one turn of the event loop spends on peers, so that ticks don't have to wait for long.

A turn begins when the loop has looked at its sockets and timers, and ends when it does so again. A backend's ``Turns``
holds a :class:`TurnTime` and asks it before anything that a peer makes us do; what finds the turn over waits for a
later one, in a :class:`shared.loops.fair_queue.FairQueue`.
"""

TURN_US = 1000
"""
How long one turn of the event loop serves peers, from the first of them on.

A tick that falls due meanwhile waits for the rest of this time, and for the last peer. Less would make the loop look at
its sockets more often than it reads from them.
"""


class TurnTime:
    """
    The current turn of the event loop: it serves one peer at least, however late it is.

    Its time begins with the first peer, and what else is done in between counts: a tick, too, kept others waiting.
    """

    __slots__ = ("_ends_us",)

    def __init__(self) -> None:
        self._ends_us: int | None = None  # None: it has served nobody yet

    def begin(self) -> None:
        """Note that the event loop has looked at its sockets."""
        self._ends_us = None

    def spend(self, cost_us: int) -> None:
        """Subtract from its time what will be done without asking, in this turn or a later one."""
        if self._ends_us is not None:
            self._ends_us -= cost_us

    def is_over(self, now_us: int) -> bool:
        """Say whether the next peer has to wait for another turn; ``now_us`` are microseconds of any steady clock."""
        if self._ends_us is None:
            self._ends_us = now_us + TURN_US
            return False
        return now_us >= self._ends_us
