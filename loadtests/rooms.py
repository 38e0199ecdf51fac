"""Which ticks a room had, as far as its connections saw. Knows nothing of who saw them, or when they arrived."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class RoomTicks:
    """The ticks of a room that any of its connections received."""

    seen: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By n, those due in the measured window: due_us, sent_us."""
    last_n: int = -1
    last_due_us: int = 0
    first_n: int = -1
    first_due_us: int = 0

    def see(self, n: int, due_us: int, sent_us: int, *, measured: bool) -> None:
        """Take note of a tick."""
        if self.first_n < 0 or n < self.first_n:
            self.first_n, self.first_due_us = n, due_us
        if n > self.last_n:
            self.last_n, self.last_due_us = n, due_us
        if measured:
            self.seen[n] = (due_us, sent_us)

    def skipped(self) -> int:
        """Return how many due times between the first and the last measured tick were no tick for anybody."""
        return max(self.seen) - min(self.seen) + 1 - len(self.seen) if self.seen else 0

    def see_skipped(self) -> None:
        """Take the due times that were no tick for anybody for ticks that were sent."""
        if not self.seen:
            return
        for n in range(min(self.seen), max(self.seen)):
            if n not in self.seen:
                due_us = self.first_due_us + round((n - self.first_n) * self.period_us)
                self.seen[n] = (due_us, due_us)

    @property
    def period_us(self) -> float:
        """The period, from due times; 0 until there are two."""
        ticks = self.last_n - self.first_n
        return (self.last_due_us - self.first_due_us) / ticks if ticks > 0 else 0.0

    def unseen_until(self, end_us: int) -> list[tuple[int, int]]:
        """
        Return n and due time of the ticks behind the last seen one that were due before ``end_us``.

        A room that still ticks has none: a tick due later was seen.

        """
        period_us = self.period_us
        if period_us <= 0:
            return []
        count = max(0, int((end_us - 1 - self.last_due_us) // period_us))
        return [(self.last_n + i, self.last_due_us + int(i * period_us)) for i in range(1, count + 1)]
