"""``/metrics``: the figures of ``/stats`` in Prometheus' text format. Knows nothing of where they come from."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.measure.histogram import HistogramSummary

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _StatsCollector(Collector):
    def __init__(self, stats: dict[str, object]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        return _metrics(self._stats)


def render_metrics(stats: dict[str, object]) -> bytes:
    """Render what ``/stats`` reports."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StatsCollector(stats))
    return generate_latest(registry)


def _metrics(stats: dict[str, object]) -> Iterable[Metric]:
    ticks, process = stats["ticks"], stats["process"]
    assert isinstance(ticks, dict)  # noqa: S101 # the shape of /stats
    assert isinstance(process, dict)  # noqa: S101 # the shape of /stats
    yield GaugeMetricFamily("tickbench_connections", "WebSocket connections", stats["connections"])  # type: ignore[arg-type]
    for name, text in (("slow_skips", "Frames not sent to slow consumers"), ("slow_closed", "Slow consumers ended")):
        yield CounterMetricFamily(f"tickbench_{name}", text, stats[name])  # type: ignore[arg-type]
    yield CounterMetricFamily("tickbench_dead", "Connections that did not answer pings", stats["dead"])  # type: ignore[arg-type]
    yield CounterMetricFamily("tickbench_crashed_rooms", "Rooms that crashed", stats["crashed_rooms"])  # type: ignore[arg-type]
    yield CounterMetricFamily("tickbench_ticks", "Ticks of all rooms", ticks["count"])
    yield CounterMetricFamily("tickbench_skipped_ticks", "Due times missed", ticks["skipped_ticks"])
    yield CounterMetricFamily("tickbench_overruns", "Ticks longer than their period", ticks["overruns"])
    yield _by_label("tickbench_refused", "Upgrade requests refused", "status", stats["refused"])
    yield _by_label("tickbench_closed", "Connections closed by the server", "code", stats["closed"])
    for name in ("start_lateness", "compute", "fanout"):
        yield _quantiles(f"tickbench_{name}_seconds", ticks[f"{name}_ms"])
    yield CounterMetricFamily("tickbench_cpu_seconds", "CPU time of the process", process["cpu_s"])
    yield GaugeMetricFamily("tickbench_resident_memory_bytes", "Resident memory", process["rss_bytes"])
    yield GaugeMetricFamily("tickbench_open_fds", "Open descriptors", process["fds"])


def _by_label(name: str, text: str, label: str, counts: object) -> Metric:
    assert isinstance(counts, dict)  # noqa: S101 # the shape of /stats
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([str(value)], count)
    return family


def _quantiles(name: str, summary: HistogramSummary) -> Metric:
    family = GaugeMetricFamily(name, "Of all ticks since the start", labels=["quantile"])
    figures = (("0.5", summary.p50), ("0.99", summary.p99), ("0.999", summary.p999), ("1", summary.max))
    for quantile, value_ms in figures:
        family.add_metric([quantile], (value_ms or 0.0) / 1000)
    return family
