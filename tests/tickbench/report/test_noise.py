from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickbench.compare.plan import PlannedRun
from tickbench.compare.results import read_results
from tickbench.compare.suite import Suite
from tickbench.report.document import Document, make_document
from tickbench.report.markdown import render_markdown
from tickbench.report.noise import Noise, Plot, Scale, noise_of
from tickbench.report.page import render_page
from tickbench.statistics.forecast import Forecast
from tickbench.verdict.comparisons import Comparison

MakeResults = Callable[..., Path]
FACTORS = {"asyncio:fanout=naive": 2.0, "gevent": 0.5}


@pytest.fixture
def document(make_results: MakeResults, whole_suite: Suite) -> Document:
    """Return one in which gevent is best, the naive one worst, and the second block of gevent cannot be trusted."""

    def figures(planned: PlannedRun) -> dict[str, Any]:
        spoiled = planned.arm.name == "gevent" and planned.block == 2
        wobble = 1 + 0.01 * planned.block * (1 if planned.again else -1)
        return {
            "tick_lateness_ms__p50": 2.0 * FACTORS.get(planned.arm.name, 1.0) * wobble,
            "reasons": ["cold"] if spoiled else [],
        }

    suite = msgspec.structs.replace(whole_suite, sides=[], searches=[])
    return make_document(read_results(make_results(suite, figures)))


def plot_of(noise: Noise, figure: str = "tick_lateness_ms.p50") -> Plot:
    return next(plot for plot in noise.plots if plot.figure == figure)


def test_the_best_arm_is_first_and_the_one_beside_itself_last(document: Document) -> None:
    assert [row.name for row in plot_of(noise_of(document)).rows] == ["gevent", "asyncio:fanout=naive", "asyncio"]


def test_of_a_capacity_the_most_is_best(document: Document) -> None:
    both = [each for each in document.comparisons.others if each.figure == "tick_lateness_ms.p50"]
    found = msgspec.structs.replace(
        document.comparisons, primary=[msgspec.structs.replace(each, figure="arena") for each in both]
    )
    plot = plot_of(noise_of(msgspec.structs.replace(document, comparisons=found)), "arena")
    assert [row.name for row in plot.rows] == ["asyncio:fanout=naive", "gevent"]


def test_a_figure_has_its_verdict_where_the_suite_asks_for_one_and_each_arm_once(document: Document) -> None:
    noise = noise_of(document)
    judged = {
        plot.figure: [row.name for row in plot.rows if row.comparison.verdict is not None] for plot in noise.plots
    }
    assert judged["tick_lateness_ms.p50"] == ["gevent", "asyncio"]
    assert judged["server.cpu_us_per_frame"] == []
    assert all(len({row.name for row in plot.rows}) == len(plot.rows) for plot in noise.plots)


def test_a_block_that_does_not_count_is_no_dot_but_keeps_its_place(document: Document) -> None:
    gevent, naive, _ = plot_of(noise_of(document)).rows
    assert [ratio == "-" for ratio in gevent.ratios.split(", ")] == [False, True, False, False]
    assert (len(gevent.dots), len(naive.dots)) == (3, 4)
    heights = [y for _, y in naive.dots]
    assert heights == sorted(heights)
    assert [y for _, y in gevent.dots] == [heights[0], *heights[2:]]


def test_equal_factors_are_equal_distances_from_the_line() -> None:
    scale = Scale(0.25, 4.0)
    assert [scale.place(ratio) for ratio in (0.25, 0.5, 1, 2, 4)] == [0, 25, 50, 75, 100]


def test_everything_is_on_the_scale_or_marked_as_beyond_it(document: Document) -> None:
    noise = noise_of(document)
    assert not any(row.beyond for plot in noise.plots for row in plot.rows)
    far = [
        msgspec.structs.replace(each, by_block={1: 0.01, 2: 90.0}, ratio=None)
        for each in document.comparisons.primary[:1]
    ]
    found = msgspec.structs.replace(document.comparisons, primary=far)
    row = plot_of(noise_of(msgspec.structs.replace(document, comparisons=found))).rows[-2]
    assert [x for x, _ in row.dots] == row.beyond == [0.0, 100.0]
    assert row.interval is None


def test_a_figure_of_which_no_ratio_is_known_has_no_plot(make_results: MakeResults, whole_suite: Suite) -> None:
    suite = msgspec.structs.replace(whole_suite, sides=[], searches=[])
    folder = make_results(suite, lambda _: {"reasons": ["cold"]})
    assert noise_of(make_document(read_results(folder))).plots == []


def test_a_scale_has_room_for_what_is_equivalent_whatever_was_measured() -> None:
    scale = Scale.of([Comparison("reach", "reach", "asyncio", "gevent", None, by_block={1: 1.0})])
    assert (scale.low, scale.high) == (0.8, 1.25)
    assert [ratio for ratio, _ in scale.ticks] == [0.9, 1, 1.1]


def test_a_document_without_blocks_is_drawn_with_its_intervals(document: Document) -> None:
    """One of an earlier tickbench."""
    found = document.comparisons
    bare = {
        name: [msgspec.structs.replace(each, by_block={}) for each in getattr(found, name)]
        for name in ("primary", "floor", "others")
    }
    old = msgspec.structs.replace(document, comparisons=msgspec.structs.replace(found, **bare))
    rows = plot_of(noise_of(old)).rows
    assert [(len(row.dots), row.interval is None) for row in rows] == [(0, False)] * 3


def test_page_and_markdown_say_each_ratio_in_words(document: Document) -> None:
    page, markdown = render_page(document), render_markdown(document)
    for row in plot_of(noise_of(document)).rows:
        assert f'aria-label="{row.ratios}"' in page
        assert f">{row.ratios}</td>" in page
        assert f"| {row.ratios} |" in markdown


def test_page_and_markdown_say_what_would_decide_what_is_inconclusive(document: Document) -> None:
    (judged,) = (each for each in document.comparisons.primary if each.figure == "tick_lateness_ms.p50")
    far = msgspec.structs.replace(judged, to_decide=Forecast(None, scatter=0.3, scatter_share=0.2))
    found = msgspec.structs.replace(document.comparisons, primary=[far])
    document = msgspec.structs.replace(document, comparisons=found)
    words = "deciding it takes a quieter machine, on which blocks scatter by 6.2 % and not by 35 %"
    assert f"gevent is not told from asyncio: {words}" in render_page(document)
    assert f"; {words}" in render_markdown(document)


def test_every_comparison_is_on_the_page_once_drawn_or_in_the_table_of_the_others(document: Document) -> None:
    page = render_page(document)
    for title in {each.title for each in document.comparisons.others if each.ratio is not None}:
        is_drawn = f">{title}</h3>" in page
        table = page.partition('aria-label="Other comparisons"')[2].partition("</table>")[0]
        assert is_drawn is not (f">{title}</th>" in table), title
