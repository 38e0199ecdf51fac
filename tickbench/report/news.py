"""
Write the news of a comparison: the first line on the screen and on the page.

First how many runs can be trusted, or that the machine could not measure, why, and what to do; then what is concluded.
"""

from collections.abc import Iterable

from tickbench.compare.patience import is_unfit, why_unfit
from tickbench.compare.plan import fixed_runs, next_run, slot_of
from tickbench.compare.results import Results, Run
from tickbench.compare.suite import BLOCKS
from tickbench.verdict.comparisons import Comparison, Comparisons
from tickbench.verdict.counting import is_valid
from tickbench.verdict.statistics import MARGIN


def news_of(results: Results, comparisons: Comparisons) -> str:
    """Return the news of a results folder."""
    lead = _why_stopped(results) if is_stopped(results) else _how_many(results)
    if is_stopped(results) and not any(map(is_valid, results.runs)):
        return f"{lead} Nothing can be concluded."
    return f"{lead} {verdict_sentence(results, comparisons)}"


def is_stopped(results: Results) -> bool:
    """Whether runs are missing since the last ones show that the machine cannot measure."""
    return is_unfit(results.record.suite, results.runs) and next_run(results.record.suite, results.runs) is not None


def verdict_sentence(results: Results, comparisons: Comparisons) -> str:
    """Say which arm is better in what, or that no verdict is drawn, and why."""
    if comparisons.suppressed is not None:
        return f"No verdict: {comparisons.suppressed[:1].lower()}{comparisons.suppressed[1:]}"
    first, other = results.record.suite.compare
    parts = [
        f"{arm} is better in {listed(_better(each) for each in comparisons.primary if each.winner == arm)}"
        for arm in (first, other)
        if any(each.winner == arm for each in comparisons.primary)
    ]
    margin = f"equivalent within {100 * (MARGIN - 1):.0f} % in "
    for kind, words in (("equivalent", margin), ("inconclusive", "not told apart in ")):
        titles = [each.title for each in comparisons.primary if each.verdict is not None and each.verdict.kind == kind]
        if titles:
            parts.append(f"they are {words}{listed(titles)}")
    return f"{first} and {other}: {'; '.join(parts)}."


def listed(parts: Iterable[str]) -> str:
    """Join parts as a list in a sentence, with "and" before the last."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def counted_words(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _why_stopped(results: Results) -> str:
    ordered = sorted(results.runs, key=lambda run: run.number)
    valid, planned, which = _counts(results)
    why = _what_to_do(ordered[-results.record.suite.stop_after :])
    return f"Stopped, as this machine cannot measure now: {why} {valid} of {planned} {which} valid."


def _how_many(results: Results) -> str:
    valid, planned, which = _counts(results)
    if valid == planned:
        return f"All {planned} {which} valid.{_sides(results)}"
    last = _last_attempts(results)
    lead = f"{valid} of {planned} {which} valid"
    if why := _what_to_do(last):
        return f"{lead}: {why}"
    failed = sum(run.load is None for run in last)
    kinds = (
        (planned - len(last), "not made yet"),
        (failed, "failed"),
        (len(last) - failed - valid, "not valid for what an arm can cause"),
    )
    return f"{lead}: {listed(f'{count} {words}' for count, words in kinds if count)}."


def _what_to_do(runs: list[Run]) -> str:
    """Return why the machine spoiled some of the runs, and what to do, as sentences; empty if it spoiled none."""
    unfit = why_unfit(runs)
    return f"{unfit.happened}. {unfit.advice}." if unfit is not None else ""


def _counts(results: Results) -> tuple[int, int, str]:
    """Return how many runs of the blocks are valid, how many there are to be, and what they are called."""
    suite = results.record.suite
    planned = sum(each.part == BLOCKS for each in fixed_runs(suite))
    which = "runs of the blocks are" if suite.sides or suite.searches else "runs are"
    return sum(map(is_valid, _last_attempts(results))), planned, which


def _sides(results: Results) -> str:
    """Say how many runs of the sides are valid, where it is not all."""
    made = {each.slot for each in fixed_runs(results.record.suite) if each.part != BLOCKS}
    ordered = sorted(results.runs, key=lambda run: run.number)
    last = {slot_of(run): run for run in ordered if slot_of(run) in made}
    valid = sum(map(is_valid, last.values()))
    return f" In the sides {valid} of {len(made)} are." if valid < len(made) else ""


def _last_attempts(results: Results) -> list[Run]:
    ordered = sorted(results.runs, key=lambda run: run.number)
    return list({slot_of(run): run for run in ordered if run.part == BLOCKS}.values())


def _better(comparison: Comparison) -> str:
    words = comparison.verdict.words.removeprefix("better by ") if comparison.verdict is not None else ""
    return f"{comparison.title} by {words}"
