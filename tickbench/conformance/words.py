"""
Print a run on the terminal, grade by grade: a line for each check, more where something was seen.

Two lines end it: the counts, and whether the server is fit to be measured.
"""

from collections.abc import Sequence

from rich.console import Console

from tickbench.conformance.check import Check
from tickbench.conformance.verdict import GRADES, LEVELS, CheckResult, Conformance, Grade, Level
from tickbench.markup import escape

STYLES: dict[Level, str] = {"ok": "green", "note": "yellow", "fault": "red", "not tried": "dim"}
LEVEL_WIDTH = max(len(level) for level in LEVELS)


def show_results(console: Console, results: Sequence[CheckResult]) -> None:
    """Print the lines of all checks, grade by grade."""
    width = max((len(result.name) for result in results), default=0)
    for grade in GRADES:
        of_grade = [result for result in results if result.grade == grade]
        if of_grade:
            _show_grade(console, grade)
        for result in of_grade:
            show_result(console, result, width)


def show_result(console: Console, result: CheckResult, width: int) -> None:
    """Print a check's line; ``width`` is that of the column of names."""
    style = STYLES[result.level]
    head = f"[{style}]{result.level:{LEVEL_WIDTH}}[/{style}]  [bold]{escape(result.name)}[/bold]"
    if result.seen is None:
        console.print(head, soft_wrap=True)
        return
    gap = " " * (width - len(result.name))
    console.print(f"{head}{gap}  {escape(result.seen)}", soft_wrap=True)
    if result.level == "fault":
        margin = " " * (LEVEL_WIDTH + 2 + width + 2)
        console.print(f"{margin}right would be: {escape(result.right or result.promise)}", soft_wrap=True)


def sum_words(conformance: Conformance) -> str:
    """Return how many checks came out how, and whether too little was tried for a verdict."""
    counts = ", ".join(
        f"{count} {level if count == 1 or level in ('ok', 'not tried') else f'{level}s'}"
        for level in LEVELS
        if (count := conformance.count(level)) or level == "fault"
    )
    made = len(conformance.checks)
    words = f"{made} check{'' if made == 1 else 's'} in {conformance.took_s:.1f} s: {counts}"
    if conformance.count("fault") or not conformance.says_little:
        return words
    return f"{words}; so little was tried that it says little of the server"


def fit_words(conformance: Conformance) -> str:
    """Return whether the server is fit to be measured, and why not."""
    answer = {True: "yes", False: "no", None: "not known"}[conformance.is_fit]
    because = f" ({conformance.unfit_because})" if conformance.unfit_because else ""
    return f"fit to be measured: {answer}{because}"


def show_list(console: Console, checks: tuple[Check, ...]) -> None:
    """Print each check with the sentence that it tests, grade by grade."""
    width = max(len(check.name) for check in checks)
    for grade in GRADES:
        of_grade = [check for check in checks if check.grade == grade]
        if of_grade:
            _show_grade(console, grade)
        for check in of_grade:
            console.print(f"[bold]{check.name:{width}}[/bold]  {escape(check.promise)}", soft_wrap=True)


def _show_grade(console: Console, grade: Grade) -> None:
    console.print(f"[underline]{grade}[/underline]: {GRADES[grade]}", soft_wrap=True)
