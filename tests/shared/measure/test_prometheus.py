from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from shared.measure.counters import Counters
from shared.measure.prometheus import CONTENT_TYPE, render_metrics
from shared.measure.ticks import TickStatistics


def stats(ticks: TickStatistics, counters: Counters) -> dict[str, Any]:
    return {
        "connections": 12,
        "ticks": ticks.report(),
        **counters.report(),
        "refused": {"403": 2, "503": 5},
        "process": {"cpu_s": 1.5, "rss_bytes": 2**20, "fds": 17},
    }


def samples(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """Read as Prometheus does: value by name and label values."""
    families = list(text_string_to_metric_families(text.decode()))
    assert all(family.documentation and family.type in ("counter", "gauge") for family in families)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_every_figure_is_there_and_prometheus_reads_it() -> None:
    ticks = TickStatistics()
    ticks.record(due_us=0, lateness_us=1500, skipped_ticks=4, sent_us=2500, ended_us=61_500, period_us=50_000)
    counters = Counters(slow_skips=1, slow_closed=2, crashed_rooms=4)
    counters.count_end(1008, dead=True)
    read = samples(render_metrics(stats(ticks, counters)))
    quantiles = {key: read.pop(key) for key in list(read) if key[0].endswith("_seconds")}
    assert read == {
        ("tickbench_connections", ()): 12,
        ("tickbench_slow_skips_total", ()): 1,
        ("tickbench_slow_closed_total", ()): 2,
        ("tickbench_dead_total", ()): 1,
        ("tickbench_crashed_rooms_total", ()): 4,
        ("tickbench_ticks_total", ()): 1,
        ("tickbench_skipped_ticks_total", ()): 4,
        ("tickbench_overruns_total", ()): 1,
        ("tickbench_refused_total", ("403",)): 2,
        ("tickbench_refused_total", ("503",)): 5,
        ("tickbench_closed_total", ("1008",)): 1,
        ("tickbench_cpu_seconds_total", ()): 1.5,
        ("tickbench_resident_memory_bytes", ()): 2**20,
        ("tickbench_open_fds", ()): 17,
    }
    assert {quantile for _, (quantile,) in quantiles} == {"0.5", "0.99", "0.999", "1"}
    worst = {name: value for (name, (quantile,)), value in quantiles.items() if quantile == "1"}
    assert worst == {
        "tickbench_start_lateness_seconds": 0.0015,
        "tickbench_compute_seconds": 0.001,
        "tickbench_fanout_seconds": 0.059,
    }


def test_a_server_without_ticks_reports_zeros() -> None:
    read = samples(render_metrics(stats(TickStatistics(), Counters())))
    assert read["tickbench_ticks_total", ()] == 0
    assert read["tickbench_compute_seconds", ("0.5",)] == 0


def test_rendering_again_adds_nothing_up() -> None:
    figures = stats(TickStatistics(), Counters(slow_skips=3))
    assert render_metrics(figures) == render_metrics(figures)


def test_the_content_type_names_the_format() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
