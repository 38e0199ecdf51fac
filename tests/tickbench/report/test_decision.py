from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.measure.summary import MemoryFigures
from tickbench.arms import parse_arm, parse_arms
from tickbench.compare.plan import PlannedRun
from tickbench.compare.results import read_results
from tickbench.compare.suite import Suite
from tickbench.report.code_lines import backend_lines, mode_lines
from tickbench.report.decision import (
    ANOTHER,
    AS_WRITTEN,
    LIBRARY,
    TUNED,
    decide,
    side_lines,
    style_of,
)
from tickbench.report.framework_facts import facts_of, lines_of
from tickbench.report.practice import anchor_of
from tickbench.report.table import Decision, DecisionLine, Question
from tickbench.verdict.comparisons import compare_all

FACTS = [
    "newest release",
    "Python",
    "free threading",
    "maintainers' own word",
    "faults mended",
    "code lines of its file",
    "code lines",
]
"""What decides in practice, and no measurement shows."""
MakeResults = Callable[..., Path]


def figures(planned: PlannedRun) -> dict[str, Any]:
    """Return figures that tell where they are from."""
    late = planned.part == "arena" and planned.connections > 2_000
    return {
        "tick_lateness_ms__p50": float(planned.block),
        "tick_lateness_ms__p99": 99.0 if late else 10.0,
        "connections__rush_per_second": 1234.0 if planned.part == "storm" else None,
        "server__rss_per_connection_bytes": 1024.0 * planned.connections,
        "server__cpu_us_per_frame": 11.0 if planned.part == "plain" else 44.0,
        "frames__bytes_a_frame": 890.0 if planned.part == "plain" else 222.0,
        "connections__extensions": {"": 75, "permessage-deflate": 225},
        "ping_rtt_ms__p99": 40.0 if planned.part == "heavy" else 4.0,
        "tick_rate_hz": 20.0,
        "duration_s": 10.0,
    }


def decided(folder: Path) -> Decision:
    results = read_results(folder)
    return decide(results.index, compare_all(results.index))


@pytest.fixture
def table(make_results: MakeResults, whole_suite: Suite) -> Decision:
    return decided(make_results(whole_suite, figures))


def line(table: Decision, title: str, source: str = "") -> Question:
    return next(each for each in table.questions if each.title == title and source in each.source)


def test_a_column_says_why_a_connection_could_not_be_weighed(make_results: MakeResults, whole_suite: Suite) -> None:
    unknown = MemoryFigures(why_not="1300 connections had come and gone before this run")
    none = {"server__rss_per_connection_bytes": None, "server__memory": unknown}
    asked = {"memory": 1000}
    sides = [msgspec.structs.replace(side, load=asked) for side in whole_suite.sides]
    suite = msgspec.structs.replace(whole_suite, load=asked, sides=sides)
    table = decided(make_results(suite, lambda planned: figures(planned) | none))
    answers = [*line(table, "memory a connection").answers, *line(table, "memory an idle connection").answers]
    assert {(answer.text, answer.detail) for answer in answers} == {("-", unknown.why_not)}


def test_what_nobody_asked_for_is_no_line(make_results: MakeResults, whole_suite: Suite) -> None:
    none = {"server__rss_per_connection_bytes": None}
    table = decided(make_results(whole_suite, lambda planned: figures(planned) | none))
    assert not [each.title for each in table.questions if "memory" in each.title]


def texts(question: Question) -> list[str]:
    return [answer.text for answer in question.answers]


def test_arms_are_as_people_write_them_or_tuned(table: Decision) -> None:
    assert table.arms == ["asyncio:fanout=naive", "asyncio", "gevent"]
    assert table.styles == [AS_WRITTEN, TUNED, TUNED]
    assert all(len(each.answers) == 3 for each in table.questions)


def test_what_an_architect_asks_for_is_there_in_that_order(table: Decision) -> None:
    assert [each.title for each in table.questions] == [
        "capacity, arena",
        "connects a second",
        "lateness p99 in a storm",
        "tick lateness p50",
        "tick lateness p99",
        "interval error p99",
        "ping p99",
        "server CPU a frame",
        "bytes a frame",
        "memory a connection",
        "server CPU a frame, nothing offered",
        "bytes a frame, nothing offered",
        "memory a connection, nothing offered",
        "key to turn p99",
        "memory an idle connection",
        "memory an idle connection",
        "ticks that came beside stalled clients",
        "ping p99, heavy tick",
        *FACTS,
    ]
    assert [each.title for each in table.questions if each.is_fact] == FACTS


def test_the_blocks_give_a_median_and_a_range(table: Decision) -> None:
    lateness = line(table, "tick lateness p50")
    assert [(each.text, each.detail) for each in lateness.answers] == [("2.50", "1.00\N{EN DASH}4.00")] * 3
    assert "4 blocks, 300 connections" in lateness.source


def test_bytes_and_how_many_agreed_on_compression_stand_beside_clients_that_offer_none(table: Decision) -> None:
    agreed = line(table, "bytes a frame").answers[0]
    assert (agreed.text, agreed.detail) == ("222", "compressed, % of connections 75")
    assert texts(line(table, "bytes a frame, nothing offered")) == ["890"] * 3
    assert texts(line(table, "server CPU a frame, nothing offered", "plain, 300")) == ["11.0"] * 3
    assert texts(line(table, "server CPU a frame", "blocks")) == ["44.0"] * 3


def test_runs_of_an_older_tickbench_have_no_bytes(make_results: MakeResults, whole_suite: Suite) -> None:
    none: dict[str, Any] = {"frames__bytes_a_frame": None, "connections__extensions": {}}
    table = decided(make_results(whole_suite, lambda planned: figures(planned) | none))
    assert not [each.title for each in table.questions if "bytes" in each.title]


def test_a_side_that_ran_once_says_so_and_has_no_range(table: Decision) -> None:
    storm = line(table, "connects a second")
    assert texts(storm) == ["1,234"] * 3
    assert storm.source == "storm, 1,000 connections: once"
    assert "\N{EN DASH}" not in storm.answers[0].detail
    assert texts(line(table, "ping p99, heavy tick")) == ["-", "40.0", "40.0"]


def test_each_load_of_a_side_has_a_line(table: Decision) -> None:
    assert texts(line(table, "memory an idle connection", "1,000"))[0] == "1,000.0"
    assert texts(line(table, "memory an idle connection", "2,000"))[0] == "2,000.0"


def test_capacity_says_what_ended_the_search(table: Decision) -> None:
    assert [(each.text, each.detail) for each in line(table, "capacity, arena").answers] == [
        ("2,000", "not 2,400, held 3 times")
    ] * 3


def test_what_rests_on_no_valid_run_is_marked(make_results: MakeResults, whole_suite: Suite) -> None:
    def spoiled(planned: PlannedRun) -> dict[str, Any]:
        return figures(planned) | ({"reasons": ["cold"]} if planned.arm.name == "gevent" else {})

    lateness = line(decided(make_results(whole_suite, spoiled)), "tick lateness p50")
    assert [each.is_doubtful for each in lateness.answers] == [False, False, True]


def test_ticks_that_came_beside_stalled_clients_count_where_a_reason_spared_them(
    make_results: MakeResults, whole_suite: Suite
) -> None:
    def read_late(planned: PlannedRun) -> dict[str, Any]:
        return figures(planned) | {"reasons": ["the generator read late"], "spared": ("ticks_came",)}

    came = line(decided(make_results(whole_suite, read_late)), "ticks that came beside stalled clients")
    assert not any(each.is_doubtful for each in came.answers)


def test_what_was_not_run_is_said(make_results: MakeResults, whole_suite: Suite) -> None:
    table = decided(make_results(whole_suite, figures, most=16))
    assert [(each.text, each.detail) for each in line(table, "connects a second").answers] == [("-", "not run")] * 3
    assert [(each.text, each.detail) for each in line(table, "capacity, arena").answers] == [("-", "not run")] * 3


def test_what_an_arm_stands_on_is_that_of_its_framework(make_results: MakeResults, whole_suite: Suite) -> None:
    arms = ["asyncio", "asyncio:framework=picows", "gevent", "url=ws://127.0.0.1:9"]
    suite = msgspec.structs.replace(whole_suite, arms=arms, compare=["asyncio", "gevent"])
    found = decided(make_results(suite, figures, most=4))
    days, lines, faults = (
        line(found, title) for title in ("newest release", "code lines of its file", "faults mended")
    )
    assert days.answers[2] == DecisionLine("2017-03-12", "0.10.1, no commit since 2019")
    assert line(found, "free threading").answers[1].text == "yes"
    for place, arm in enumerate(parse_arms(arms)[:3]):
        known = facts_of(arm)
        assert known is not None
        assert days.answers[place].text in known.released
        assert lines.answers[place].text == str(lines_of(arm))
        assert faults.answers[place] == DecisionLine(f"{len(known.mended)}", link=f"#{anchor_of(arm)}")
    assert {each.answers[3].text for each in found.questions if each.is_fact} == {"-"}


def test_its_own_defaults_in_force_are_those_that_the_server_told(
    make_results: MakeResults, whole_suite: Suite
) -> None:
    results = read_results(make_results(whole_suite, figures, most=8))
    told: dict[str, float | bool | str | None] = {
        "capacity": None,
        "nagle": True,
        "waits_for_peer": False,
        "ping_interval_s": 20,
        "write_limit_bytes": 32768,
        "max_queue": 16,
    }
    runs = [
        msgspec.structs.replace(run, in_force=told if "naive" in run.arm else {}, server_settings={"deflate": "on"})
        for run in results.runs
    ]
    index = msgspec.structs.replace(results, runs=runs).index
    row = line(decide(index, compare_all(index)), "defaults in force")
    assert [(each.text, each.detail) for each in row.answers] == [
        (
            "its own",
            (
                "compression, nothing bounds what waits, Nagle's algorithm on, no send waits, pings every 20 s, "
                "write limit 32 KiB, max queue 16"
            ),
        ),
        ("-", "tickbench sets them"),
        ("-", "tickbench sets them"),
    ]


def test_code_lines_are_those_of_the_loop_design(make_results: MakeResults, whole_suite: Suite) -> None:
    suite = msgspec.structs.replace(
        whole_suite,
        arms=["asyncio", "gevent:mode=thread", "url=ws://127.0.0.1:9"],
        compare=["asyncio", "gevent:mode=thread"],
    )
    code = line(decided(make_results(suite, figures, most=3)), "code lines")
    assert texts(code) == [str(mode_lines("asyncio", "managed")), str(mode_lines("gevent", "thread")), "-"]
    assert code.answers[0].detail == f"its backend {backend_lines('asyncio'):,}, frameworks apart"


@pytest.mark.parametrize(
    ("arm", "style"),
    [
        ("gevent", TUNED),
        ("gevent:deflate=once", TUNED),
        ("asyncio:fanout=library", LIBRARY),
        ("asyncio:deflate=on", LIBRARY),
        ("asyncio:fanout=naive,deflate=off", AS_WRITTEN),
        ("url=ws://127.0.0.1:9", ANOTHER),
        ("mine", ANOTHER),
    ],
)
def test_other_styles(arm: str, style: str) -> None:
    assert style_of(parse_arm(arm, {"mine": "x {port}"})) == style


def test_every_side_is_a_line_even_of_arms_that_the_suite_has_not(
    make_results: MakeResults, whole_suite: Suite
) -> None:
    lines = side_lines(read_results(make_results(whole_suite, figures)).index)
    assert len(lines) == 3 + 3 + 2 * 3 + 3 + 3 + 3
    process = next(each for each in lines if each.arm == "asyncio:mode=process")
    assert (process.side, process.runs, process.is_doubtful) == ("heavy", "1 of 1", False)
    assert process.figures["ping p99, ms"] == "40.00"
