"""The HTML page: one file that needs no network. Knows nothing of how results come about."""

import re

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tickbench.checks import is_valid, validity_words
from tickbench.figures import FIGURES
from tickbench.report import words
from tickbench.report.chart import lateness_chart
from tickbench.results import Results, Run
from tickbench.rows import arm_rows

TEMPLATE = "page.html.j2"


def render_page(results: Results) -> str:
    """Return the page. Everything that is not the page's own text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tickbench", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        record=results.record,
        sentences=[words.measured_sentence(results), words.basis_sentence(results)],
        stopped_early=words.stopped_early_sentence(results),
        figures=FIGURES,
        rows=arm_rows(results),
        chart=Markup(lateness_chart(results)),  # noqa: S704 - plotly's own, and the arms' names in it are escaped
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - the library
        percentile_titles=words.PERCENTILE_TITLES,
        percentile_rows=words.percentile_rows(results),
        runs=[_run_line(run, file) for run, file in zip(results.runs, results.files, strict=True)],
        breakable=_breakable,
        facts=words.environment_facts(results),
        packages=results.environment.packages,
    )


def _breakable(arm: str) -> Markup:
    """Return an arm's name that a narrow column breaks where its parts end."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,])", arm))


def _run_line(run: Run, file: str) -> dict[str, object]:
    mark = "failed" if run.load is None else "valid" if is_valid(run) else "doubtful"
    return {"run": run, "file": file, "mark": mark, "words": validity_words(run)}
