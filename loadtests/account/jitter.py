"""The interarrival jitter of RFC 3550 (6.4.1, appendix A.8), of many connections at a time."""

import numpy as np
from numpy.typing import NDArray

from shared.measure.histogram import Histogram


class JitterEstimators:
    """One estimate J a connection, in microseconds: J += (|D| - J) / 16 for each two ticks that follow each other."""

    def __init__(self) -> None:
        self._estimate = np.zeros(0)
        self._started = np.zeros(0, dtype=np.bool_)
        self._before = self._estimate, self._started

    def begin(self, *, last_counts: bool) -> None:
        """Begin a window; unless the last one counts, the estimates go on from where they were before it."""
        if not last_counts:
            size = len(self._estimate)
            self._estimate, self._started = self._before
            self.grow(size)
        self._before = self._estimate.copy(), self._started.copy()

    def grow(self, size: int) -> None:
        """Make room for connections with an index below ``size``."""
        more = size - len(self._estimate)
        if more <= 0:
            return
        self._estimate = np.concatenate((self._estimate, np.zeros(more)))
        self._started = np.concatenate((self._started, np.zeros(more, dtype=np.bool_)))

    def take(
        self,
        connection: NDArray[np.int64],
        change_us: NDArray[np.int64],
        first: NDArray[np.bool_],
        counted: NDArray[np.bool_],
    ) -> None:
        """
        Take rows that are sorted by connection and, within one, in order of arrival.

        ``change_us`` is |D|; ``first`` marks the first row of each connection; only ``counted`` rows enter.

        """
        starts = np.flatnonzero(first)
        sizes = np.diff(np.append(starts, len(connection)))
        # The estimator is recursive, so one row a connection at a time; but of all connections at once.
        for position in range(int(sizes.max(initial=0))):
            rows = starts[sizes > position] + position
            rows = rows[counted[rows]]
            of = connection[rows]
            self._estimate[of] += (change_us[rows] - self._estimate[of]) / 16
            self._started[of] = True

    def histogram(self, connections: NDArray[np.bool_]) -> Histogram:
        """Return the estimates of those of ``connections`` that have one."""
        histogram = Histogram()
        histogram.record_array(np.rint(self._estimate[self._started & connections]).astype(np.int64))
        return histogram
