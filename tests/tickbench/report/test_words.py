from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.measure.summary import LoadSummary, SlotFigures
from tests.tickbench.conftest import with_figure
from tickbench.compare.figures import BY_KEY
from tickbench.compare.plan import PlannedRun
from tickbench.compare.results import read_results
from tickbench.compare.runs import Run
from tickbench.compare.suite import Suite
from tickbench.report.chart_data import arrival_sentence
from tickbench.report.document import Document, make_document
from tickbench.report.markdown import render_markdown
from tickbench.report.noise import noise_of
from tickbench.report.page import render_page
from tickbench.report.words import (
    basis_sentence,
    floor_words,
    measured_sentence,
    slot_rows,
    slots_sentence,
    stopped_early_sentence,
)

MakeResults = Callable[..., Path]


@pytest.fixture
def documented(make_results: MakeResults, whole_suite: Suite) -> Callable[..., Document]:
    """Make the document of blocks in which gevent takes so many times as long in two figures."""

    def make(p50: float = 1.0, p99: float = 1.0, *, scatter: float = 0.01, most: int = 1_000) -> Document:
        suite = msgspec.structs.replace(whole_suite, sides=[], searches=[])

        def figures(planned: PlannedRun) -> dict[str, Any]:
            # Of each arm and block another place within the scatter, evenly, so that no arm is ahead.
            place = {"asyncio": 0, "gevent": 1}.get(planned.arm.name, 2) + planned.again
            wobble = 1 + scatter * (((planned.block * 7 + place * 3) % 5) - 2) / 2
            factors = (p50, p99) if planned.arm.name == "gevent" else (1.0, 1.0)
            return {
                "tick_lateness_ms__p50": 2.0 * wobble * factors[0],
                "tick_lateness_ms__p99": 9.0 * wobble * factors[1],
            }

        return make_document(read_results(make_results(suite, figures, most=most)))

    return make


def test_each_arm_is_named_with_what_it_is_better_in(documented: Callable[..., Document]) -> None:
    words = documented(p50=1.5, p99=0.5).news
    assert words.startswith("All 16 runs are valid. asyncio and gevent: asyncio is better in tick lateness p50 by 1.")
    assert "; gevent is better in tick lateness p99 by " in words
    assert words.endswith("].")


def test_what_is_equivalent_is_said(documented: Callable[..., Document]) -> None:
    words = documented(p50=1.5).news
    assert words.endswith("; they are equivalent within 10 % in tick lateness p99.")


def test_what_is_not_told_apart_is_said(documented: Callable[..., Document]) -> None:
    words = documented(scatter=0.6).news
    assert words.startswith("All 16 runs are valid. asyncio and gevent: they are not told apart in ")
    assert words.endswith("tick lateness p50 and tick lateness p99.")


def test_what_it_rests_on_names_blocks_runs_and_noise(documented: Callable[..., Document]) -> None:
    words = basis_sentence(documented())
    assert "4 blocks of 300 connections in one room at 20 Hz with 10 bots, 5 s a run" in words
    assert "beside itself (A/A) asyncio had, in times, tick lateness p50 0.9" in words
    assert " and tick lateness p99 0.9" in words


def test_where_processes_share_a_core_it_is_said_that_scaling_was_not_measured(
    make_results: MakeResults, whole_suite: Suite
) -> None:
    arms = ["asyncio", "asyncio:processes=2"]
    suite = msgspec.structs.replace(whole_suite, arms=arms, compare=arms, at_once=[], sides=[], searches=[])
    words = measured_sentence(make_document(read_results(make_results(suite, lambda _: {}))))
    assert words.endswith("asyncio:processes=2 share one core: this is what they cost, and not how they scale.")
    alone = msgspec.structs.replace(whole_suite, sides=[], searches=[])
    assert "scale" not in measured_sentence(make_document(read_results(make_results(alone, lambda _: {}))))


def test_one_that_is_stopped_early_says_so(documented: Callable[..., Document]) -> None:
    document = documented(most=3)
    assert "runs are missing" in stopped_early_sentence(document)
    assert "This rests on 1 of 4 blocks of 300 connections" in basis_sentence(document)
    assert document.news.startswith("3 of 16 runs are valid: 13 not made yet. No verdict: ")
    assert "is not known" in floor_words(document.comparisons)
    assert stopped_early_sentence(documented()) == ""


def test_one_that_ended_early_says_after_how_many_blocks_of_how_many(documented: Callable[..., Document]) -> None:
    document = documented()
    ended = msgspec.structs.replace(document.comparisons, ended_early="It ended after 2 of 4 blocks, as these decide.")
    words = basis_sentence(msgspec.structs.replace(document, comparisons=ended))
    assert words == f"{basis_sentence(document)} It ended after 2 of 4 blocks, as these decide."


def test_what_became_of_the_slots_of_each_arm_is_told_and_why(make_results: MakeResults, whole_suite: Suite) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        left_out = {"steal": 2, "a gap": 1} if planned.arm.name == "gevent" and planned.block < 3 else {}
        made = 10 + (2 if left_out else 0)
        return {"slots": SlotFigures(slot_s=0.5, made=made, kept=10, thrown_s=0.4, left_out=left_out)}

    suite = msgspec.structs.replace(whole_suite, slot_s=0.5, sides=whole_suite.sides[:1], searches=[])
    document = make_document(read_results(make_results(suite, figures)))
    assert "side by side, in slots of 0.5 s" in slots_sentence(document)
    assert slots_sentence(document).endswith("In whole runs, one arm after the other: stall.")
    assert slot_rows(document) == [
        ["asyncio:fanout=naive", "40", "0.0 %", "0.40 s", "-"],
        ["asyncio", "80", "0.0 %", "0.40 s", "-"],
        ["gevent", "44", "9.1 %", "0.40 s", "steal: 4; a gap: 2"],
    ]
    page, markdown = render_page(document), render_markdown(document)
    assert slots_sentence(document) in page
    assert "steal: 4; a gap: 2</td>" in page
    assert "| gevent | 44 | 9.1 % | 0.40 s | steal: 4; a gap: 2 |" in markdown


def test_which_ratios_are_of_arms_at_once_is_said_and_marked(make_results: MakeResults, whole_suite: Suite) -> None:
    failed = ("gevent", 2)

    def figures(planned: PlannedRun) -> dict[str, Any]:
        made = 4 + (planned.part == "together")
        return {"slots": SlotFigures(slot_s=0.5, made=made, kept=4, thrown_s=0.4, left_out={})}

    def short(planned: PlannedRun) -> dict[str, Any]:
        slots = figures(planned)["slots"]
        is_short = planned.part == "together" and (planned.arm.name, planned.block) == failed
        return {"slots": msgspec.structs.replace(slots, made=3, kept=3) if is_short else slots}

    arms = ["asyncio", "gevent", "other"]
    suite = msgspec.structs.replace(
        whole_suite, arms=arms, slot_s=0.5, together_s=2.5, sides=[], searches=[], commands={"other": "x {port}"}
    )
    document = make_document(read_results(make_results(suite, figures)))
    assert slots_sentence(document).endswith(
        "The ratios of asyncio and gevent to each other, and of asyncio to itself, are of 2.5 s a block in which 3 "
        "servers ran at once on the same core, each ticking 1/3 of a period after another: whatever the machine did, "
        "it did to all of them. All else, and the ratios of memory and pings, is of arms that ran alone."
    )
    assert "with 10 bots, 2.5 s at once; beside itself (A/A)" in basis_sentence(document)
    assert [row[:3] for row in slot_rows(document)] == [
        ["asyncio", "32", "0.0 %"],
        ["gevent", "16", "0.0 %"],
        ["other", "16", "0.0 %"],
        ["each, at once", "20", "20.0 %"],
    ]
    marked = {
        (each.other, each.is_together) for each in document.comparisons.others if not BY_KEY[each.figure].is_alone
    }
    assert marked == {("gevent", True), ("other", False)}
    assert all(each.is_together != BY_KEY[each.figure].is_alone for each in document.comparisons.primary)
    page = render_page(document)
    plots = [plot for plot in noise_of(document).plots if not BY_KEY[plot.figure].is_alone]
    at_once = [row.name for plot in plots for row in plot.rows if row.name != "other"]
    assert page.count("<small>at once</small>") == len(at_once), "gevent, and asyncio beside itself"
    unequal = make_document(read_results(make_results(suite, short)))
    assert [row[:2] for row in slot_rows(unequal)[3:]] == [["asyncio, at once", "40"], ["gevent, at once", "18"]]


def test_runs_at_once_are_counted_among_those_of_the_blocks(make_results: MakeResults, whole_suite: Suite) -> None:
    stolen = "the hypervisor stole 9.1 % of a measured core (limit 5 %)"
    suite = msgspec.structs.replace(whole_suite, slot_s=0.5, together_s=2.5, sides=[], searches=[])

    def figures(planned: PlannedRun) -> dict[str, Any]:
        is_bad = planned.part == "together" and planned.arm.name == "gevent"
        return {"reasons": (stolen,)} if is_bad else {}

    document = make_document(read_results(make_results(suite, figures)))
    count = suite.repeats * (len(suite.arms) + 1 + 3)
    assert document.news.startswith(f"{count - suite.repeats} of {count} runs are valid: ")
    assert "In the sides" not in document.news


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"load": {"room-size": 10}}, "with rooms there are ticks all over a period"),
        ({"arms": ["asyncio", "gevent", "x"], "again": "x", "commands": {"x": "x {port}"}}, "x cannot be told when"),
    ],
)
def test_why_nothing_ran_at_once_is_said(documented: Callable[..., Document], change: dict[str, Any], why: str) -> None:
    document = documented()
    suite = msgspec.structs.replace(document.suite, slot_s=1.0, together_s=2.0, **change)
    words = slots_sentence(msgspec.structs.replace(document, suite=suite))
    assert f"All ratios are of arms that ran alone, as none could run at once: {why}" in words
    met = msgspec.structs.replace(document.suite, slot_s=1.0, together_s=2.0)
    words = slots_sentence(msgspec.structs.replace(document, suite=met, met="ticks met"))
    assert "All ratios are of arms that ran alone: ticks met." in words


def test_of_whole_runs_it_is_said_why_they_are(documented: Callable[..., Document]) -> None:
    document = documented()
    assert slot_rows(document) == []
    assert slots_sentence(document) == (
        "In the blocks each run is whole, one arm after the other: the suite has no slot_s."
    )
    url = "url=ws://127.0.0.1:9"
    suite = msgspec.structs.replace(document.suite, slot_s=1.0, arms=[*document.suite.arms, url])
    words = slots_sentence(msgspec.structs.replace(document, suite=suite))
    assert f"each run is whole, one arm after the other: tickbench did not start {url}" in words


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["kernel", "kernel"], "A frame's arrival is the kernel's receive timestamp."),
        (["read", "read"], "A frame's arrival is when the generator read it"),
        (["kernel", "read"], "when the generator read it in 1 run, 2 the first"),
    ],
)
def test_where_the_times_come_from_is_said(
    folder: Path, make_run: Callable[..., Run], summary: LoadSummary, sources: list[str], words: str
) -> None:
    results = read_results(folder)
    runs = [
        make_run(number, "gevent", load=with_figure(summary, "generator.timestamps", source))
        for number, source in enumerate(sources, start=1)
    ]
    assert words in arrival_sentence(msgspec.structs.replace(results, runs=runs).index)
