import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.measure.counters import Counters
from shared.measure.histogram import HIGHEST_US, Histogram
from shared.measure.process import ProcessReport
from shared.measure.prometheus import BUCKETS_US, CONTENT_TYPE, render_metrics
from shared.measure.ticks import TickStatistics
from shared.system.process import OwnProcess

Samples = dict[tuple[str, tuple[str, ...]], float]

NAMES = ("start_lateness", "compute", "fanout")


def process() -> ProcessReport:
    return {**OwnProcess(()).report(), "cpu_s": 1.5, "rss_bytes": 2**20, "fds": 17}


def rendered(ticks: TickStatistics, counters: Counters | None = None) -> bytes:
    return render_metrics(12, ticks, counters or Counters(), {503: 5, 403: 2}, process())


def samples(text: bytes) -> Samples:
    """Read as Prometheus does: value by name and label values."""
    families = list(text_string_to_metric_families(text.decode()))
    assert all(family.documentation and family.type in ("counter", "gauge", "histogram") for family in families)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def buckets(read: Samples, name: str) -> dict[str, float]:
    return {
        labels[0]: value for (sample, labels), value in read.items() if sample == f"tickbench_{name}_seconds_bucket"
    }


def test_every_figure_is_there_and_prometheus_reads_it() -> None:
    ticks = TickStatistics()
    ticks.record(due_us=0, lateness_us=1500, skipped_ticks=4, sent_us=2500, ended_us=61_500, period_us=50_000)
    counters = Counters(
        accepted=9, frames_sent=8, slow_skips=1, dropped=6, slow_closed=2, busy_closed=7, crashed_rooms=4
    )
    counters.count_end("1008", dead=True)
    counters.count_page("/metrics", 1500)
    counters.turned_away[400] += 1
    read = samples(rendered(ticks, counters))
    assert {key: value for key, value in read.items() if not key[0].endswith("_bucket")} == {
        ("tickbench_connections", ()): 12,
        ("tickbench_accepted_total", ()): 9,
        ("tickbench_frames_sent_total", ()): 8,
        ("tickbench_slow_skips_total", ()): 1,
        ("tickbench_dropped_total", ()): 6,
        ("tickbench_slow_closed_total", ()): 2,
        ("tickbench_busy_closed_total", ()): 7,
        ("tickbench_dead_total", ()): 1,
        ("tickbench_crashed_rooms_total", ()): 4,
        ("tickbench_ticks_total", ()): 1,
        ("tickbench_skipped_ticks_total", ()): 4,
        ("tickbench_overruns_total", ()): 1,
        ("tickbench_refused_total", ("403",)): 2,
        ("tickbench_refused_total", ("503",)): 5,
        ("tickbench_closed_total", ("1008",)): 1,
        ("tickbench_turned_away_total", ("400",)): 1,
        ("tickbench_pages_total", ("/stats",)): 0,
        ("tickbench_pages_total", ("/metrics",)): 1,
        ("tickbench_pages_total", ("/scores",)): 0,
        ("tickbench_pages_seconds_total", ("/stats",)): 0,
        ("tickbench_pages_seconds_total", ("/metrics",)): 0.0015,
        ("tickbench_pages_seconds_total", ("/scores",)): 0,
        ("tickbench_cpu_seconds_total", ()): 1.5,
        ("tickbench_resident_memory_bytes", ()): 2**20,
        ("tickbench_open_fds", ()): 17,
        ("tickbench_start_lateness_seconds_count", ()): 1,
        ("tickbench_start_lateness_seconds_sum", ()): 0.0015,
        ("tickbench_compute_seconds_count", ()): 1,
        ("tickbench_compute_seconds_sum", ()): 0.001,
        ("tickbench_fanout_seconds_count", ()): 1,
        ("tickbench_fanout_seconds_sum", ()): 0.059,
    }


def test_buckets_are_cumulative_and_contain_their_bounds() -> None:
    ticks = TickStatistics()
    for us in (1, 50, 51, 999, 1000, 1001, 700_000, 3_000_000):
        ticks.compute.record(us)
    assert buckets(samples(rendered(ticks)), "compute") == {
        "5e-05": 2,
        "0.0001": 3,
        "0.0002": 3,
        "0.0005": 3,
        "0.001": 5,
        "0.002": 6,
        "0.005": 6,
        "0.01": 6,
        "0.02": 6,
        "0.05": 6,
        "0.1": 6,
        "0.2": 6,
        "0.5": 6,
        "1.0": 7,
        "+Inf": 8,
    }


@pytest.mark.parametrize("name", NAMES)
def test_they_are_those_of_the_histogram_that_stats_reports(name: str) -> None:
    ticks = TickStatistics()
    histogram: Histogram = getattr(ticks, name)
    for us in range(-3, 2 * HIGHEST_US, 77_777):
        histogram.record(us)
    read = samples(rendered(ticks))
    counts = list(buckets(read, name).values())
    assert counts == sorted(counts)
    assert counts == [*histogram.counts_up_to(BUCKETS_US), histogram.summary().count]
    assert read[f"tickbench_{name}_seconds_count", ()] == counts[-1]
    assert read[f"tickbench_{name}_seconds_sum", ()] == pytest.approx(histogram.mean_us * histogram.count / 1_000_000)


def test_a_server_without_ticks_reports_zeros() -> None:
    read = samples(rendered(TickStatistics()))
    assert read["tickbench_ticks_total", ()] == 0
    for name in NAMES:
        assert set(buckets(read, name).values()) == {0}
        assert read[f"tickbench_{name}_seconds_count", ()] == read[f"tickbench_{name}_seconds_sum", ()] == 0


def test_rendering_again_adds_nothing_up() -> None:
    ticks, counters, figures = TickStatistics(), Counters(slow_skips=3), process()
    ticks.record(due_us=0, lateness_us=1500, skipped_ticks=4, sent_us=2500, ended_us=61_500, period_us=50_000)
    assert render_metrics(1, ticks, counters, {}, figures) == render_metrics(1, ticks, counters, {}, figures)


def test_the_content_type_names_the_format() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
