"""Which arm to take, of planted results: a clear winner, a tie, an arm that is not judged, nothing decided."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickbench.arms import parse_arms
from tickbench.compare.plan import PlannedRun
from tickbench.compare.results import read_results
from tickbench.compare.suite import Suite
from tickbench.report.choice import TITLE, choice_of, facts_line, title_of
from tickbench.report.document import Document, make_document
from tickbench.report.markdown import choice_markdown, render_markdown
from tickbench.report.page import render_page
from tickbench.verdict.standings import standings_of

Factors = dict[str, float]
FIRST, PICOWS, TORNADO, GEVENT = "asyncio", "asyncio:framework=picows", "asyncio:framework=tornado", "gevent"
NAIVE, NAIVE_PICOWS = "asyncio:fanout=naive,clock=loop", "asyncio:framework=picows,fanout=naive"
CPU, P50 = "server.cpu_us_per_frame", "tick_lateness_ms.p50"
WOBBLE = (1.0, 1.01, 0.99, 1.005)


@pytest.fixture
def chosen(make_results: Callable[..., Path], whole_suite: Suite) -> Callable[..., Document]:
    """Return a function that makes a document, the figures of each arm being so many times those of the first."""

    def choose(cpu: Factors, p50: Factors | None = None, noise: float = 1.0, **changes: Any) -> Document:
        arms = list(dict.fromkeys([FIRST, *cpu, *(p50 or {})]))
        suite = msgspec.structs.replace(
            whole_suite, arms=arms, compare=arms, verdicts=[CPU, P50], sides=[], searches=[], again=FIRST, **changes
        )

        def figures(planned: PlannedRun) -> dict[str, Any]:
            name = planned.arm.name
            scatter = WOBBLE[(planned.block + arms.index(name)) % len(WOBBLE)] ** noise
            return {
                "server__cpu_us_per_frame": 10.0 * cpu.get(name, 1.0) * scatter,
                "tick_lateness_ms__p50": 50.0 * (p50 or {}).get(name, 1.0) * scatter,
                "tick_rate_hz": 20.0,
            } | ({"reasons": ["cold"]} if cpu.get(name) == 0 else {})

        return make_document(read_results(make_results(suite, figures)))

    return choose


def places(document: Document) -> dict[str, str]:
    return {each.arm: each.place for each in standings_of(document.comparisons)}


def test_a_clear_winner_is_named_with_what_it_is_better_in(chosen: Callable[..., Document]) -> None:
    document = chosen({PICOWS: 0.5, TORNADO: 2.0, GEVENT: 1.0})
    assert places(document) == {PICOWS: "ahead", TORNADO: "behind", GEVENT: "level"}
    take, close, behind, facts = document.choice
    assert take.startswith("Take picows on asyncio: better than aiohttp in server CPU a frame by 2 times [")
    assert take.endswith("worse in nothing.")
    assert close == "As good as aiohttp in all that was judged: gevent-websocket on gevent."
    assert behind.startswith("Behind aiohttp, and better in nothing: tornado on asyncio (worse in server")
    assert "picows on asyncio was last released on" in facts
    assert "no release for 2 years: gevent-websocket (2017-03-12)" in facts
    assert "tornado on asyncio was last" not in facts, "facts are told of what is to be taken"


def test_two_that_are_ahead_are_in_no_order(chosen: Callable[..., Document]) -> None:
    one = chosen({PICOWS: 0.5, GEVENT: 0.3})
    other = chosen({PICOWS: 0.3, GEVENT: 0.5})
    for document in (one, other):
        assert document.choice[0].startswith("Take picows on asyncio: ")
        assert " Or gevent-websocket on gevent: " in document.choice[0]
        assert document.choice[0].endswith("They were not compared with each other, so this is no order.")


def test_three_that_are_ahead_in_the_same_are_told_of_together(chosen: Callable[..., Document]) -> None:
    take = chosen({PICOWS: 0.5, TORNADO: 0.8, GEVENT: 0.001}).choice[0]
    assert re.fullmatch(
        r"Take picows on asyncio, tornado on asyncio or gevent-websocket on gevent: each better than aiohttp in server "
        r"CPU a frame by 1\.2\d to [\d,]+ times, worse in nothing\. They were not compared with each other, .*",
        take,
    )


def test_a_tie_names_nobody(chosen: Callable[..., Document]) -> None:
    document = chosen({PICOWS: 1.0, GEVENT: 1.02})
    assert set(places(document).values()) == {"level"}
    assert document.choice[0] == (
        "Take aiohttp, or what you know: no other was found to be better without being worse in something."
    )
    assert "picows on asyncio and gevent-websocket on gevent" in document.choice[1]


def test_one_that_is_better_in_one_thing_and_worse_in_another_is_a_trade(chosen: Callable[..., Document]) -> None:
    document = chosen({PICOWS: 0.5}, {PICOWS: 2.0})
    assert places(document) == {PICOWS: "trade"}
    assert document.choice[0].startswith("Take aiohttp, or what you know")
    assert "A trade: picows on asyncio is better in server CPU a frame by" in document.choice[1]


def test_an_arm_without_trusted_figures_is_not_judged_and_the_others_are(chosen: Callable[..., Document]) -> None:
    document = chosen({PICOWS: 0.5, TORNADO: 0})
    assert places(document) == {PICOWS: "ahead", TORNADO: "unknown"}
    assert document.comparisons.suppressed is None
    assert document.choice[0].startswith("Take picows on asyncio: ")
    assert (
        "Not judged: tornado on asyncio: too few blocks have figures of it that can be trusted." in document.choice[1]
    )


def test_nothing_decided_is_said_and_nobody_is_named(chosen: Callable[..., Document]) -> None:
    document = chosen({PICOWS: 0.9, GEVENT: 1.1}, {PICOWS: 0.9, GEVENT: 1.1}, noise=30.0)
    assert document.comparisons.suppressed is None
    assert set(places(document).values()) == {"open"}
    assert document.choice[0] == (
        "Nothing is decided: of 4 comparisons with aiohttp none names a better arm, so take the one that you know."
    )
    assert len(document.choice) == 2
    assert not [line for line in document.choice if "picows" in line]


def test_where_verdicts_are_suppressed_the_reason_stands_there(
    make_results: Callable[..., Path], whole_suite: Suite
) -> None:
    document = make_document(read_results(make_results(whole_suite, lambda _: {}, most=5)))
    assert document.choice[0].startswith("Nothing is decided: runs that verdicts rest on are not made yet.")


def test_what_the_documentation_costs_is_a_range_of_what_was_found(chosen: Callable[..., Document]) -> None:
    document = chosen({NAIVE: 4.0, NAIVE_PICOWS: 1.5, PICOWS: 1.0})
    (line,) = [line for line in document.choice if line.startswith("Written as")]
    assert re.fullmatch(
        "Written as its own documentation writes a broadcast, 2 of 2 arms are worse than aiohttp: 2 in "
        r"server CPU a frame by 1\.\d+ to [34](\.\d+)? times\.",
        line,
    )
    assert not document.choice[0].startswith("Take aiohttp, as documented")


def test_there_are_five_lines_at_most_and_all_stand_in_page_and_markdown(chosen: Callable[..., Document]) -> None:
    document = chosen({PICOWS: 0.5, TORNADO: 2.0, GEVENT: 1.0, NAIVE: 4.0})
    assert len(document.choice) == 5
    page, markdown = render_page(document), render_markdown(document)
    assert page.index(TITLE) < page.index("The decision table")
    for line in document.choice:
        assert f">{line}</li>" in page
    assert choice_markdown(document) in markdown
    assert markdown.index(f"## {TITLE}") < markdown.index("## The decision table")


def test_a_suite_without_verdicts_has_no_advice(make_results: Callable[..., Path], whole_suite: Suite) -> None:
    suite = msgspec.structs.replace(whole_suite, verdicts=[], sides=[], searches=[])
    document = make_document(read_results(make_results(suite, lambda _: {})))
    assert (document.choice, choice_markdown(document)) == ([], "")
    assert choice_of(suite, document.comparisons, document.started_at) == []


def test_arms_have_short_titles_that_tell_them_apart() -> None:
    names = [
        NAIVE,
        "asyncio:fanout=naive",
        "asyncio:loop=uvloop",
        "gevent:framework=flask-sock,fanout=naive,clock=loop",
    ]
    arms = parse_arms(names)
    titles = [title_of(arm, arms) for arm in arms]
    assert len(set(titles)) == 4
    assert titles[2:] == ["aiohttp on asyncio, loop=uvloop", "flask-sock on gevent, as documented"]
    (other,) = parse_arms(["url=ws://127.0.0.1:9"])
    assert title_of(other) == "url=ws://127.0.0.1:9"


def test_facts_are_of_the_day_of_the_comparison() -> None:
    arms = parse_arms([GEVENT])
    titles = {GEVENT: "it"}
    assert "no release" not in facts_line(arms, arms, titles, date(2018, 1, 1))
    assert "no release for 2 years: gevent-websocket (2017-03-12)" in facts_line(arms, arms, titles, date(2020, 1, 1))
