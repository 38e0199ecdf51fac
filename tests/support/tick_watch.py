"""
Whether two who watched the same ticks agree on when they came: a browser's page and the load generator.

A page handles a message some time after the kernel has it, and so it does the pong by which it estimates the clock: its
figures are off by up to half of its quickest round trip, and late by what handling a tick takes longer than that pong
took. Where it draws, that is some milliseconds, so what is compared is the median over the ticks of the difference in
each. And where it is starved, it knows so: usual round trips take as much longer than the quickest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HANDLED_MS = 1.0
"""
What handling a tick may take longer, half of the time, than handling the pong that came back the soonest.

Or as much longer as the page's usual round trip takes than its quickest, where that is more.
"""

TELLING_MS = 3.0
"""Where more is allowed, the page was starved, and says nothing of the generator."""

COMMON = 0.9
"""The share of the ticks of one that the other must have seen as well."""


@dataclass(frozen=True)
class Seen:
    """What a page saw. All in ms."""

    lateness: Mapping[int, float]
    """Of each tick, by its number."""
    half_width: float
    """Of its estimate of the clock."""
    delay: float
    """How much longer its usual round trip takes than its quickest."""


@dataclass(frozen=True)
class Agreement:
    """How much later a page says that ticks came than the generator can say. All in ms."""

    ticks: int
    """That both saw."""
    p5: float
    median: float
    p95: float
    width: float
    """Between the two latenesses of the generator, half of the time: within it nothing can differ."""
    bound: float
    """What the two may differ by."""

    @property
    def holds(self) -> bool:
        return abs(self.median) <= self.bound

    @property
    def tells(self) -> bool:
        """Whether the page knows enough to find a fault of a few milliseconds."""
        return self.bound <= TELLING_MS

    def __str__(self) -> str:
        spread = f"5 % below {self.p5:.2f}, 5 % above {self.p95:.2f}, known to {self.width:.2f}"
        return f"{self.ticks} ticks: {self.median:+.2f} ms ({spread}), allowed: {self.bound:.2f}"


@dataclass(frozen=True)
class Told:
    """What the generator says of each tick in its window; see told_locustfile.py."""

    rows: NDArray[np.int64]
    entered_us: NDArray[np.int64]

    def around(self) -> dict[int, tuple[float, float]]:
        """
        Return between which two latenesses, in ms, each tick came to somebody who entered before all others.

        Frames go out in the order of entering, and around again: the last who entered is sent each one right before,
        the first right after. A tick whose round ends or begins between the two is left out.
        """
        first, last = (self._of(int(place)) for place in (np.argmin(self.entered_us), np.argmax(self.entered_us)))
        return {n: (last[n], first[n]) for n in sorted(first.keys() & last.keys()) if last[n] <= first[n]}

    def of_all(self) -> dict[int, float]:
        """Return the median lateness of each tick, in ms."""
        by_n = self.rows[np.argsort(self.rows[:, 1], kind="stable")]
        numbers, starts = np.unique(by_n[:, 1], return_index=True)
        latenesses = np.split(by_n[:, 2], starts[1:])
        return {int(n): float(np.median(of)) / 1000 for n, of in zip(numbers, latenesses, strict=True)}

    def _of(self, connection: int) -> dict[int, float]:
        rows = self.rows[self.rows[:, 0] == connection]
        return {n: lateness_us / 1000 for _, n, lateness_us in rows.tolist()}


def read_told(path: Path) -> Told:
    """Read what a load run has written down."""
    with np.load(path) as told:
        return Told(told["rows"], told["entered_us"])


Places = Mapping[int, tuple[float, float]]
"""For each tick the two latenesses, in ms, between which it came to somebody."""


def compare(seen: Seen, told: Places) -> Agreement:
    """Compare the lateness of each tick, by its number, with the two between which it was by the generator."""
    both = sorted(seen.lateness.keys() & told.keys())
    assert len(both) >= COMMON * len(told) > 0, f"the page saw {len(both)} of {len(told)} ticks"
    differences = [seen.lateness[n] - min(max(seen.lateness[n], told[n][0]), told[n][1]) for n in both]
    p5, median, p95 = np.percentile(differences, (5, 50, 95)).tolist()
    width = float(np.median([told[n][1] - told[n][0] for n in both]))
    return Agreement(len(both), p5, median, p95, width, seen.half_width + max(HANDLED_MS, seen.delay))
