"""What an earlier tickbench wrote opens: a results folder of the first schemas, and the document made of it."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from shared.measure.summary import StageFigures
from tests.support.first_schemas import make_first
from tickbench.compare.plan import PlannedRun
from tickbench.compare.suite import Suite
from tickbench.report.build import build_report, encode_document, read_document
from tickbench.report.markdown import render_markdown
from tickbench.report.page import render_page
from tickbench.report.table import Decision
from tickbench.verdict.comparisons import Comparison, Comparisons

MakeResults = Callable[..., Path]


def test_a_folder_of_the_first_schemas_is_reported(
    make_results: MakeResults, suite: Suite, tickbench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    folder = make_results(suite, lambda planned: {"tick_lateness_ms__p99": 10.0 + planned.number})
    before = build_report(folder).document
    make_first(folder)
    (folder / "results.json").unlink()
    done = tickbench("report", folder)
    assert done.returncode == 0, done.stderr
    after = read_document(folder)
    assert [run.figures["tick_lateness_ms.p99"] for run in after.runs] == [11.0, 12.0, 13.0, 14.0]
    assert [(run.arm, run.mark) for run in after.runs] == [(run.arm, run.mark) for run in before.runs]
    assert [(each.figure, each.ratio) for each in after.comparisons.primary] == [
        (each.figure, each.ratio) for each in before.comparisons.primary
    ]
    assert (folder / "report.html").stat().st_size > 1_000_000, "with the charts"


def without_blocks(comparisons: Comparisons) -> Comparisons:
    """Return comparisons without the ratios of their blocks, which were not written at first."""

    def bare(several: list[Comparison]) -> list[Comparison]:
        return [replace(each, by_block={}) for each in several]

    return replace(
        comparisons,
        primary=bare(comparisons.primary),
        floor=bare(comparisons.floor),
        others=bare(comparisons.others),
    )


def without_facts(decision: Decision) -> Decision:
    """Return the table without what it did not have at first: which rows are facts, and where there is more."""
    questions = [
        replace(each, is_fact=False, answers=[replace(answer, link="") for answer in each.answers])
        for each in decision.questions
    ]
    return replace(decision, questions=questions)


def test_its_document_is_read_shown_and_compared(
    make_results: MakeResults,
    whole_suite: Suite,
    stages: list[StageFigures],
    tmp_path: Path,
    tickbench: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        return {"stages": stages} if planned.part == "stall" else {}

    folder = make_results(whole_suite, figures)
    now = build_report(folder).document
    make_first(folder)
    old = read_document(folder)
    assert [run.figures for run in old.runs] == [run.figures for run in now.runs]
    assert old.comparisons == without_blocks(now.comparisons)
    assert (old.decision, old.curves) == (without_facts(now.decision), now.curves)
    assert old.choice == []
    assert old.news == ""
    assert render_page(old)
    assert render_markdown(old)
    new = tmp_path / "new"
    new.mkdir()
    (new / "results.json").write_bytes(encode_document(now).encode())
    done = tickbench("diff", folder, new)
    assert done.returncode == 0, done.stderr
