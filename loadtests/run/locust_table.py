"""
Fills Locust's statistics with our figures: its table, its charts, its CSV files and its HTML report show them.

Locust would count single requests, and round to whole milliseconds. Here each row is set to what was counted so far,
and at the end to what the summary says. Importing this imports Locust, which patches the process.
"""

import time
from collections import Counter, deque
from typing import Any

from locust import stats as locust_stats
from locust.stats import RequestStats, StatsCSV, StatsEntry, StatsError

from loadtests.account import locust_rows as ours
from loadtests.account.locust_rows import LocustRows, Row
from shared.measure.summary import LoadSummary

METHOD = "frame"
CHARTED = [0.5, 0.99]
CURRENT_S = 10.0
"""What "current" means, as in Locust's own."""
WHY_FAILED = "frames that were due and did not come"


class Entry(StatsEntry):
    """A row of Locust's table that shows one of our rows."""

    def __init__(self, stats: RequestStats, name: str, method: str) -> None:
        self._row = Row()
        self._percentiles: dict[float, float] = {}
        # What was shown when: the oldest is what the recent values are counted from.
        self._shown: deque[tuple[float, Row]] = deque()
        self._recent: Row | None = None
        super().__init__(stats, name, method, use_response_times_cache=True)

    def show(self, row: Row, since_s: float, until_s: float, *, goes_on: bool) -> None:
        """Show what was counted in that time, in epoch seconds; ``goes_on`` if it includes what was shown before."""
        if not goes_on:
            self.reset()
        self._shown = self._shown or deque([(since_s, Row())])
        self._shown.append((until_s, row))
        while len(self._shown) > 2 and self._shown[1][0] <= until_s - CURRENT_S:
            self._shown.popleft()
        self._row, self._percentiles, self._recent = row, {}, None
        self.start_time, self.last_request_timestamp = since_s, until_s
        self.num_requests, self.num_failures = row.count, row.failed
        self.total_content_length = row.bytes
        self.response_times = {_ms(us): count for us, count in row.counts.items()}
        self.min_response_time = _ms(min(row.counts, default=0))
        self.max_response_time = _ms(max(row.counts, default=0))
        self.total_response_time = row.total_us / 1000

    # What Locust asks of a row

    @property
    def avg_content_length(self) -> float:
        """The mean length of the frames that came, in bytes."""
        return self.total_content_length / max(1, self.num_requests - self.num_failures)

    @property
    def median_response_time(self) -> float:
        """The p50, in milliseconds."""
        return self.get_response_time_percentile(0.5)

    def get_response_time_percentile(self, percent: float) -> float:
        """Return a percentile, from 0 to 1, in milliseconds."""
        if percent not in self._percentiles:
            self._percentiles[percent] = _ms(self._row.percentile_us(100 * percent))
        return self._percentiles[percent]

    def get_current_response_time_percentile(self, percent: float) -> float | None:
        """Return the same for the last ten seconds; None if nothing came in them."""
        recent = self._recent_row()
        return _ms(recent.percentile_us(100 * percent)) if recent.count else None

    @property
    def current_rps(self) -> float:
        """Requests a second in the last ten seconds."""
        if not self._shown:
            return 0.0
        return self._recent_row().count / max(self._shown[-1][0] - self._shown[0][0], 0.001)

    def to_dict(self, escape_string_values: bool = False) -> dict[str, Any]:
        """Return the row for the web UI, without rounding minimum and maximum."""
        extremes = {"min_response_time": self.min_response_time, "max_response_time": self.max_response_time}
        return super().to_dict(escape_string_values) | extremes

    def to_string(self, current: bool = True) -> str:
        """Return the row for a console."""
        name_width = locust_stats.STATS_NAME_WIDTH - locust_stats.STATS_TYPE_WIDTH + 4
        failed = f"{self.num_failures}({100 * self.fail_ratio:.2f}%)"
        times = (self.avg_response_time, self.min_response_time or 0.0, self.max_response_time)
        average, least, most = (f"{float(ms):7.1f}" for ms in times)
        rates = (self.current_rps, self.current_fail_per_sec) if current else (self.total_rps, self.total_fail_per_sec)
        return (
            f"{self.method or '':<{locust_stats.STATS_TYPE_WIDTH}} {self.name:<{name_width}} {self.num_requests:7d} "
            f"{failed:>12} |{average} {least} {most}{float(self.median_response_time):7.1f} |"
            f" {rates[0]:7.2f} {rates[1]:11.2f}"
        )

    def percentile(self) -> str:
        """Return the row of percentiles for a console."""
        values = (self.get_response_time_percentile(percent) for percent in locust_stats.PERCENTILES_TO_REPORT)
        return (
            f"{self.method or '':<{locust_stats.STATS_TYPE_WIDTH}} {self.name:<{locust_stats.STATS_NAME_WIDTH}} "
            f"{self.num_requests:8d} {' '.join(f'{float(value):6.1f}' for value in values)}"
        )

    def extend(self, other: StatsEntry) -> None:
        """Take nothing over: what a worker counted comes with its own reports."""

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._row, self._percentiles, self._recent = Row(), {}, None
        self._shown.clear()

    def _recent_row(self) -> Row:
        """Return what came in the last ten seconds, or since it is counted."""
        if self._recent is None:
            before = self._shown[0][1].counts if self._shown else Counter[int]()
            new = {us: count - before[us] for us, count in self._row.counts.items() if count > before[us]}
            self._recent = Row(Counter(new))
        return self._recent


class Table:
    """Shows the rows of a run; make a new one for each, when it begins."""

    def __init__(self, stats: RequestStats) -> None:
        self._stats = stats
        self._in_window = False
        stats.clear_all()
        for name in (ours.LATENESS, ours.INTERVAL_ERROR):
            stats.entries[name, METHOD] = Entry(stats, name, METHOD)
        # Both rows are about the same frames, so they have no total: the last line and the charts show lateness.
        stats.total = Entry(stats, "Aggregated", "")

    def show(self, rows: LocustRows) -> None:
        """Show what was counted so far."""
        goes_on, self._in_window = rows.in_window == self._in_window, rows.in_window
        self._show(rows.by_name, rows.since_s, time.time(), goes_on=goes_on)

    def finish(self, summary: LoadSummary, began_s: float) -> None:
        """Show the result of a run whose window began at ``began_s``, in epoch seconds."""
        # Not as a continuation: then Locust's "current" and the last points of its charts are about the whole window.
        self._show(ours.of_summary(summary), began_s, began_s + summary.duration_s, goes_on=False)
        self._stats.errors.clear()
        if failed := self._stats.total.num_failures:
            self._tell(METHOD, ours.LATENESS, WHY_FAILED, failed)
        for reason in summary.validity.reasons:
            self._tell("tickbench", "not valid", reason, 1)

    def _tell(self, method: str, name: str, why: str, occurrences: int) -> None:
        """Put a line among the failures, which Locust lists everywhere."""
        error = StatsError(method, name, why, occurrences)
        error.first_seen = error.last_seen = self._stats.last_request_timestamp
        self._stats.errors[StatsError.create_key(method, name, why)] = error

    def _show(self, by_name: dict[str, Row], since_s: float, until_s: float, *, goes_on: bool) -> None:
        entries: list[tuple[StatsEntry, str]] = [(entry, name) for (name, _), entry in self._stats.entries.items()]
        for entry, name in [*entries, (self._stats.total, ours.LATENESS)]:
            if isinstance(entry, Entry) and name in by_name:
                entry.show(by_name[name], since_s, until_s, goes_on=goes_on)


def show_finer() -> None:
    """Have Locust chart the p50 and p99, and not round percentiles in its CSV files."""
    locust_stats.PERCENTILES_TO_CHART[:] = CHARTED
    locust_stats.StatsCSV._percentile_fields = _percentile_fields  # noqa: SLF001 - no other way


def _percentile_fields(writer: StatsCSV, entry: StatsEntry, use_current: bool = False) -> list[Any]:
    """Replace the method of :class:`~locust.stats.StatsCSV`, which cuts each off to whole milliseconds."""
    if not entry.num_requests:
        return writer.percentiles_na
    percentile = entry.get_current_response_time_percentile if use_current else entry.get_response_time_percentile
    return [percentile(of) or 0 for of in writer.percentiles_to_report]


def _ms(us: float) -> float:
    return us / 1000
