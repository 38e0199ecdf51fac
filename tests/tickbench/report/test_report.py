import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from shared.measure.summary import Validity
from tickbench.compare.results import ResultFolder, Run, read_results
from tickbench.report.build import build_report, encode_document, read_document
from tickbench.report.charts import SPOILED_COLOR, TICKS_BEYOND, percentile_points
from tickbench.report.document import make_document
from tickbench.report.markdown import escape

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
    assert "No verdict: the suite small names no comparison to draw a verdict on" in page
    assert "1 of 2 blocks of 300 connections in one room at 20 Hz with 10 bots" in page
    lead = "1 of 4 runs are valid: 2 not made yet and 1 not valid for what an arm can cause."
    assert f"<strong>{lead} No verdict: " in page
    assert "stopped early: runs are missing" in page


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
    (lateness,) = (line for line in lines if line.startswith("| tick lateness p50, ms"))
    assert lateness.count("1.80") == 2
    assert lateness.count("(spoiled)") == 1


def test_what_cannot_be_trusted_is_grey_and_not_bold_in_tables_and_charts(page: str) -> None:
    assert '<span class="figure spoiled">1.80<small>spoiled</small>' in page
    assert "<strong>1.80</strong>" in page, "the arm that has a valid run"
    (curve,) = re.findall(r'"line":\{[^}]*\},"mode":"lines","name":"gevent \(spoiled\)"', page)
    assert SPOILED_COLOR in curve


def test_spoiled_arms_are_told_from_each_other_in_a_chart(folder: Path, make_run: Callable[..., Run]) -> None:
    ResultFolder(folder).write_run(make_run(1, "asyncio:fanout=naive", "steal"), "asyncio-fanout-naive")
    build_report(folder)
    page = (folder / "report.html").read_text("utf-8")
    curves = re.findall(r'"line":(\{[^}]*\}),"mode":"lines","name":"[^"]*\(spoiled\)"', page)
    assert len(curves) == len(set(curves)) == 2


def test_what_a_reason_spared_is_no_worse_than_that_of_a_valid_run(folder: Path, make_run: Callable[..., Run]) -> None:
    run = make_run(2, "gevent", "steal of 7.1 % on core 0")
    assert run.load is not None
    validity = Validity.of(
        run.load.validity.reasons, [], spared={"steal of 7.1 % on core 0": ["server.rss_bytes", "reach"]}
    )
    run = msgspec.structs.replace(run, load=msgspec.structs.replace(run.load, validity=validity))
    ResultFolder(folder).write_run(run, "gevent")
    document = build_report(folder).document
    assert document.runs[1].trusted == ["reach"]
    assert document.runs[0].trusted == list(document.runs[0].figures)


def test_every_run_is_a_line_of_the_table(folder: Path, page: str) -> None:
    assert page
    with (folder / "runs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["number"], row["arm"], row["mark"]) for row in rows] == [
        ("1", "asyncio:fanout=naive", "valid"),
        ("2", "gevent", "doubtful"),
    ]
    assert float(rows[0]["tick_lateness_ms.p50"]) == pytest.approx(1.8, abs=0.005)


def test_the_document_is_read_as_it_was_made(folder: Path, page: str) -> None:
    assert page
    document = read_document(folder)
    assert document == make_document(read_results(folder))
    assert encode_document(document) == (folder / "results.json").read_text("utf-8")


def test_a_number_that_is_none_is_not_written(folder: Path) -> None:
    document = make_document(read_results(folder))
    run = document.runs[0]
    bad = msgspec.structs.replace(run, figures=run.figures | {"reach": math.inf})
    with pytest.raises(ValueError, match="does not come back"):
        encode_document(msgspec.structs.replace(document, runs=[bad]))


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
    assert escape("\x1b[2J") == r"\\x1b\[2J"
