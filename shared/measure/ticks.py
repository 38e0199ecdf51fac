"""The tick statistics of a server: histograms and counters, and the share of its time that ticks take."""

from collections import deque
from dataclasses import dataclass

from shared.measure.histogram import Histogram

BUSY_WINDOW_US = 1_000_000

MIN_FRAMES = 200
"""With fewer the cost of one is unknown: a tick that was interrupted once would make it many times too high."""


@dataclass(slots=True)
class _Span:
    """Half a second of ticks, or one period if that is longer."""

    began_us: float
    compute_us: int = 0
    fanout_us: int = 0
    frames: int = 0


class TickStatistics:
    """All ticks of a server, over all of its rooms. Durations in microseconds."""

    def __init__(self) -> None:
        self.start_lateness = Histogram()
        self.compute = Histogram()
        self.fanout = Histogram()
        self.skipped_ticks = 0
        self.overruns = 0
        self._busy: deque[tuple[int, int]] = deque()  # end of each tick, and its time that no other tick overlaps
        self._busy_us = 0
        self._before: _Span | None = None
        self._span: _Span | None = None
        self._ended_us = 0  # the last tick

    def record(
        self,
        due_us: int,
        lateness_us: int,
        skipped_ticks: int,
        sent_us: int,
        ended_us: int,
        period_us: float,
        recipients: int = 0,
        *,
        stood_still: bool = False,
    ) -> None:
        """
        Record one tick.

        It was due at ``due_us``, began ``lateness_us`` later, had its frame built at ``sent_us`` and fanned out to
        ``recipients`` at ``ended_us``; ``skipped_ticks`` due times after it were missed. If the process ``stood_still``
        meanwhile, how long it took says nothing about what ticks cost, and is no load.
        """
        began_us = due_us + lateness_us
        self.start_lateness.record(lateness_us)
        self.compute.record(sent_us - began_us)
        self.fanout.record(ended_us - sent_us)
        self.skipped_ticks += skipped_ticks
        if ended_us - began_us > period_us:
            self.overruns += 1
        if stood_still:
            return
        busy_us = self._add_busy(began_us, ended_us)
        self._forget_before(ended_us - max(BUSY_WINDOW_US, period_us))
        span = self._span_of(ended_us, period_us)
        span.compute_us += min(busy_us, sent_us - began_us)
        span.fanout_us += max(0, busy_us - (sent_us - began_us))
        span.frames += recipients

    def load(self, now_us: int, period_us: float) -> float:
        """
        Return the share, 0 to 1, of the last second (of the last period, if that is longer) that went into ticks.

        Of a tick that had begun before that, only the rest counts.
        """
        window_us = max(BUSY_WINDOW_US, period_us)
        start_us = now_us - window_us
        self._forget_before(start_us)
        if not self._busy:
            return 0.0
        ended_us, busy_us = self._busy[0]
        return (self._busy_us - max(0.0, start_us - (ended_us - busy_us))) / window_us

    def load_of(self, members: int, now_us: int, period_us: float) -> float:
        """
        Return what share of the time ticks will take with ``members`` in all rooms, by what a frame has cost lately.

        It may be above 1, and is 0 where few frames were sent. :meth:`load` lags behind by a second, in which thousands
        may come.
        """
        spans = [span for span in (self._before, self._span) if span]
        frames = sum(span.frames for span in spans)
        if frames < MIN_FRAMES:
            return 0.0
        computing = sum(span.compute_us for span in spans) / max(period_us, now_us - spans[0].began_us)
        return computing + sum(span.fanout_us for span in spans) / frames * members / period_us

    def report(self) -> dict[str, object]:
        """Return the ``ticks`` object of ``/stats``."""
        return {
            "count": self.start_lateness.count,
            "skipped_ticks": self.skipped_ticks,
            "overruns": self.overruns,
            "start_lateness_ms": self.start_lateness.summary(),
            "compute_ms": self.compute.summary(),
            "fanout_ms": self.fanout.summary(),
        }

    def _span_of(self, ended_us: int, period_us: float) -> _Span:
        """Return the span of a tick that ended at ``ended_us``; after a pause the spans before it are dropped."""
        paused = ended_us - self._ended_us > max(BUSY_WINDOW_US, 2 * period_us)
        self._ended_us = ended_us
        if self._span is None or paused:
            self._before, self._span = None, _Span(ended_us - period_us)
        elif ended_us - self._span.began_us >= max(BUSY_WINDOW_US / 2, period_us):
            self._before, self._span = self._span, _Span(ended_us)
        return self._span

    def _add_busy(self, began_us: int, ended_us: int) -> int:
        """
        Add a tick; return by how many us that prolongs the time that went into ticks.

        While a large fan-out gives others a turn, other rooms tick; the time that two ticks share counts once.
        """
        busy, before_us = self._busy, self._busy_us
        while busy and busy[-1][0] - busy[-1][1] >= began_us:
            self._busy_us -= busy.pop()[1]
        busy_us = ended_us - (max(began_us, busy[-1][0]) if busy else began_us)
        busy.append((ended_us, busy_us))
        self._busy_us += busy_us
        return self._busy_us - before_us

    def _forget_before(self, time_us: float) -> None:
        while self._busy and self._busy[0][0] < time_us:
            self._busy_us -= self._busy.popleft()[1]
