import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tickbench.report.build import build_report
from tickbench.report.charts import TICKS_BEYOND, percentile_points
from tickbench.report.markdown import escape
from tickbench.results import ResultFolder, Run

EVIL = "<script>alert('x')</script>"
EVIL_ARM = "gevent:mode=<script>alert('x')</script>"


@pytest.fixture
def page(folder: Path) -> str:
    build_report(folder)
    return (folder / "report.html").read_text("utf-8")


def test_the_page_is_one_small_file_that_asks_for_nothing(folder: Path, page: str) -> None:
    assert (folder / "report.html").stat().st_size < 6_000_000
    assert not re.search(r"<(script|link|img|iframe)[^>]*\b(src|href)=", page)
    assert "default-src 'none'" in page


def test_the_page_says_what_it_rests_on_and_gives_no_verdict(page: str) -> None:
    assert "The same game was served by 2 arms to 300 connections in one room at 20 Hz" in page
    assert "It rests on 2 of 4 planned runs, 1 of them valid" in page
    assert "2 repeats: no verdict is given" in page
    assert "stopped early: 2 of 4 runs not made" in page


def test_every_run_has_its_validity_in_words_and_its_raw_data(folder: Path, page: str) -> None:
    assert "not valid: steal of 7.1 % on core 0" in page
    links = re.findall(r'href="(runs/[^"]+\.json)"', page)
    assert [json.loads((folder / link).read_text("utf-8"))["number"] for link in links] == [1, 2]


def test_everything_a_user_or_a_server_said_is_escaped(folder: Path, make_run: Callable[..., Run]) -> None:
    ResultFolder(folder).write_run(make_run(3, EVIL_ARM, outcome="failed", reason=EVIL, load=None), "evil")
    ResultFolder(folder).write_run(make_run(4, EVIL_ARM, EVIL), "evil")
    record = json.loads((folder / "suite.json").read_text("utf-8"))
    record["suite"]["arms"].append(EVIL_ARM)
    record["suite"]["description"] = EVIL
    (folder / "suite.json").write_text(json.dumps(record), "utf-8")
    build_report(folder)
    assert "<script>alert" not in (folder / "report.html").read_text("utf-8")
    assert "<script>alert" not in (folder / "report.md").read_text("utf-8")


def test_the_markdown_has_the_same_table(folder: Path, page: str) -> None:
    assert page
    lines = (folder / "report.md").read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith(("| asyncio:", "| gevent"))]
    assert len(rows) == 2
    assert "1.80" in rows[0]
    assert "no valid run" in rows[1]


def test_a_report_can_be_built_again_and_is_the_same(folder: Path, page: str) -> None:
    build_report(folder)
    again = (folder / "report.html").read_text("utf-8")
    assert again == page


def test_a_curve_ends_where_too_few_ticks_lie_beyond() -> None:
    for ticks in (100, 1_000, 60_000):
        last = percentile_points(ticks)[-1]
        assert ticks * (1 - last / 100) >= TICKS_BEYOND
        assert ticks * (1 - last / 100) < 1.1 * TICKS_BEYOND


def test_markdown_is_taken_as_text() -> None:
    assert escape("a|b\n*c*") == r"a\|b \*c\*"
