"""What one process does to have a lease, and to keep it: when it asks for what, and what it may do by its own clock."""

from __future__ import annotations

from math import inf

from shared.relay.fence import Tenure

ASKS = 4
"""How often a lease is asked for, or for more time, while it lasts: some answers may be late, or lost."""


class Claim:
    """
    A process's claim to one lease.

    Whoever waits asks for :meth:`to_regain`, a number that is over and may be had back, and if there is none for
    :meth:`to_renew`: a number that is to be renewed, or 0 where the lease is to be acquired. It then says what came of
    it, with the time *before* it asked, and waits for :attr:`pause_s`. ``changes`` counts how often the lease was won
    or lost, as far as it was noticed; times are of a monotonic clock.
    """

    def __init__(self, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self.changes = 0
        self._tenure: Tenure | None = None
        self._late_at_s = inf  # when it was first seen that it is over

    @property
    def held(self) -> int:
        """The number that is ours, or over by our own clock and may be ours again; 0: there is none."""
        return 0 if self._tenure is None else self._tenure.number

    @property
    def pause_s(self) -> float:
        """How long to wait between two questions."""
        return self.ttl_s / ASKS

    def number(self, now_s: float) -> int:
        """Return the number of the lease, 0 while it is not ours: to be asked before each thing an owner does."""
        tenure = self._tenure
        return tenure.number if tenure is not None and tenure.holds(now_s) else 0

    def to_regain(self, now_s: float) -> int:
        """
        Return the number to ask back, as we were held up until it was over by our own clock; 0: there is none.

        Nobody else may have wanted it meanwhile, which the relay knows. It is asked for half the time of a lease,
        counted from when we see it first: while nobody answers, the members of the room see nothing move.
        """
        if self._tenure is None or self._tenure.holds(now_s):
            return 0
        self._late_at_s = min(self._late_at_s, now_s)
        return self._tenure.number if now_s - self._late_at_s <= self.ttl_s / 2 else 0

    def to_renew(self, now_s: float) -> int:
        """Return the number to renew; 0: acquire. What is over by our own clock is not renewed."""
        if self._tenure is not None and not self._tenure.holds(now_s):
            self._end()
        return self.held

    def acquired(self, number: int | None, asked_at_s: float) -> None:
        """Take the answer to having acquired it: None while it is somebody else's."""
        if number is not None:
            self._tenure, self._late_at_s = Tenure(number, self.ttl_s, asked_at_s), inf
            self.changes += 1

    def renewed(self, is_ours: bool, asked_at_s: float) -> None:
        """Take the answer to having renewed it, or asked it back."""
        if not is_ours:
            self._end()
        elif self._tenure is not None:
            self._tenure.renewed(asked_at_s)
            self._late_at_s = inf

    def note_absence(self, at_s: float) -> None:
        """
        Take it that nobody listened at the relay's place then: as long as that is so, nobody else gets the lease.

        Whenever it begins anew, it gives none before the time of one has passed (:mod:`shared.relay.leases`).
        """
        if self._tenure is not None and self._tenure.holds(at_s):
            self._tenure.renewed(at_s)

    def give_up(self) -> int:
        """Have it no longer; return the number to release, 0 if there is none."""
        number = self.held
        self._end()
        return number

    # Private methods

    def _end(self) -> None:
        if self._tenure is not None:
            self._tenure = None
            self.changes += 1
