"""The same table for a pull request, as Markdown. Knows nothing of the HTML page."""

import re

from tickbench.checks import validity_words
from tickbench.figures import FIGURES
from tickbench.report import words
from tickbench.results import Results
from tickbench.rows import ArmRow, Cell, arm_rows


def render_markdown(results: Results) -> str:
    """Return the report as Markdown."""
    rows = arm_rows(results)
    titles = ["arm", "valid runs", *(f"{each.title}{f', {each.unit}' if each.unit else ''}" for each in FIGURES)]
    runs = [["run", "arm", "validity"], *([str(run.number), run.arm, validity_words(run)] for run in results.runs)]
    sentences = [words.measured_sentence(results), words.basis_sentence(results), words.stopped_early_sentence(results)]
    facts = [f"- {name}: {escape(text)}" for name, text in words.environment_facts(results)]
    parts = [
        f"# tickbench: {results.record.id}",
        escape(" ".join(filter(None, sentences))),
        "Median over the runs of an arm, and the range in brackets.",
        _table([titles, *map(_row, rows)]),
        _table(runs),
        "\n".join(facts),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(text.split()))


def _row(row: ArmRow) -> list[str]:
    name = f"{row.arm} (no valid run)" if row.is_doubtful else row.arm
    return [name, row.runs_words, *map(_cell, row.cells)]


def _cell(cell: Cell) -> str:
    return f"{cell.median} ({cell.range})" if cell.range else cell.median


def _table(lines: list[list[str]]) -> str:
    head, *body = [f"| {' | '.join(map(escape, line))} |" for line in lines]
    return "\n".join([head, "|" + " --- |" * len(lines[0]), *body])
