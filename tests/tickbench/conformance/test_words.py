import io

import pytest
from rich.console import Console

from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import GRADES, LONGEST_QUOTE, CheckResult, Conformance, Grade, Level, quote
from tickbench.conformance.words import fit_words, show_list, show_result, show_results, sum_words


def result(
    level: Level,
    seen: str | None = None,
    right: str | None = None,
    grade: Grade = "measurement",
    name: str = "pong",
) -> CheckResult:
    return CheckResult(name=name, promise="ping is answered.", grade=grade, level=level, seen=seen, right=right)


def run(*levels: Level, is_fit: bool | None = True, why: str | None = None) -> Conformance:
    return Conformance(
        url="ws://x",
        started_at="",
        took_s=1.25,
        tickbench="0",
        tick_rate_hz=None,
        checks=[result(level) for level in levels],
        is_fit=is_fit,
        unfit_because=why,
    )


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


def test_checks_are_shown_by_grade_whatever_the_order_in_which_they_were_made() -> None:
    console = Console(file=io.StringIO(), width=40, highlight=False)
    made = [result("ok", grade="hardening", name="binary"), result("ok"), result("fault", "3", name="rooms")]
    show_results(console, made)
    assert isinstance(console.file, io.StringIO)
    assert [line.split("  ")[0].strip() for line in console.file.getvalue().splitlines()] == [
        f"measurement: {GRADES['measurement']}",
        "ok",
        "fault",
        "",
        f"hardening: {GRADES['hardening']}",
        "ok",
    ]


def test_the_list_has_every_check_by_grade() -> None:
    console = Console(file=io.StringIO(), width=40)
    show_list(console, CHECKS)
    assert isinstance(console.file, io.StringIO)
    first_words = [line.split()[0] for line in console.file.getvalue().splitlines()]
    headings = [word.removesuffix(":") for word in first_words if word.endswith(":")]
    assert headings == list(GRADES)
    assert sorted(word for word in first_words if not word.endswith(":")) == sorted(check.name for check in CHECKS)


@pytest.mark.parametrize(
    ("is_fit", "why", "words"),
    [
        (True, None, "fit to be measured: yes"),
        (False, "rooms: fault", "fit to be measured: no (rooms: fault)"),
        (None, "16 were left out", "fit to be measured: not known (16 were left out)"),
    ],
)
def test_the_very_last_says_whether_it_is_fit_and_why_not(is_fit: bool | None, why: str | None, words: str) -> None:
    assert fit_words(run("ok", is_fit=is_fit, why=why)) == words


def test_what_is_quoted_is_short() -> None:
    assert quote("x" * 1000).endswith("x ...")
    assert len(quote("x" * 1000)) == LONGEST_QUOTE
    assert quote(["pong", 1]) == "['pong', 1]"
