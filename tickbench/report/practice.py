"""Make the rows of the decision table that no measurement gives and that decide in practice: what an arm stands on."""

import re
from collections.abc import Callable, Mapping, Sequence

from tickbench.arms import Arm
from tickbench.compare.runs import InForce, RunIndex
from tickbench.report.code_lines import backend_lines, mode_lines
from tickbench.report.framework_facts import FrameworkFacts, facts_of, framework_of, lines_of
from tickbench.report.table import DecisionLine, Question
from tickbench.verdict.arm_medians import NO_FIGURE

FACTS = "docs/frameworks.md"
RELEASE = re.compile(r"(?P<version>\S+), (?P<day>\d{4}-\d\d-\d\d)(?: \((?P<more>.*)\))?")
MORE = re.compile(r"(?P<text>[^(,:]+)(?:[ ,:(]+(?P<more>.*?)\)?)?", re.DOTALL)
KIB = 1024


def practice_questions(arms: Sequence[Arm], in_force: Mapping[str, InForce]) -> list[Question]:
    """Return the rows, in the order in which they are asked."""
    facts = [facts_of(arm) for arm in arms]

    def row(title: str, meaning: str, answer: Callable[[Arm, FrameworkFacts], DecisionLine]) -> Question:
        answers = [
            DecisionLine(NO_FIGURE, "not ours") if known is None else answer(arm, known)
            for arm, known in zip(arms, facts, strict=True)
        ]
        return Question(title, "", FACTS, meaning, answers, is_fact=True)

    questions = [
        row("newest release", "of the framework, and of what it stands on", lambda _, known: _release(known)),
        row("Python", "the versions that it names itself", lambda _, known: _with_more(known.python)),
        row(
            "free threading", "what it says of Python without the GIL", lambda _, known: _with_more(known.free_threads)
        ),
        row(
            "maintainers' own word",
            "sentences of theirs that matter here, each with its source; none found is no praise",
            lambda arm, known: _counted(arm, len(known.words), "quoted", "none found"),
        ),
        row(
            "faults mended",
            "of its libraries, each with its source and its test; who looks longer finds more, so this is no rank",
            lambda arm, known: _counted(arm, len(known.mended), "", "none"),
        ),
        row(
            "code lines of its file",
            "what tickbench had to write for it (no blanks, comments, docstrings); shown, never ranked",
            lambda arm, _: _lines(arm),
        ),
    ]
    return [*questions, *_defaults(arms, in_force), _loop_question(arms)]


def in_force_of(index: RunIndex) -> dict[str, InForce]:
    """Return by arm which of its framework's own defaults its server said to leave in force, and its compression."""
    found: dict[str, InForce] = {}
    for run in index.runs:
        if run.in_force:
            compression = (run.server_settings or {}).get("deflate")
            found[run.arm] = {**({"deflate": compression} if isinstance(compression, str) else {}), **run.in_force}
    return {arm: found[arm] for arm in index.suite.arms if arm in found}


def in_force_words(in_force: InForce) -> str:
    """Return the defaults in words."""
    return ", ".join(_default_words(name, value) for name, value in in_force.items())


def anchor_of(arm: Arm) -> str:
    """Return the name of the place on the page that has more of an arm's framework."""
    return f"of-{arm.backend}-{framework_of(arm)}"


def _defaults(arms: Sequence[Arm], in_force: Mapping[str, InForce]) -> list[Question]:
    """Return the row of the frameworks' own defaults; none where no arm leaves any."""
    if not in_force:
        return []
    answers = [
        DecisionLine("its own", in_force_words(in_force[arm.name]))
        if arm.name in in_force
        else DecisionLine(NO_FIGURE, "tickbench sets them")
        for arm in arms
    ]
    meaning = (
        "which of the framework's own defaults its server says to leave in force, where it is written as documented"
    )
    return [Question("defaults in force", "", "/stats", meaning, answers, is_fact=True)]


def _default_words(name: str, value: float | bool | str | None) -> str:
    known = {
        "nagle": ("Nagle's algorithm off", "Nagle's algorithm on"),
        "waits_for_peer": ("no send waits", "a send waits for its peer"),
        "deflate": ("no compression", "compression"),
    }
    if name in known:
        return known[name][value in (True, "on")]
    if name == "ping_interval_s":
        return "no pings" if value is None else f"pings every {value:g} s"
    if name == "capacity" and value is None:
        return "nothing bounds what waits"
    words = name.removesuffix("_bytes").removesuffix("_s").replace("_", " ")
    if value is None or isinstance(value, bool | str):
        return f"{words} {'none' if value is None else value}"
    amount = f"{value / KIB:g} KiB" if name.endswith("_bytes") else f"{value:g}{' s' if name.endswith('_s') else ''}"
    return f"{words} {amount}"


def _release(known: FrameworkFacts) -> DecisionLine:
    found = RELEASE.fullmatch(known.released)
    if found is None:
        return DecisionLine(known.released)
    return DecisionLine(found["day"], ", ".join(filter(None, (found["version"], found["more"]))))


def _with_more(words: str) -> DecisionLine:
    """Return what stands in brackets, or behind a comma or a colon, as the smaller print."""
    found = MORE.fullmatch(words)
    return DecisionLine(words) if found is None else DecisionLine(found["text"].strip(), found["more"] or "")


def _counted(arm: Arm, number: int, words: str, none: str) -> DecisionLine:
    if not number:
        return DecisionLine(NO_FIGURE, none)
    return DecisionLine(f"{number} {words}".strip(), link=f"#{anchor_of(arm)}")


def _lines(arm: Arm) -> DecisionLine:
    lines = lines_of(arm)
    return DecisionLine(NO_FIGURE, "none of ours") if lines is None else DecisionLine(f"{lines}")


def _loop_question(arms: Sequence[Arm]) -> Question:
    answers = []
    for arm in arms:
        mode = dict(arm.settings).get("mode", "managed")
        lines = mode_lines(arm.backend, mode)
        answers.append(
            DecisionLine(NO_FIGURE, "none of ours")
            if lines is None
            else DecisionLine(f"{lines}", f"its backend {backend_lines(arm.backend):,}, frameworks apart")
        )
    meaning = "lines of the loop design that hold code (no blanks, comments, docstrings); shown, never ranked"
    return Question("code lines", "", "tickbench lines", meaning, answers, is_fact=True)
