"""
Find what differs between two comparisons that were not made side by side, for ``tickbench diff``.

What changed on the machine in between is part of every difference, so none is a verdict. A difference is only said to
be significant: more than the scatter of the runs, at one level for all differences together (Holm).
"""

import statistics

from msgspec import Struct

from tickbench.compare.figures import FIGURES, Figure
from tickbench.compare.suite import BLOCKS
from tickbench.machine.environment import differences
from tickbench.report.document import Document, RunLine
from tickbench.statistics.verdicts import ALPHA, Ratio, holm, welch_ratio

MACHINE = (
    "machine",
    "processor",
    "cores",
    "memory",
    "open files",
    "system",
    "architecture",
    "pinning",
    "governor",
    "clock source",
)
"""Differences that make it another machine; other versions are what one may want to compare."""
SUITE_FIELDS = ("scenario", "connections", "duration_s", "slot_s", "together_s", "warm_up_s", "server", "load")
"""Fields of the suite that must be alike in both."""


class Difference(Struct, frozen=True):
    """One arm in one figure; the ratio is that of the second folder to the first."""

    arm: str
    figure: str
    title: str
    unit: str
    before: str
    """The median as text."""
    after: str
    ratio: Ratio | None
    is_significant: bool
    why_none: list[str] = []
    """Why one of them has no value, in words."""


class Diff(Struct, frozen=True):
    """All differences between two documents."""

    machine: dict[str, tuple[str, str]]
    """Name to what the first has and what the second has; empty on the same machine."""
    versions: dict[str, tuple[str, str]]
    suite: dict[str, tuple[str, str]]
    only_before: list[str]
    """Arms that the second folder lacks."""
    only_after: list[str]
    differences: list[Difference]


def compare_documents(before: Document, after: Document) -> Diff:
    """Set two documents beside each other, arm by arm and figure by figure."""
    environment = differences(before.environment, after.environment)
    arms = [arm for arm in before.suite.arms if arm in after.suite.arms]
    return Diff(
        machine={name: pair for name, pair in environment.items() if name in MACHINE},
        versions={name: pair for name, pair in environment.items() if name not in MACHINE},
        suite=_suite_differences(before, after),
        only_before=[arm for arm in before.suite.arms if arm not in arms],
        only_after=[arm for arm in after.suite.arms if arm not in arms],
        differences=_differences(before, after, arms),
    )


def _suite_differences(before: Document, after: Document) -> dict[str, tuple[str, str]]:
    pairs = {name: (getattr(before.suite, name), getattr(after.suite, name)) for name in SUITE_FIELDS}
    commands = before.suite.commands.keys() & after.suite.commands.keys()
    pairs |= {f"command {name}": (before.suite.commands[name], after.suite.commands[name]) for name in commands}
    return {name: (str(mine), str(its)) for name, (mine, its) in pairs.items() if mine != its}


def _differences(before: Document, after: Document, arms: list[str]) -> list[Difference]:
    found = [
        (arm, figure, _values(before, arm, figure), _values(after, arm, figure))
        for arm in arms
        for figure in FIGURES
        if figure.better
    ]
    ratios = [welch_ratio(old, new) for _, _, old, new in found]
    levels = holm([1.0 if ratio is None or ratio.p_value is None else ratio.p_value for ratio in ratios])
    return [
        Difference(
            arm=arm,
            figure=figure.key,
            title=figure.title,
            unit=figure.unit,
            before=_median_words(figure, old),
            after=_median_words(figure, new),
            ratio=ratio,
            is_significant=adjusted <= ALPHA,
            why_none=_why_none(before, arm, figure, "A", old) + _why_none(after, arm, figure, "B", new),
        )
        for (arm, figure, old, new), ratio, (adjusted, _) in zip(found, ratios, levels, strict=True)
    ]


def _values(document: Document, arm: str, figure: Figure) -> list[float]:
    runs = [run for run in document.runs if (run.part, run.arm) == (BLOCKS, arm) and _is_trusted(run, figure)]
    return [value for run in runs if (value := run.figures.get(figure.key)) is not None]


def _is_trusted(run: RunLine, figure: Figure) -> bool:
    # A document of an earlier tickbench does not say which figures of a run that is not valid can be trusted.
    return run.mark == "valid" or (run.mark == "doubtful" and figure.key in run.trusted)


def _why_none(document: Document, arm: str, figure: Figure, name: str, values: list[float]) -> list[str]:
    """Return why no run of an arm has a value; nothing where one has, or nobody asked for it."""
    if values or not document.suite.load.get("memory"):
        return []
    words = [
        run.why_none[figure.key]
        for run in document.runs
        if (run.part, run.arm) == (BLOCKS, arm) and figure.key in run.why_none
    ]
    return [f"{name}: {words[0]}"] if words else []


def _median_words(figure: Figure, values: list[float]) -> str:
    return figure.words(statistics.median(values) * figure.factor) if values else "-"
