"""The page in a real browser, without a network: nothing is missing, nothing overflows, nothing needs a mouse."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from shared.measure.summary import StageFigures
from tests.support.browser import NEEDS_CHROMIUM, open_browser
from tickbench.compare.plan import PlannedRun
from tickbench.compare.suite import Suite
from tickbench.report.build import build_report

pytestmark = [
    NEEDS_CHROMIUM,
    pytest.mark.xdist_group("browser"),
]

Scheme = Literal["light", "dark"]
ARMS = ["gevent", "asyncio:fanout=naive", "asyncio"]
"""The best first, and last the one that is set beside itself."""
NOISE = {"gevent": 8.0, "asyncio:fanout=naive": 12.0}
LOOKS: list[tuple[int, Scheme]] = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def reports() -> list[Path]:
    """Return the report, when it is made."""
    return []


@pytest.fixture
def report(
    reports: list[Path], make_results: Callable[..., Path], whole_suite: Suite, stages: list[StageFigures]
) -> Path:
    """Return a report with everything that there can be in one, the same for all tests."""
    if reports:
        return reports[0]

    def figures(planned: PlannedRun) -> dict[str, Any]:
        late = planned.part == "arena" and planned.connections > 2_000
        return {
            "tick_lateness_ms__p99": 99.0 if late else NOISE.get(planned.arm.name, 10.0) + planned.block / 10,
            "server__cpu_percent": planned.connections / 100,
            "stages": stages if planned.part == "stall" else [],
            "ping_rtt_ms__p99": 4.0,
            "tick_rate_hz": 20.0,
        }

    folder = make_results(whole_suite, figures)
    build_report(folder)
    reports.append(folder / "report.html")
    return reports[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def look(browser: Browser, report: Path) -> Callable[[int, Scheme], tuple[Page, list[str]]]:
    def look(width: int, scheme: Scheme) -> tuple[Page, list[str]]:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        page, complaints = context.new_page(), list[str]()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(report.as_uri())
        page.wait_for_selector("#chart-loops svg.main-svg", state="attached")
        return page, complaints

    return look


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_it_fits_and_draws_every_chart_without_a_complaint(
    look: Callable[..., tuple[Page, list[str]]], width: int, scheme: Scheme
) -> None:
    page, complaints = look(width, scheme)
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    charts = page.locator("figure.chart").count()
    assert charts == 5, "percentiles, lateness and CPU over connections, the stall, loop designs"
    assert page.locator("figure.chart .scatterlayer .trace, figure.chart .barlayer .trace").count() == 3 + 4 + 3 + 3 + 2
    texts = page.locator("figure.chart .xtitle").all_text_contents()
    assert "connections" in texts
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_every_block_is_a_dot_at_its_ratio_without_a_script(browser: Browser, report: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    table = page.get_by_role("table", name="tick lateness p99")
    assert [name.split("\n")[0] for name in table.get_by_role("rowheader").all_inner_texts()] == ARMS
    one = table.locator("thead text").get_by_text("1", exact=True).bounding_box()
    for row in table.get_by_role("row").all()[1:]:
        plot = row.get_by_role("img")
        ratios = [float(ratio) for ratio in (plot.get_attribute("aria-label") or "").split(", ")]
        line, inside = plot.locator(".one").bounding_box(), plot.bounding_box()
        dots = [dot.bounding_box() for dot in plot.locator(".dot").all()]
        assert len(dots) == len(ratios) == 4
        for dot, ratio in zip(dots, ratios, strict=True):
            assert dot is not None
            assert line is not None
            assert inside is not None
            assert one is not None
            assert abs(one["x"] + one["width"] / 2 - line["x"]) < 2, "the scale stands over the line"
            middle = dot["x"] + dot["width"] / 2
            assert (middle > line["x"] + 1) is (ratio > 1.01), "what is more is on the right of the line"
            assert inside["x"] <= middle <= inside["x"] + inside["width"]
    context.close()


def test_text_can_be_told_from_its_ground_in_the_dark(look: Callable[..., tuple[Page, list[str]]]) -> None:
    page, _ = look(1280, "dark")
    ground = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    for text in (".chart text", ".noise text"):
        fill = page.evaluate(f"getComputedStyle(document.querySelector('{text}')).fill")
        assert sum(map(int, fill[4:-1].split(","))) - sum(map(int, ground[4:-1].split(","))) > 3 * 128
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_tables_are_tables_to_a_screen_reader_at_any_width(
    look: Callable[..., tuple[Page, list[str]]], width: int
) -> None:
    page, _ = look(width, "light")
    table = page.get_by_role("table", name="The decision table")
    assert table.get_by_role("columnheader").count() == 4
    assert table.get_by_role("rowheader", name="tick lateness p99, ms").count() == 1
    assert table.get_by_role("row").count() == 24
    page.context.close()


def test_what_is_folded_opens_by_the_keyboard(look: Callable[..., tuple[Page, list[str]]]) -> None:
    page, _ = look(1280, "light")
    summary = page.get_by_text("Validity of each run")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("table", name="Every run").is_visible()
    page.context.close()


def test_it_is_one_file_that_can_be_carried_away(browser: Browser, report: Path, tmp_path: Path) -> None:
    assert report.stat().st_size < 6_000_000
    alone = tmp_path / "elsewhere" / "alone.html"
    alone.parent.mkdir()
    shutil.copy(report, alone)
    page = browser.new_context(offline=True).new_page()
    page.goto(alone.as_uri())
    page.wait_for_selector("#chart-loops svg.main-svg", state="attached")
    page.context.close()
