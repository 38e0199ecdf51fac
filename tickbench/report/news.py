"""
Write the news of a comparison: the first line on the screen and on the page.

First how many runs can be trusted, or that the machine could not measure, why, and what to do; then what is concluded.
"""

from collections.abc import Iterable

from tickbench.compare.early_end import suite_to_make
from tickbench.compare.plan import fixed_runs, next_run
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import BLOCKS, TOGETHER
from tickbench.compare.unfit_machine import why_unfit
from tickbench.verdict.comparisons import Comparison, Comparisons
from tickbench.verdict.standings import Place, standings_of


def news_of(index: RunIndex, comparisons: Comparisons) -> str:
    """Return the news of a results folder."""
    lead = _why_stopped(index) if is_stopped(index) else _how_many(index)
    if is_stopped(index) and not any(run.is_valid for run in index.runs):
        return f"{lead} Nothing can be concluded."
    return f"{lead} {verdict_sentence(index, comparisons)}"


def is_stopped(index: RunIndex) -> bool:
    """Whether runs are missing since the last ones show that the machine cannot measure."""
    return index.is_unfit and next_run(index) is not None


def verdict_sentence(index: RunIndex, comparisons: Comparisons) -> str:
    """Say which arm is better in what, or that no verdict is drawn, and why."""
    if comparisons.suppressed is not None:
        return f"No verdict: {comparisons.suppressed[:1].lower()}{comparisons.suppressed[1:]}"
    if len(index.suite.compare) > 2:
        return _standings_sentence(index.suite.compare[0], comparisons)
    first, other = index.suite.compare
    parts = [
        f"{arm} is better in {listed(_better(each) for each in comparisons.primary if each.winner == arm)}"
        for arm in (first, other)
        if any(each.winner == arm for each in comparisons.primary)
    ]
    undecided: dict[str, list[str]] = {}
    for verdict, title in ((each.verdict, each.title) for each in comparisons.primary):
        if verdict is not None and verdict.kind == "equivalent":
            undecided.setdefault(verdict.short_words, []).append(title)
    if open_ones := [
        each.title for each in comparisons.primary if each.verdict and each.verdict.kind == "inconclusive"
    ]:
        undecided["not told apart"] = open_ones
    parts += [f"they are {words} in {listed(titles)}" for words, titles in undecided.items()]
    return f"{first} and {other}: {'; '.join(parts)}."


PLACES: dict[Place, str] = {
    "ahead": "better in something and worse in nothing",
    "trade": "better in something and worse in something else",
    "level": "equivalent in everything",
    "behind": "worse in something and better in nothing",
    "open": "not told apart in everything",
    "unknown": "without a verdict",
}


def _standings_sentence(first: str, comparisons: Comparisons) -> str:
    """Say how many arms stand where beside the first."""
    found = standings_of(comparisons)
    counts = {words: sum(each.place == place for each in found) for place, words in PLACES.items()}
    parts = [f"{count} {'is' if count == 1 else 'are'} {words}" for words, count in counts.items() if count]
    return f"Beside {first}, of {counted_words(len(found), 'other arm')} {listed(parts)}."


def listed(parts: Iterable[str]) -> str:
    """Join parts as a list in a sentence, with "and" before the last."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def counted_words(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _why_stopped(index: RunIndex) -> str:
    valid, planned, which = _counts(index)
    why = _what_to_do(index.unfit_runs)
    return f"Stopped, as this machine cannot measure now: {why} {valid} of {planned} {which} valid."


def _how_many(index: RunIndex) -> str:
    valid, planned, which = _counts(index)
    if valid == planned:
        return f"All {planned} {which} valid.{_sides(index)}"
    last = sorted(_of_blocks(index), key=lambda run: run.number)
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


def _counts(index: RunIndex) -> tuple[int, int, str]:
    """Return how many runs of the blocks are valid, how many there are to be, and what they are called."""
    suite = suite_to_make(index)
    planned = sum(each.part in (BLOCKS, TOGETHER) for each in fixed_runs(suite))
    which = "runs of the blocks are" if suite.sides or suite.searches else "runs are"
    return sum(run.is_valid for run in _of_blocks(index)), planned, which


def _of_blocks(index: RunIndex) -> list[Run]:
    return [*index.counted(BLOCKS), *index.counted(TOGETHER)]


def _sides(index: RunIndex) -> str:
    """Say how many runs of the sides are valid, where it is not all."""
    last = [index.last(each.key) for each in fixed_runs(index.suite) if each.part not in (BLOCKS, TOGETHER)]
    valid = sum(run is not None and run.is_valid for run in last)
    return f" In the sides {valid} of {len(last)} are." if valid < len(last) else ""


def _better(comparison: Comparison) -> str:
    words = comparison.verdict.words.removeprefix("better by ") if comparison.verdict is not None else ""
    return f"{comparison.title} by {words}"
