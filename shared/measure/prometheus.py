"""Renders ``/metrics``: the figures of ``/stats`` in Prometheus' text format."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.measure.counters import PAGES, Counters
from shared.measure.histogram import Histogram
from shared.measure.process import ProcessReport
from shared.measure.ticks import TickStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

L = TypeVar("L", int, str)

BUCKETS_US = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
"""The bounds of every histogram; the same for all, so that they can be compared."""


def render_metrics(
    connections: int,
    ticks: TickStatistics,
    counters: Counters,
    refused: Mapping[int, int],
    process: ProcessReport,
) -> bytes:
    """
    Return the body of ``/metrics``, from the same objects as ``/stats``.

    ``refused`` is by HTTP status. A bucket has what :meth:`Histogram.counts_up_to` counts: exact up to 2 ms, above that
    a value within 0.1 % over a bound may count as within it. The sum is of the values as recorded, each from 1 us to
    60 s.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics([*_tick_metrics(ticks), *_other_metrics(connections, counters, refused, process)]))
    return generate_latest(registry)


class _Metrics(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _tick_metrics(ticks: TickStatistics) -> Iterable[Metric]:
    yield CounterMetricFamily("tickbench_ticks", "Ticks of all rooms", ticks.start_lateness.count)
    yield CounterMetricFamily("tickbench_skipped_ticks", "Due times missed", ticks.skipped_ticks)
    yield CounterMetricFamily("tickbench_overruns", "Ticks longer than their period", ticks.overruns)
    yield _histogram("tickbench_start_lateness", "From a tick's due time to its start", ticks.start_lateness)
    yield _histogram("tickbench_compute", "From a tick's start until its frame was built", ticks.compute)
    yield _histogram("tickbench_fanout", "Handing a tick's frame to every connection", ticks.fanout)


def _other_metrics(
    connections: int, counters: Counters, refused: Mapping[int, int], process: ProcessReport
) -> Iterable[Metric]:
    yield GaugeMetricFamily("tickbench_connections", "WebSocket connections", connections)
    yield CounterMetricFamily("tickbench_accepted", "Upgrade requests accepted", counters.accepted)
    yield CounterMetricFamily("tickbench_frames_sent", "Ticks' frames sent", counters.frames_sent)
    yield CounterMetricFamily("tickbench_slow_skips", "Frames not sent to slow consumers", counters.slow_skips)
    yield CounterMetricFamily("tickbench_dropped", "Frames that the framework dropped on their way", counters.dropped)
    yield CounterMetricFamily("tickbench_slow_closed", "Slow consumers ended", counters.slow_closed)
    yield CounterMetricFamily(
        "tickbench_busy_closed",
        "Ended as the ticks had no time for one more in a room, or too many were in none",
        counters.busy_closed,
    )
    yield CounterMetricFamily("tickbench_dead", "Connections that did not answer pings", counters.dead)
    yield CounterMetricFamily("tickbench_crashed_rooms", "Rooms that crashed", counters.crashed_rooms)
    yield _by_label("tickbench_refused", "Upgrade requests refused", "status", refused)
    yield _by_label("tickbench_closed", "Connections closed by the server", "code", counters.closed)
    yield _by_label("tickbench_turned_away", "Requests that no library saw", "status", counters.turned_away)
    yield _by_label("tickbench_pages", "Pages made", "page", {path: counters.pages[path] for path in PAGES})
    seconds = {path: counters.pages_us[path] / 1_000_000 for path in PAGES}
    yield _by_label("tickbench_pages_seconds", "For which making pages held the event loop", "page", seconds)
    yield CounterMetricFamily("tickbench_cpu_seconds", "CPU time of the process", process["cpu_s"])
    yield GaugeMetricFamily("tickbench_resident_memory_bytes", "Resident memory", process["rss_bytes"])
    yield GaugeMetricFamily("tickbench_open_fds", "Open descriptors", process["fds"])


def _by_label(name: str, text: str, label: str, counts: Mapping[L, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([str(value)], count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    counts = [*histogram.counts_up_to(BUCKETS_US), histogram.count]
    bounds = [*(str(bound_us / 1_000_000) for bound_us in BUCKETS_US), "+Inf"]
    buckets = list(zip(bounds, counts, strict=True))
    return HistogramMetricFamily(f"{name}_seconds", text, buckets, histogram.total_us / 1_000_000)
