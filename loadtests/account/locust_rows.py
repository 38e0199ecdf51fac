"""
The rows that Locust's statistics show during a run, of one worker or of all. Does not import Locust.

A request is a frame that was due, a failure one that did not come, a response time how late it was.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Self

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from loadtests.account.counts import Additive, total
from shared.measure.histogram import Histogram
from shared.measure.summary import LoadSummary

LATENESS = "tick lateness"
INTERVAL_ERROR = "interval error"
STEPS_US = 10 ** np.arange(1, 8, dtype=np.int64)
"""What values are rounded to: each up to a thousand times itself."""


class Row(Additive):
    """One row of the table."""

    counts: Counter[int] = field(default_factory=Counter)
    """How often each value was recorded: by microseconds, rounded by :func:`rounded_us`."""
    total_us: int = 0
    failed: int = 0
    """How many of the counted frames did not come."""
    bytes: int = 0

    @classmethod
    def of(cls, histogram: Histogram, failed: int = 0, bytes_: int = 0) -> Self:
        """Return the row that shows a histogram in microseconds."""
        # At once, not one by one: that took the hub 15 ms a second where lateness had thousands of values, and what
        # arrives meanwhile is read together.
        us, count = histogram.columns()
        rounded = rounded_us(us)
        starts = np.flatnonzero(np.diff(rounded, prepend=-1))  # they go up
        counts = Counter(dict(zip(rounded[starts].tolist(), np.add.reduceat(count, starts).tolist(), strict=True)))
        return cls(counts, histogram.total_us, failed, bytes_)

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.counts.total()

    def percentile_us(self, percentile: float) -> int:
        """Return the percentile, from 0 to 100, by nearest rank, as the summary has it; 0 without values."""
        rank = max(1, math.ceil(round(percentile * self.count / 100, 6)))
        for us in sorted(self.counts):
            rank -= self.counts[us]
            if rank <= 0:
                return us
        return 0


class LocustRows(Struct):
    """All rows of the table, of one worker or of several."""

    since_s: float
    """When counting began, in seconds since the epoch."""
    in_window: bool
    """Whether it began with the window; else it began with the run."""
    by_name: dict[str, Row]


def rounded_us(us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Round to 0.01 ms; from 10 ms on to 0.1 ms, from 100 ms on to 1 ms, and so on: as a table shows it."""
    step_us = STEPS_US[np.searchsorted(1000 * STEPS_US, us, side="right")]
    return (us + step_us // 2) // step_us * step_us


def added(rows: Iterable[LocustRows]) -> LocustRows | None:
    """Return the sum, None without any; workers that do not count the window yet are left out if others do."""
    of_all = list(rows)
    in_window = any(of_one.in_window for of_one in of_all)
    chosen = [of_one for of_one in of_all if of_one.in_window == in_window]
    if not chosen:
        return None
    by_name = {name: total(of_one.by_name[name] for of_one in chosen) for name in chosen[0].by_name}
    return LocustRows(min(of_one.since_s for of_one in chosen), in_window, by_name)


def of_summary(summary: LoadSummary) -> dict[str, Row]:
    """Return the rows of a run that is over."""
    lateness = Histogram.from_summary(summary.tick_lateness_ms)
    failed = lateness.count - summary.frames.received
    return {
        LATENESS: Row.of(lateness, failed, summary.frames.bytes),
        INTERVAL_ERROR: Row.of(Histogram.from_summary(summary.interval_error_ms)),
    }
