"""Render the report as Markdown, for a pull request."""

import re

from shared.printable import printable
from tickbench.report import words
from tickbench.report.choice import TITLE
from tickbench.report.document import Document
from tickbench.report.noise import Noise, Row, is_itself, noise_of
from tickbench.report.table import DecisionLine, Question


def render_markdown(document: Document) -> str:
    """Return the report as Markdown."""
    facts = [f"- {name}: {escape(text)}" for name, text in words.environment_facts(document.environment)]
    runs = [
        [str(run.number), run.part, run.arm, f"{run.connections:,}", f"{run.mark}: {run.words}"]
        for run in document.runs
    ]
    sentences = [*words.verdict_sentences(document), words.stopped_early_sentence(document)]
    parts = [
        f"# tickbench: {escape(document.id)}",
        choice_markdown(document),
        escape(" ".join(filter(None, sentences))),
        escape(f"{words.measured_sentence(document)} {document.comparisons.work.words}"),
        "## The decision table",
        _table(
            [["", *document.decision.arms], ["", *document.decision.styles], *map(_line, document.decision.questions)]
        ),
        "## How the blocks were measured",
        escape(words.slots_sentence(document)),
        _table([words.SLOT_TITLES, *slots]) if (slots := words.slot_rows(document)) else "",
        "## Verdicts and noise",
        _noise(noise_of(document)),
        "## Every run",
        _table([["run", "part", "arm", "connections", "validity"], *runs]),
        "## Environment",
        "\n".join(facts),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def choice_markdown(document: Document) -> str:
    """Return which arm to take as a section of its own, such as for a README; empty where the suite has no verdicts."""
    if not document.choice:
        return ""
    return "\n".join([f"## {TITLE}", "", *(f"- {escape(line)}" for line in document.choice)])


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(printable(text).split()))


def _line(question: Question) -> list[str]:
    title = f"{question.title}, {question.unit}" if question.unit else question.title
    return [f"{title} ({question.source})", *map(_answer, question.answers)]


def _answer(answer: DecisionLine) -> str:
    mark = words.SPOILED if answer.is_doubtful else ""
    return f"{answer.text} ({answer.detail}){mark}" if answer.detail else f"{answer.text}{mark}"


def _noise(noise: Noise) -> str:
    rows = [(plot, row) for plot in noise.plots for row in plot.rows]
    if not rows:
        return ""
    head = ["figure", "first", "other", "other to first", "blocks", "verdict", "each block"]
    return _table([head, *([plot.title, *_comparison(row)] for plot, row in rows)])


def _comparison(row: Row) -> list[str]:
    each = row.comparison
    blocks = str(each.ratio.blocks) if each.ratio is not None else "0"
    other, verdict = ("itself", "A/A") if is_itself(each) else (each.other, each.verdict_words)
    if each.to_decide is not None:
        verdict += f"; {each.to_decide.words}"
    ratio = f"{each.ratio_words}, at once" if each.is_together else each.ratio_words
    return [each.first, other, ratio, blocks, verdict, row.ratios]


def _table(lines: list[list[str]]) -> str:
    head, *body = [f"| {' | '.join(map(escape, line))} |" for line in lines]
    return "\n".join([head, "|" + " --- |" * len(lines[0]), *body])
