"""Render the report as an HTML page: one file that needs no network."""

import re

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tickbench.report import words
from tickbench.report.charts import SPOILED_OUTCOMES, all_charts
from tickbench.report.document import Document
from tickbench.report.noise import noise_of

TEMPLATE = "page.html.j2"


def render_page(document: Document) -> str:
    """Return the page. Everything that is not the page's own text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tickbench", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    noise = noise_of(document)
    drawn = {plot.figure for plot in noise.plots}
    return environment.get_template(TEMPLATE).render(
        document=document,
        suite=document.suite,
        verdict=words.verdict_sentences(document),
        stopped_early=words.stopped_early_sentence(document),
        measured=words.measured_sentence(document),
        searched_in_slots=any(search.in_slots for search in document.suite.searches),
        decision=document.decision,
        slots_sentence=words.slots_sentence(document),
        slot_titles=words.SLOT_TITLES,
        slot_rows=words.slot_rows(document),
        comparisons=document.comparisons,
        noise=noise,
        other_figures=[each for each in document.comparisons.others if each.figure not in drawn],
        charts=all_charts(document),
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - the library
        safe=Markup,  # of the charts: plotly's own, and the arms' names in it are escaped
        percentile_titles=words.PERCENTILE_TITLES,
        percentile_rows=words.percentile_rows(document),
        spoiled_outcomes=SPOILED_OUTCOMES,
        arrival=document.arrival,
        limits=words.limit_facts(document),
        facts=words.environment_facts(document.environment),
        packages=document.environment.packages,
    )


def _breakable(arm: str) -> Markup:
    """Return an arm's name that a narrow column breaks where its parts end."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,])", arm))
