import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.measure.summary import StageFigures
from tickbench.compare.plan import PlannedRun
from tickbench.compare.results import read_results
from tickbench.compare.runs import Run
from tickbench.compare.suite import Suite
from tickbench.report.build import build_report, read_document
from tickbench.report.document import Document, make_document, schema_text
from tickbench.report.markdown import render_markdown
from tickbench.report.page import render_page

MakeResults = Callable[..., Path]


def figures(planned: PlannedRun) -> dict[str, Any]:
    late = planned.part == "arena" and planned.connections > 2_000
    return {"tick_lateness_ms__p99": 99.0 if late else 10.0, "server__cpu_percent": planned.connections / 100}


@pytest.fixture
def document(make_results: MakeResults, whole_suite: Suite) -> Document:
    return make_document(read_results(make_results(whole_suite, figures)))


def test_it_has_every_run_once_with_its_figures(document: Document) -> None:
    assert [run.number for run in document.runs] == list(range(1, len(document.runs) + 1))
    assert {run.mark for run in document.runs} == {"valid"}
    assert document.runs[0].figures["tick_lateness_ms.p99"] == 10.0
    assert document.is_complete


def test_it_is_not_complete_while_a_run_is_missing(make_results: MakeResults, whole_suite: Suite) -> None:
    assert not make_document(read_results(make_results(whole_suite, figures, most=20))).is_complete


def test_the_curve_has_every_load_that_a_search_tried(document: Document) -> None:
    own = [point for point in document.curves if point.arm == "gevent"]
    assert [point.connections for point in own] == [500, 1_000, 2_000, 4_000, 2_800, 2_400, 2_000, 2_000]
    assert [point.outcome for point in own] == ["held"] * 3 + ["failed"] * 3 + ["held"] * 2
    assert own[3].lateness_p99_ms == 99.0
    assert own[3].cpu_percent == 40.0


def test_a_run_that_was_made_again_is_marked(folder: Path, make_run: Callable[..., Run]) -> None:
    results = read_results(folder)
    runs = [
        make_run(1, "gevent", "steal of 7 %"),
        make_run(2, "gevent", attempt=2),
        make_run(3, "gevent", "cold", block=2),
        make_run(4, "asyncio:fanout=naive", outcome="failed", reason="it died", load=None),
    ]
    document = make_document(msgspec.structs.replace(results, runs=runs, files=[f"runs/{n}.json" for n in range(4)]))
    assert [run.mark for run in document.runs] == ["superseded", "valid", "doubtful", "failed"]


def test_it_comes_back_from_json_as_it_was(document: Document) -> None:
    text = msgspec.json.encode(document)
    assert msgspec.json.decode(text, type=Document) == document
    assert next(iter(json.loads(text).items())) == ("schema", "tickbench.results/1")


def test_the_page_and_the_tables_are_made_of_it_alone(
    make_results: MakeResults, whole_suite: Suite, stages: list[StageFigures]
) -> None:
    def told(planned: PlannedRun) -> dict[str, Any]:
        return {
            **figures(planned),
            "stages": stages if planned.part == "stall" else [],
            "ping_rtt_ms__p99": 4.0,
            "tick_rate_hz": 20.0,
            "limits": {"steal_percent": 5.0},
        }

    folder = make_results(whole_suite, told)
    build_report(folder)
    document = read_document(folder)
    assert {each.lateness_ms.count > 0 for each in document.lateness} == {True}
    assert [point.came_percent for point in document.stalls[0].points] == [100.0] * 4 + [0.0] * 4
    assert [(each.mode, each.ping_p99_ms) for each in document.loop_pings][:2] == [("managed", 4.0), ("process", 4.0)]
    assert render_page(document) == (folder / "report.html").read_text("utf-8")
    assert render_markdown(document) == (folder / "report.md").read_text("utf-8")


def test_its_schema_has_what_is_written(document: Document) -> None:
    schema = json.loads(schema_text())
    written = json.loads(msgspec.json.encode(document))
    for name, example in {
        "Document": written,
        "RunLine": written["runs"][0],
        "CurvePoint": written["curves"][0],
        "Comparison": written["comparisons"]["primary"][0],
    }.items():
        assert list(schema["$defs"][name]["properties"]) == list(example)
    assert schema["$defs"]["Document"]["properties"]["schema"] == {"enum": ["tickbench.results/1"]}
