import pytest
from msgspec.structs import replace

from shared.measure.summary import LoadSummary, MemoryFigures
from tickbench.figures import BY_KEY, FIGURES
from tickbench.slo import check_figure


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


def test_titles_are_told_apart() -> None:
    assert len({figure.title for figure in FIGURES}) == len(FIGURES) == len(BY_KEY)


def test_almost_all_is_not_all() -> None:
    assert BY_KEY["reach"].words(99.996) == "99.99"
    assert BY_KEY["reach"].words(100.0) == "100.00"
    assert BY_KEY["tick_lateness_ms.p50"].words(1234.567) == "1,234.57"
