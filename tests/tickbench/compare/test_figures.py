import pytest
from msgspec.structs import replace

from shared.measure.summary import LoadSummary, MemoryFigures
from tickbench.compare.figures import BY_KEY, FIGURES
from tickbench.compare.slo import check_figure


@pytest.mark.parametrize("key", BY_KEY)
def test_every_figure_stands_in_a_summary(key: str) -> None:
    check_figure(key)


def test_a_figure_is_in_its_unit(summary: LoadSummary) -> None:
    memory = BY_KEY["server.rss_per_connection_bytes"]
    value = summary.server.rss_per_connection_bytes
    assert value is not None
    assert memory.read(summary) == value / 1024
    assert memory.name == "memory a connection, KiB"


def test_a_figure_that_nobody_asked_for_or_that_could_not_be_known_says_so(summary: LoadSummary) -> None:
    memory = BY_KEY["server.rss_per_connection_bytes"]

    def why_none(of: MemoryFigures | None) -> str:
        server = replace(summary.server, rss_per_connection_bytes=None, memory=of)
        return memory.why_none(replace(summary, server=server))

    assert why_none(None) == "not asked for: --memory 1000"
    assert why_none(MemoryFigures(why_not="of 100 more 20 are in")) == "of 100 more 20 are in"
    assert BY_KEY["reach"].why_none(summary) == ""


def test_a_table_of_one_run_has_the_interval_or_says_why_there_is_no_value(summary: LoadSummary) -> None:
    def words(value: float | None, of: MemoryFigures) -> str:
        server = replace(summary.server, rss_per_connection_bytes=value, memory=of)
        return BY_KEY["server.rss_per_connection_bytes"].words_of(replace(summary, server=server))

    assert words(20480.0, MemoryFigures(low_bytes=19968.0, high_bytes=20992.0)) == "20.0 KiB (19.5 to 20.5)"
    assert words(None, MemoryFigures(why_not="as many left as came")) == "as many left as came"
    assert BY_KEY["reach"].words_of(replace(summary, reach=None)) == "unknown"


def test_titles_are_told_apart() -> None:
    assert len({figure.title for figure in FIGURES}) == len(FIGURES) == len(BY_KEY)


def test_almost_all_is_not_all() -> None:
    assert BY_KEY["reach"].words(99.996) == "99.99"
    assert BY_KEY["reach"].words(100.0) == "100.00"
    assert BY_KEY["tick_lateness_ms.p50"].words(1234.567) == "1,234.57"
