import io

import pytest
from rich.console import Console

from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import LONGEST_QUOTE, CheckResult, Conformance, Level, quote
from tickbench.conformance.words import show_list, show_result, sum_words


def result(level: Level, seen: str | None = None, right: str | None = None) -> CheckResult:
    return CheckResult(name="pong", promise="ping is answered.", level=level, seen=seen, right=right)


def run(*levels: Level) -> Conformance:
    results = [result(level) for level in levels]
    return Conformance(url="ws://x", started_at="", took_s=1.25, tickbench="0", tick_rate_hz=None, checks=results)


def shown(given: CheckResult) -> list[str]:
    console = Console(file=io.StringIO(), width=40, highlight=False)
    show_result(console, given, 10)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_what_is_right_takes_a_line() -> None:
    assert shown(result("ok")) == ["ok         pong"]


def test_a_fault_says_what_was_seen_and_what_would_be_right() -> None:
    lines = shown(result("fault", 'saw [["pong"]] and more than fits in a line', "at once"))
    assert lines[0] == 'fault      pong        saw [["pong"]] and more than fits in a line'
    assert lines[1].strip() == "right would be: at once"
    assert shown(result("fault", "nothing"))[1].strip() == "right would be: ping is answered."


def test_a_note_says_what_was_seen() -> None:
    assert shown(result("note", "it is slow")) == ["note       pong        it is slow"]


@pytest.mark.parametrize(
    ("levels", "words", "conforms"),
    [
        (["ok"], "1 check in 1.2 s: 1 ok, 0 faults", True),
        (["ok", "ok"], "2 checks in 1.2 s: 2 ok, 0 faults", True),
        (["ok", "note", "not tried"], "3 checks in 1.2 s: 1 ok, 1 note, 0 faults, 1 not tried", True),
        (["ok", "fault"], "2 checks in 1.2 s: 1 ok, 1 fault", False),
        (
            ["ok", "not tried", "not tried"],
            "3 checks in 1.2 s: 1 ok, 0 faults, 2 not tried; so little was tried that it says little of the server",
            False,
        ),
    ],
)
def test_the_last_line_counts(levels: list[Level], words: str, *, conforms: bool) -> None:
    assert sum_words(run(*levels)) == words
    assert run(*levels).is_conforming is conforms


def test_the_list_has_every_check() -> None:
    console = Console(file=io.StringIO(), width=40)
    show_list(console, CHECKS)
    assert isinstance(console.file, io.StringIO)
    assert len(console.file.getvalue().splitlines()) == len(CHECKS)


def test_what_is_quoted_is_short() -> None:
    assert quote("x" * 1000).endswith("x ...")
    assert len(quote("x" * 1000)) == LONGEST_QUOTE
    assert quote(["pong", 1]) == "['pong', 1]"
